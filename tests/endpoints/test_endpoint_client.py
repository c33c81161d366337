"""The client for OpenAI-compatible services against a bare server of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cvi.endpoints.address import checked_address
from cvi.endpoints.endpoint_client import EndpointClient, Timeouts, error_message
from cvi.errors import EngineError, UsageError

KEY = "sk-secret-key"


@asynccontextmanager
async def serving(*connections: list[bytes]) -> AsyncIterator[str]:
    """A server whose n-th connection answers its requests with the n-th list, then closes."""
    left = list(connections)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = left.pop(0) if left else []
        for body in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0)
            await reader.readexactly(length)
            writer.write(body if body.startswith(b"HTTP") else answer(body))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def answer(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def test_a_kept_connection_that_was_closed_is_opened_again_once() -> None:
    async with serving([b'{"n": 1}'], [b'{"n": 2}'], [], []) as url:
        client = EndpointClient("stt", url)
        assert [(await client.post("/x", json={}))["n"] for _ in range(2)] == [1, 2]
        with pytest.raises(EngineError, match=r"The request to .* failed"):
            await client.post("/x", json={})
        await client.aclose()
        with pytest.raises(EngineError, match="was closed"):
            await client.post("/x", json={})


async def test_no_secret_is_shown_whatever_the_service_repeats() -> None:
    secrets = [KEY, "hdr-token", "query secret", "query%20secret", "pass-word"]
    refusal = answer(" ".join(secrets).encode(), "403 Forbidden")
    async with serving([refusal]) as url:
        client = EndpointClient(
            "tts",
            url.replace("//", "//user:pass-word@"),
            api_key=KEY,
            headers={"X-Auth": "Bearer hdr-token"},
            query={"key": "query secret"},
        )
        with pytest.raises(EngineError) as caught:
            await client.post("/x", json={})
        await client.aclose()
    assert caught.value.message.endswith("/v1/x answered 403 Forbidden: *** *** *** *** ***.")
    assert "may do" in caught.value.remedy
    assert "pass-word" not in str(caught.value)


async def test_an_answer_that_is_no_json_is_an_error() -> None:
    async with serving([b"hello"]) as url:
        client = EndpointClient("llm", url)
        with pytest.raises(EngineError, match="something else than JSON"):
            await client.post("/x", json={})
        await client.aclose()


async def test_each_timeout_has_its_own_message() -> None:
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
    forever = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/begun" in await reader.readuntil(b"\r\n\r\n"):
            writer.write(begun)
        await forever.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = EndpointClient("llm", url, timeouts=Timeouts(first_s=0.2, stall_s=0.1, total_s=0.3))
    with pytest.raises(EngineError, match=r"sent nothing within 0\.2 s"):
        async with client.stream("/silent", {}):
            pass
    received = b""
    with pytest.raises(EngineError, match=r"fell silent for 0\.1 s in the middle"):
        async with client.stream("/begun", {}) as streamed:
            async for part in streamed.parts():
                received += part
    assert received == b"abc"
    with pytest.raises(EngineError, match=r"no complete answer within 0\.3 s"):
        await client.post("/begun", json={})
    await client.aclose()
    forever.set()
    server.close()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://h:1", "http://h:1/v1"),
        (" https://h/v1/ ", "https://h/v1"),
        ("https://h/openai/deployments/d", "https://h/openai/deployments/d"),
    ],
)
def test_one_rule_for_addresses(given: str, expected: str) -> None:
    assert checked_address("stt", given) == expected


@pytest.mark.parametrize(
    "given", [None, " ", "h:1/v1", "ftp://h", "http://h/v1/audio/speech", "http://h/v1?key=1", "http://[::1"]
)
def test_a_wrong_address_is_misuse(given: str | None) -> None:
    with pytest.raises(UsageError, match=r"base_url|needs an address"):
        checked_address("stt", given)


def test_the_sentence_of_an_error_is_found_in_every_form() -> None:
    assert error_message({"error": {"message": "a"}}) == "a"
    assert error_message({"error": "a"}) == error_message({"detail": "a"}) == "a"
    assert error_message({"error": {"code": "a"}}) == "a"
    assert error_message([1]) == "[1]"
