"""The OpenAI-compatible engine: `POST {base_url}/chat/completions`, streamed.

Reasoning that the endpoint marks as such (`reasoning_content`, `reasoning`) is not passed on. Some endpoints
send it as text, with only its closing tag: of such a one the text is passed on from the tag on.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from cvi.endpoints.endpoint_client import EndpointClient, Timeouts
from cvi.errors import EngineError, UsageError
from cvi.llm.base import LlmSettings, Message, Sampling, ToolRequest, ToolSpec
from cvi.llm.chat_template import with_notes_folded

_ROUTE = "/chat/completions"
_CLOSING_TAG = "</think>"
_REASONING_MODEL = re.compile(r"\br1\b|\bqwq\b|thinking|reasoner|reasoning", re.IGNORECASE)
_REFUSED = re.compile(r" answered (?:400|404|415|422|501)\b")
_MOST_CHARACTERS = 200_000
"""Of one reply; nobody listens to it for three hours."""
_MOST_STOP_STRINGS = 4
"""More are refused by the protocol's original."""


def build(settings: LlmSettings) -> OpenAiLlm:
    """Check the address and open the client. Raises UsageError."""
    return OpenAiLlm(settings)


class OpenAiLlm:
    """One endpoint. Methods are called from the event loop; streams may run side by side.

    Sent are `model`, `messages`, `max_tokens`, `temperature`, `top_p`, `seed` and at most four `stop`
    strings; `extra_body` overrides any of them, and a None in it leaves the field out.
    """

    name = "openai"

    def __init__(self, settings: LlmSettings) -> None:
        """Raises UsageError for an address, key or header that cannot be used."""
        self._settings = settings
        self._leaks_reasoning = bool(_REASONING_MODEL.search(settings.model or ""))
        self._client = EndpointClient(
            "llm",
            settings.base_url,
            api_key=settings.api_key,
            headers=settings.headers,
            query=settings.default_query,
            private_hosts=settings.private_hosts,
            timeouts=Timeouts(
                connect_s=settings.first_token_timeout_s,
                first_s=settings.first_token_timeout_s,
                stall_s=settings.stall_timeout_s,
            ),
        )
        self.url = self._client.url(_ROUTE)
        self._refuses_schemas = False

    async def warm(self, messages: Sequence[Message]) -> None:
        """Open the connection, so that an endpoint that is down fails here. Raises EngineError."""
        await self._client.warm()

    async def prefill(self, messages: Sequence[Message], partial: str) -> None:
        """Nothing: endpoints offer no such thing."""

    async def completeness(self, messages: Sequence[Message], text: str) -> float | None:
        """None: an endpoint cannot tell."""
        return None

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str]:
        """Pieces of the reply. Closing the iterator closes the request.

        Raises EngineError for an endpoint that is down, refuses, sends nothing for `first_token_timeout_s`
        before its text, or stops for `stall_timeout_s` in the middle.
        """
        empty = True
        holding = self._leaks_reasoning
        text_so_far = ""
        async with self._client.stream(_ROUTE, self._body(messages, sampling)) as answer:
            async with aclosing(answer.events()) as events:
                async for event in events:
                    text = _text(event)
                    if text:
                        empty = False
                        answer.begun()
                        text_so_far += text
                        if len(text_so_far) > _MOST_CHARACTERS:
                            raise self._client.too_much(_ROUTE)
                        if not holding:
                            yield text
                        elif _CLOSING_TAG in text_so_far:
                            yield text_so_far
                            holding = False
        self._leaks_reasoning = _leaks(text_so_far)
        if holding and text_so_far:
            yield text_so_far
        if empty and not answer.complete:
            raise EngineError(
                f"{self._client.place(_ROUTE)} closed the stream without a word.",
                "Check the endpoint's own log.",
            )

    async def stream_or_call(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], sampling: Sampling
    ) -> AsyncIterator[str | ToolRequest]:
        """The reply's text, and calls once the stream has ended; see `ChoosesCalls`.

        Raises EngineError as `stream` does, and for a call of an unknown tool or with arguments that do not
        fit.
        """
        body = self._body(messages, sampling)
        if tools:
            body["tools"] = [tool.wire() for tool in tools]
        parts: dict[int, dict[str, str]] = {}
        empty = True
        async with self._client.stream(_ROUTE, body) as answer:
            async with aclosing(answer.events()) as events:
                async for event in events:
                    for part in _call_parts(event):
                        empty = False
                        answer.begun()
                        _join_call(parts, part)
                    if text := _text(event):
                        empty = False
                        answer.begun()
                        yield text
        place = self._client.place(_ROUTE)
        for _, part in sorted(parts.items()):
            yield _request(part, tools, place)
        if empty and not answer.complete:
            raise EngineError(f"{place} closed the stream without a word.", "Check the endpoint's own log.")

    async def structured(
        self, messages: Sequence[Message], schema: Mapping[str, Any], *, max_tokens: int = 256
    ) -> dict[str, Any]:
        """A JSON object by the API's `response_format`; see `LlmEngine.structured`.

        An endpoint that refuses schemas is asked for JSON, with the schema in a message. Raises EngineError
        also for an answer that does not fit the schema.
        """
        if not self._refuses_schemas:
            form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}
            try:
                return await self._json(messages, schema, form, max_tokens)
            except EngineError as error:
                if not _REFUSED.search(error.message):
                    raise
                self._refuses_schemas = True
        told = f"Answer with one JSON object alone. It fits this JSON Schema:\n{json.dumps(schema)}"
        return await self._json(
            [*messages, Message("system", told)], schema, {"type": "json_object"}, max_tokens
        )

    async def _json(
        self, messages: Sequence[Message], schema: Mapping[str, Any], form: Mapping[str, Any], max_tokens: int
    ) -> dict[str, Any]:
        sampling = Sampling(max_tokens=max_tokens, temperature=0.0)
        body = {**self._body(messages, sampling), "stream": False, "response_format": form}
        answer = await self._client.post(_ROUTE, json=body)
        return checked_json(_content(answer), schema, self._client.place(_ROUTE))

    async def close(self) -> None:
        """Close the connections; streams under way fail. Safe to call twice."""
        await self._client.aclose()

    def _body(self, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
        wire = [_wire(message) for message in with_notes_folded(messages)]
        body: dict[str, Any] = {
            "model": self._settings.model,
            "messages": wire,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "stop": list(sampling.stop[:_MOST_STOP_STRINGS]) or None,
            **self._settings.extra_body,
            "stream": True,
        }
        return {key: value for key, value in body.items() if value is not None}


def checked_json(text: str, schema: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The JSON object in a model's text, also in a code fence. Raises EngineError unless it fits `schema`."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    remedy = "Use a model that keeps to a given form."
    begin, end = text.find("{"), text.rfind("}")
    try:
        value = json.loads(text[begin : end + 1]) if begin >= 0 else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise EngineError(f"{place} answered with something else than a JSON object.", remedy)
    try:
        fault = next(validator_for(schema)(schema).iter_errors(value), None)
    except SchemaError as error:
        raise UsageError(f"A JSON Schema is not well formed: {error.message}.") from error
    if fault is not None:
        raise EngineError(f"{place} answered with JSON that does not fit: {fault.message[:160]}.", remedy)
    return value


def _wire(message: Message) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.requests:
        wire["tool_calls"] = [
            {
                "id": request.id,
                "type": "function",
                "function": {"name": request.name, "arguments": json.dumps(dict(request.arguments))},
            }
            for request in message.requests
        ]
    if message.answers:
        wire["tool_call_id"] = message.answers
    return wire


def _call_parts(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    choices = event.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return []
    delta = choices[0].get("delta")
    calls = delta.get("tool_calls") if isinstance(delta, dict) else None
    return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def _join_call(parts: dict[int, dict[str, str]], part: Mapping[str, Any]) -> None:
    """Calls come in pieces: the name in the first, the arguments' text spread over several."""
    index = part.get("index")
    call = parts.setdefault(index if isinstance(index, int) else len(parts), {"arguments": ""})
    function = part.get("function")
    if isinstance(part.get("id"), str):
        call["id"] = part["id"]
    if isinstance(function, dict):
        if isinstance(function.get("name"), str):
            call["name"] = function["name"]
        if isinstance(function.get("arguments"), str):
            call["arguments"] += function["arguments"]


def _request(part: Mapping[str, str], tools: Sequence[ToolSpec], place: str) -> ToolRequest:
    name = part.get("name", "")
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is None:
        raise EngineError(f"{place} called a tool it was not given: '{name[:64]}'.", "Use another model.")
    arguments = checked_json(part["arguments"] or "{}", tool.parameters, f"{place}, calling '{name}',")
    return ToolRequest(name, arguments, part.get("id") or f"call_{name}")


def _content(answer: Any) -> str:
    try:
        content = answer["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        content = None
    return content if isinstance(content, str) else ""


def _text(event: Mapping[str, Any]) -> str:
    choices = event.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return ""
    delta = choices[0].get("delta")
    content = delta.get("content") if isinstance(delta, dict) else None
    return content if isinstance(content, str) else ""


def _leaks(reply: str) -> bool:
    """Whether the reply holds reasoning whose opening tag is missing."""
    before, closing, _ = reply.partition(_CLOSING_TAG)
    return bool(closing) and "<think" not in before
