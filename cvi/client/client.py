"""The API's client: one method a request, plain dictionaries in and out.

>>> with Client("http://127.0.0.1:8787") as client:
...     persona = client.create_persona(persona_name="Ada", system_prompt="You are Ada.")
...     room = client.create_conversation(persona_id=persona["persona_id"])
...     print(room["conversation_url"])
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from cvi import __version__
from cvi.errors import CviError, UsageError

Answer = dict[str, Any]
Kind = Literal["documents", "objectives", "guardrails", "tools", "pronunciation-dictionaries", "videos"]


class ApiError(CviError):
    """The server refused, or cannot be reached. `status` is 0 in the latter case."""

    def __init__(self, message: str, status: int, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.status = status


class Client:
    """Speaks to a server. Every method raises `ApiError`. Use it as a context manager, or `close` it.

    `transport` replaces the network, for tests.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8787",
        api_key: str | None = None,
        *,
        timeout_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/").removesuffix("/v2")
        headers = {"user-agent": f"cvi-client/{__version__}"}
        if api_key:
            headers["x-api-key"] = api_key
        self._http = httpx.Client(
            base_url=f"{self.url}/v2", headers=headers, timeout=timeout_s, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # Conversations

    def create_conversation(self, **fields: Any) -> Answer:
        """`persona_id` or `replica_id`, and any other field of the contract; answers `conversation_url`."""
        return self._object("POST", "/conversations", json=fields)

    def conversation(self, conversation_id: str, *, verbose: bool = False) -> Answer:
        """One conversation; with `verbose` its events, the transcript among them, once it has ended."""
        return self._object("GET", f"/conversations/{conversation_id}", params={"verbose": verbose})

    def conversations(self, status: Literal["active", "ended"] | None = None) -> Iterator[Answer]:
        """All of them, newest first, page by page."""
        return self._pages("/conversations", {"status": status} if status else {})

    def end_conversation(self, conversation_id: str) -> None:
        """End a running conversation; one that has ended stays as it is."""
        self._call("POST", f"/conversations/{conversation_id}/end")

    def delete_conversation(self, conversation_id: str, *, hard: bool = False) -> None:
        """With `hard`, its journal and recording are erased as well."""
        self._call("DELETE", f"/conversations/{conversation_id}", params={"hard": hard})

    def interact(self, conversation_id: str, event_type: str, **properties: Any) -> None:
        """Send an event of the Interactions Protocol: `interact(id, "conversation.echo", text="Hello")`."""
        body = {"event_type": event_type, "properties": properties}
        self._call("POST", f"/conversations/{conversation_id}/interactions", json=body)

    def recording(self, conversation_id: str) -> bytes:
        """The film of a conversation that has ended."""
        return self._call("GET", f"/conversations/{conversation_id}/recording").content

    # Personas and replicas

    def create_persona(self, **fields: Any) -> Answer:
        """Create a persona from the fields of its file; answers it with its `persona_id`."""
        return self._object("POST", "/personas", json=fields)

    def persona(self, persona_id: str) -> Answer:
        """One persona."""
        return self._object("GET", f"/personas/{persona_id}")

    def personas(self, persona_type: Literal["user", "system"] | None = None) -> Iterator[Answer]:
        """All personas, page by page; `system` are those that ship."""
        return self._pages("/personas", {"persona_type": persona_type} if persona_type else {})

    def patch_persona(self, persona_id: str, operations: list[Answer]) -> bool:
        """Apply a JSON Patch; whether it changed anything."""
        return self._call("PATCH", f"/personas/{persona_id}", json=operations).status_code != 304

    def delete_persona(self, persona_id: str) -> None:
        """Delete a persona of your own."""
        self._call("DELETE", f"/personas/{persona_id}")

    def replica(self, replica_id: str) -> Answer:
        """One replica, or how far its training is."""
        return self._object("GET", f"/replicas/{replica_id}")

    def replicas(self, replica_type: Literal["user", "system"] | None = None) -> Iterator[Answer]:
        """All replicas, page by page; `system` are those that ship."""
        return self._pages("/replicas", {"replica_type": replica_type} if replica_type else {})

    def upload(self, film: Path) -> str:
        """Send a film from this machine; what `train_replica` takes in place of a URL, once, for a day.

        Raises OSError for a film that cannot be read.
        """

        def pieces() -> Iterator[bytes]:
            with film.open("rb") as file:
                while piece := file.read(1 << 20):
                    yield piece

        return str(self._object("POST", "/uploads", content=pieces(), timeout=None)["upload_url"])

    def train_replica(self, **fields: Any) -> Answer:
        """`train_video_url` (or what `upload` gave), `replica_name`, `consent_video_url`, `callback_url`.

        Ask `replica` how far it is: `status` and `training_progress`.
        """
        return self._object("POST", "/replicas", json=fields)

    def rename_replica(self, replica_id: str, name: str) -> None:
        """Give a replica another name; its id stays."""
        self._call("PATCH", f"/replicas/{replica_id}/name", json={"replica_name": name})

    def delete_replica(self, replica_id: str, *, hard: bool = False) -> None:
        """With `hard`, or while it is still made, nothing of it is kept."""
        self._call("DELETE", f"/replicas/{replica_id}", params={"hard": hard})

    # Everything else the contract stores

    def create(self, kind: Kind, **fields: Any) -> Answer:
        """Create a resource of a kind; answers it, and under `not_in_effect` what of it does nothing."""
        return self._object("POST", f"/{kind}", json=fields)

    def get(self, kind: Kind, id: str) -> Answer:
        """One resource of a kind."""
        return self._object("GET", f"/{kind}/{id}")

    def every(self, kind: Kind, **query: Any) -> Iterator[Answer]:
        """All resources of a kind, page by page; `query` are the filters of its list."""
        first = 0 if kind in ("documents", "pronunciation-dictionaries", "videos") else 1
        return self._pages(f"/{kind}", query, first)

    def patch(self, kind: Kind, id: str, change: Answer | list[Answer]) -> bool:
        """Fields for documents and tools, a JSON Patch for the others; whether it changed anything."""
        return self._call("PATCH", f"/{kind}/{id}", json=change).status_code != 304

    def delete(self, kind: Kind, id: str) -> None:
        """Delete a resource of a kind."""
        self._call("DELETE", f"/{kind}/{id}")

    def _pages(self, path: str, query: Answer, first: int = 1) -> Iterator[Answer]:
        page, seen = first, 0
        while True:
            answer = self._object("GET", path, params={**query, "limit": 100, "page": page})
            yield from answer["data"]
            seen += len(answer["data"])
            page += 1
            if not answer["data"] or seen >= answer["total_count"]:
                return

    def _object(self, method: str, path: str, **request: Any) -> Answer:
        answer = self._call(method, path, **request).json()
        if not isinstance(answer, dict):
            raise ApiError(f"{method} {path} was answered with no object.", 200, "Is this the right address?")
        return answer

    def _call(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **request)
        except httpx.HTTPError as error:
            raise ApiError(
                f"{self.url} cannot be reached: {error}.", 0, "Start the server with: cvi serve"
            ) from error
        if response.status_code >= 400:
            raise ApiError(_told(response), response.status_code)
        return response


def _told(response: httpx.Response) -> str:
    try:
        body = response.json()
        text = body.get("error") or body.get("message")
    except (ValueError, AttributeError):
        text = None
    return str(text or f"The server answered {response.status_code}.")


SECRET_PREFIX = "whsec_"  # noqa: S105 - the specification's prefix, no secret
TOLERANCE_S = 5 * 60.0


class WebhookError(CviError):
    """A webhook that is not from the server that holds the secret, or that is too old."""


def sign(secret: str, message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The headers of one attempt. `secret` is `whsec_` and base64. Raises `UsageError` for another one."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": f"v1,{_mac(secret, message_id, str(timestamp_s), body)}",
    }


def verify(
    secret: str, headers: Mapping[str, str], body: bytes, now_s: float, tolerance_s: float = TOLERANCE_S
) -> str:
    """The id of a webhook that is genuine and fresh; raises `WebhookError` otherwise.

    `body` is the bytes as they came. One of several signatures is enough, so that secrets can be changed.
    """
    named = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, stamp = named["webhook-id"], named["webhook-timestamp"]
        given = named["webhook-signature"].split()
    except KeyError as missing:
        raise WebhookError(f"The header {missing} is missing.", "Refuse the request.") from None
    if not stamp.isdigit() or abs(now_s - int(stamp)) > tolerance_s:
        raise WebhookError("The webhook's time is too far from now.", "Check this machine's clock.")
    expected = f"v1,{_mac(secret, message_id, stamp, body)}".encode()
    if not any(hmac.compare_digest(expected, one.encode()) for one in given):
        raise WebhookError("The signature is not right.", "See the secret with: cvi webhooks secret")
    return message_id


def _mac(secret: str, message_id: str, stamp: str, body: bytes) -> str:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        raise UsageError("The webhook secret is not base64.", "See it with: cvi webhooks secret") from None
    return base64.b64encode(hmac.digest(key, f"{message_id}.{stamp}.".encode() + body, "sha256")).decode()
