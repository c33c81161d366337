"""Tools behind an HTTP address: templates, credentials, signature, and answers that are checked.

`{name}` in the path, the query or the body stands for an argument. Without a body template the arguments
themselves are sent, as JSON, or in the query of a GET or DELETE. With the credential `hmac` the body is an
envelope (call, tool, arguments, conversation), signed as webhooks are (Standard Webhooks). Every request
has the header `idempotency-key`, the same for the same call.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from cvi.endpoints.outbound import OutboundClient, OutboundError, OutboundResponse, RefusedAddressError
from cvi.persona.policy import ToolApi, ToolAuth
from cvi.persona.section import expand
from cvi.tools.base import ToolAnswer, ToolCall, ToolError
from cvi.untrusted import valid_text

MOST_BYTES = 64 * 1024
_PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
_WITHOUT_BODY = ("GET", "DELETE")
_TOKEN_MARGIN_S = 30.0


class HttpDelivery:
    """Calls one address. `client` decides which addresses may be called."""

    name = "api"

    def __init__(self, api: ToolApi, client: OutboundClient) -> None:
        self._api, self._client = api, client
        self._token = ""
        self._token_until = 0.0

    async def call(self, call: ToolCall) -> ToolAnswer:
        """The answer's JSON or text. Raises ToolError."""
        api, arguments = self._api, call.arguments
        url = _with_query(_filled_url(api.url, arguments), _filled(dict(api.query_params), arguments))
        headers = {name.lower(): _secret(value, "headers") for name, value in api.headers.items()}
        headers.setdefault("idempotency-key", call.key)
        headers.setdefault("accept", "application/json, text/plain")
        body = b""
        if api.auth.type == "hmac":
            body = json.dumps(_envelope(call)).encode()
        elif api.body_template is not None:
            filled = _filled(api.body_template, arguments)
            body = (filled if isinstance(filled, str) else json.dumps(filled)).encode()
        elif api.method in _WITHOUT_BODY:
            used = set(_PLACE.findall(api.url))
            url = _with_query(url, {k: v for k, v in arguments.items() if k not in used})
        else:
            body = json.dumps(dict(arguments)).encode()
        if body:
            headers["content-type"] = api.content_type or headers.get("content-type", "application/json")
        url = await self._authorize(api.auth, url, headers, call, body)
        return _answer(await self._send(api.method, url, headers, body, call.name), call.name)

    async def close(self) -> None:
        """Close what is still open."""
        await self._client.close()

    async def _send(
        self, method: str, url: str, headers: dict[str, str], body: bytes, name: str
    ) -> OutboundResponse:
        try:
            return await self._client.request(
                method, url, headers, body, most_bytes=MOST_BYTES, within_s=self._api.timeout
            )
        except (RefusedAddressError, OutboundError) as error:
            raise ToolError(f"'{name}' could not be called: {error.message}", error.remedy) from error

    async def _authorize(
        self, auth: ToolAuth, url: str, headers: dict[str, str], call: ToolCall, body: bytes
    ) -> str:
        match auth.type:
            case "bearer":
                headers["authorization"] = f"Bearer {_secret(auth.token, 'token')}"
            case "basic":
                pair = f"{auth.username or ''}:{_secret(auth.password, 'password')}"
                headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
            case "api_key":
                name, value = auth.name or "x-api-key", _secret(auth.value, "value")
                if auth.location == "query":
                    return _with_query(url, {name: value})
                headers[name.lower()] = value
            case "hmac":
                headers |= signature(_secret(auth.secret, "secret"), call.id, int(time.time()), body)
            case "oauth2_client_credentials":
                headers["authorization"] = f"Bearer {await self._fetched_token(auth, call.name)}"
        return url

    async def _fetched_token(self, auth: ToolAuth, name: str) -> str:
        """A token of the client credentials grant (RFC 6749, 4.4), kept until shortly before it expires."""
        if self._token and time.monotonic() < self._token_until:
            return self._token
        form = {
            "grant_type": "client_credentials",
            "client_id": auth.client_id or "",
            "client_secret": _secret(auth.client_secret, "client_secret"),
            **({"scope": auth.scope} if auth.scope else {}),
        }
        if not auth.token_url:
            raise ToolError(f"'{name}' has no auth.token_url.", "Write it into the tool's delivery.")
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        response = await self._send("POST", auth.token_url, headers, urlencode(form).encode(), name)
        try:
            granted = json.loads(response.body)
            token, lasts_s = str(granted["access_token"]), float(granted.get("expires_in", 300))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ToolError(
                f"'{name}' got no token: its token_url answered with status {response.status}.",
                "Check client_id, client_secret and scope.",
            ) from error
        self._token, self._token_until = token, time.monotonic() + max(lasts_s - _TOKEN_MARGIN_S, 0.0)
        return token


def signature(secret: str, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks: HMAC-SHA256 over id, time and body, with a secret as `whsec_BASE64`
    or as it stands."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True) if "whsec_" in secret else None
    except ValueError:
        key = None
    signed = b".".join((id.encode(), str(timestamp).encode(), body))
    digest = hmac.new(key or secret.encode(), signed, hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _envelope(call: ToolCall) -> dict[str, Any]:
    return {
        "event_type": "conversation.tool_call",
        "conversation_id": call.conversation_id,
        "properties": {
            "tool_call_id": call.id,
            "name": call.name,
            "arguments": dict(call.arguments),
        },
    }


def _answer(response: OutboundResponse, name: str) -> ToolAnswer:
    if not response.good:
        detail = " ".join(response.body[:300].decode(errors="replace").split())[:120]
        raise ToolError(f"'{name}' answered with status {response.status}{f': {detail}' if detail else ''}.")
    try:
        text = response.body.decode()
    except UnicodeDecodeError:
        raise ToolError(f"'{name}' answered with something that is no text.", "Let it answer JSON.") from None
    if "\0" in text:
        raise ToolError(f"'{name}' answered with something that is no text.", "Let it answer JSON.")
    try:
        return ToolAnswer(json.loads(text)) if text.strip() else ToolAnswer("done")
    except (ValueError, RecursionError):
        return ToolAnswer(text.strip())


def _secret(value: Any, field: str) -> str:
    if value is None:
        raise ToolError(f"The tool's auth.{field} is missing.", "Write it into the tool's delivery.")
    return expand(str(value.get_secret_value() if hasattr(value, "get_secret_value") else value))


def _filled(template: Any, arguments: Mapping[str, Any]) -> Any:
    """The template with arguments in place of `{name}`; one that stands alone keeps its type."""
    if isinstance(template, Mapping):
        return {key: _filled(value, arguments) for key, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, arguments) for value in template]
    if not isinstance(template, str):
        return template
    alone = _PLACE.fullmatch(template)
    if alone and alone[1] in arguments:
        return arguments[alone[1]]
    return _PLACE.sub(lambda m: _plain(arguments.get(m[1], "")), template)


def _filled_url(url: str, arguments: Mapping[str, Any]) -> str:
    """Arguments in path and query; the host is never made from one, and no step up to another folder.

    Raises ToolError for an argument that would be such a step.
    """
    parts = urlsplit(url)
    path = _PLACE.sub(lambda m: quote(_plain(arguments.get(m[1], "")), safe=""), parts.path)
    if path != parts.path and not {".", ".."}.isdisjoint(path.split("/")):
        raise ToolError("An argument cannot be part of the address.", "Ask for another value.")
    query = urlencode(_filled(dict(parse_qsl(parts.query, keep_blank_values=True)), arguments))
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


def _with_query(url: str, more: Mapping[str, Any]) -> str:
    if not more:
        return url
    parts = urlsplit(url)
    pairs = [*parse_qsl(parts.query, keep_blank_values=True), *((k, _plain(v)) for k, v in more.items())]
    return urlunsplit(parts._replace(query=urlencode(pairs)))


def _plain(value: Any) -> str:
    return valid_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
