"""Endpoints that answer without end, too deep, compressed, or lead elsewhere; and addresses that strangers name."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from cvi.audio.block import PLAYED_HZ
from cvi.endpoints.address import address_fault
from cvi.endpoints.endpoint_client import EndpointClient, Timeouts
from cvi.endpoints.outbound import OutboundClient, OutboundError, OutboundPolicy
from cvi.errors import EngineError, UsageError
from cvi.llm.base import LlmSettings, Message, Sampling
from cvi.llm.openai import OpenAiLlm
from cvi.tts.openai import PcmReader
from cvi.untrusted import printable, valid_json, valid_text

QUICK = Timeouts(connect_s=2.0, first_s=0.3, stall_s=0.3, total_s=1.0)
Pieces = Callable[[], Iterator[bytes]]


@asynccontextmanager
async def sending(pieces: Pieces, head: bytes = b"200 OK\r\ncontent-type: text/event-stream") -> AsyncIterator[str]:
    """A server that answers every request with `pieces`, as fast as they are read; an empty one is a pause."""
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 " + head + b"\r\nconnection: close\r\n\r\n")
            for piece in pieces():
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0 if piece else 0.05)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def event(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


def endless(piece: bytes, first: bytes = b"", pause: bool = False) -> Pieces:
    def pieces() -> Iterator[bytes]:
        if first:
            yield first
        while True:
            yield piece
            if pause:
                yield b""

    return pieces


async def reply(url: str) -> str:
    llm = OpenAiLlm(LlmSettings(base_url=url, first_token_timeout_s=0.3, stall_timeout_s=0.3))
    try:
        return "".join([piece async for piece in llm.stream([Message("user", "hi")], Sampling())])
    finally:
        await llm.close()


HOSTILE: dict[str, tuple[Pieces, str]] = {
    "a line without end": (endless(b"x" * 65536, b"data: "), "more than|sent nothing"),
    "a line without end after words": (endless(b"x" * 65536, event("Hello. ") + b"data: "), "more than|sent nothing"),
    "comments without end": (endless(b": x\n" * 10_000), "more than|sent nothing"),
    "comments now and then": (endless(b": ping\n\n", pause=True), "sent nothing"),
    "comments now and then after words": (endless(b": ping\n\n", event("Hello there. I was"), pause=True), "fell silent"),
    "empty words now and then": (endless(event(""), event("Hello there. I was"), pause=True), "fell silent"),
    "words without end": (endless(event("word " * 1000)), "more than|sent nothing"),
    "one word of 3 MB": (lambda: iter([event("a" * 3_000_000), b"data: [DONE]\n\n"]), "more than|sent nothing"),
    "a pause": (endless(b""), "sent nothing"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_an_answer_without_end_is_an_error_within_its_time_and_small_memory(name: str) -> None:
    pieces, message = HOSTILE[name]
    tracemalloc.start()
    async with sending(pieces) as url, asyncio.timeout(20):
        with pytest.raises(EngineError, match=message):
            await reply(url)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 << 20


@pytest.mark.parametrize(
    ("sent", "heard"),
    [
        (b"data: " + b"[" * 100_000 + b"\n\n" + event("Hello."), "Hello."),
        (b'data: {"a":' * 5000 + b"\n\n" + event("Hello."), "Hello."),
        (b'data: {"a":' + b"9" * 5000 + b"}\n\n" + event("Hello."), "Hello."),
        (b'data: {"choices":[{"delta":{"content":"Hi \\ud800 there."}}]}\n\n', "Hi \ufffd there."),
        (b'data: {"choices":[{"delta":{"content":"\\ud83d\\ude00"}}]}\n\n', "\U0001f600"),
        (b"data: \xff\xfe\n\n" + event("Hello."), "Hello."),
        (event("Hello.").replace(b"\n", b"\r\n"), "Hello."),
    ],
)
async def test_damaged_events_are_skipped_and_texts_are_valid(sent: bytes, heard: str) -> None:
    async with sending(lambda: iter([sent, b"data: [DONE]\n\n"])) as url:
        assert await reply(url) == heard


BOMB = gzip.compress(b"\n" * (64 << 20), 9)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip"])
async def test_a_compressed_answer_is_refused_unread(encoding: str) -> None:
    head = f"200 OK\r\ncontent-encoding: {encoding}".encode()
    tracemalloc.start()
    async with sending(lambda: iter([BOMB]), head) as url:
        client = EndpointClient("llm", url, timeouts=QUICK)
        with pytest.raises(EngineError, match="compressed"):
            await client.post("/x", json={})
        with pytest.raises(EngineError, match="compressed"):
            await reply(url)
        with pytest.raises(EngineError, match="compressed"):
            await client.warm()
        await client.aclose()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


async def test_the_list_of_models_is_not_read_to_its_end() -> None:
    async with sending(endless(b"x" * 65536)) as url, asyncio.timeout(10):
        client = EndpointClient("llm", url, timeouts=QUICK)
        await client.warm()
        with pytest.raises(EngineError, match="more than"):
            await client.post("/x", json={})
        await client.aclose()


async def test_an_endless_refusal_is_cut() -> None:
    async with sending(endless(b"x" * 65536), b"500 Oops") as url, asyncio.timeout(10):
        with pytest.raises(EngineError, match="500 Oops"):
            await reply(url)


async def test_a_redirect_is_not_followed() -> None:
    async with sending(lambda: iter([b"x"]), b"302 Found\r\nlocation: http://127.0.0.1:1/x") as url:
        with pytest.raises(EngineError, match="302 Found"):
            await reply(url)


# -- addresses that strangers name ----------------------------------------------------------------


async def test_an_endpoint_of_a_stranger_is_checked_at_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [["93.184.216.34"], ["127.0.0.1"], ["93.184.216.34", "169.254.169.254"], ["::1"]]

    async def resolved(self: OutboundPolicy, host: str, port: int) -> list[object]:
        return [ipaddress.ip_address(text) for text in answers.pop(0)]

    async with sending(lambda: iter([event("secret")])) as url:
        port = url.rpartition(":")[2]
        client = EndpointClient("llm", f"http://rebind.example:{port}/v1", private_hosts=(), timeouts=QUICK)
        monkeypatch.setattr(OutboundPolicy, "_addresses_of", resolved)
        answers.pop(0)  # what its check at the time of writing would have seen
        for _ in range(3):
            with pytest.raises(EngineError, match="private network"):
                async with client.stream("/x", {}):
                    pass
        assert answers == []
        answers.append(["127.0.0.1"])
        with pytest.raises(EngineError, match="private network"):
            await client.warm()
        await client.aclose()


async def test_what_the_operator_names_is_reached_by_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def resolved(self: OutboundPolicy, host: str, port: int) -> list[object]:
        asked.append(host)
        return [ipaddress.ip_address("127.0.0.1")]

    async with sending(lambda: iter([b'{"n": 1}'])) as url:
        monkeypatch.setattr(OutboundPolicy, "_addresses_of", resolved)
        client = EndpointClient(
            "stt", f"http://named.example:{url.rpartition(':')[2]}/v1", private_hosts=("127.0.0.1",), timeouts=QUICK
        )
        assert await client.post("/x", json={}) == {"n": 1}
        await client.aclose()
    assert asked == ["named.example"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://10.0.0.1/v1", "http://[::1]/v1", "http://a.internal/v1"])
def test_a_private_address_of_a_stranger_is_refused_before_anything_is_opened(url: str) -> None:
    with pytest.raises(UsageError, match="private network"):
        EndpointClient("llm", url, private_hosts=())
    EndpointClient("llm", url)


@pytest.mark.parametrize(
    "url",
    ["http://h.example/latest/meta?x=", "http://h.example/v1?", "http://h.example/latest/meta#", "http://h.example/a#b"],
)
def test_an_address_cannot_free_its_path(url: str) -> None:
    assert address_fault(url) is not None


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "CONNECTION"])
def test_headers_of_the_connection_cannot_be_set(name: str) -> None:
    with pytest.raises(UsageError, match="set by the connection"):
        EndpointClient("llm", "http://h.example", headers={name: "x"})


async def test_a_call_has_a_total_deadline_whatever_trickles_in() -> None:
    async with sending(endless(b"x", pause=True), b"200 OK\r\ncontent-length: 60000") as url, asyncio.timeout(5):
        client = OutboundClient(OutboundPolicy(("127.0.0.1",)))
        with pytest.raises(OutboundError, match=r"within 0\.3 s"):
            await client.post(url, b"{}", {}, within_s=0.3)
        await client.close()


@pytest.mark.parametrize(
    "content_type", ["audio/pcm; rate=1", "audio/pcm; rate=999999999", "audio/pcm; rate=0"]
)
def test_sound_at_an_impossible_rate_is_refused(content_type: str) -> None:
    with pytest.raises(EngineError):
        PcmReader().content_type(content_type)


def test_a_wav_header_without_end_is_refused() -> None:
    with pytest.raises(EngineError):
        PcmReader().push(b"RIFF\0\0\0\0WAVELIST\xff\xff\xff\x7f" + b"x" * 100)
    assert PLAYED_HZ


def test_texts_are_made_valid_and_printable() -> None:
    assert valid_text("a\ud800b") == "a\ufffdb" and valid_text("\ud83d\ude00") == "\U0001f600" and valid_text("é") == "é"
    assert valid_json('{"\\udc00": ["\\ud800", 1, null]}') == {"\ufffd": ["\ufffd", 1, None]}
    assert printable("a\x1b[31mb\r\n\tc\u202ed\x00") == "a\ufffd[31mb\ufffd\n\tc\ufffdd\ufffd"
