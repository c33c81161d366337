"""Connections that make the server wait, with real sockets: each ends, and others are answered meanwhile."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from running import listening, until

from cvi.server.connections import LimitedHttp

Open = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nx-a: "


async def connect(url: str) -> Open:
    return await asyncio.open_connection("127.0.0.1", urlsplit(url).port)


async def drip(open: Open, head: bytes = REQUEST) -> bytes:
    """Send the head, then a byte at a time without end; what was answered when the server ended it."""
    reader, writer = open
    writer.write(head)
    answer = asyncio.create_task(_read_all(reader))
    while not answer.done():
        writer.write(b"a")
        await asyncio.sleep(0.02)
    writer.close()
    return await answer


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    """Everything until the end; what came before a reset, which a server sends that has bytes unread."""
    answer = b""
    try:
        while piece := await reader.read(65536):
            answer += piece
    except ConnectionError:
        pass
    return answer


async def test_a_head_a_byte_at_a_time_ends_and_others_are_answered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvi.server.connections.HEAD_WITHIN_S", 0.5)
    async with listening() as url, asyncio.timeout(60):
        slow = asyncio.gather(*[drip(await connect(url)) for _ in range(20)])
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/healthz")).status_code == 200
        assert set(await slow) == {b""}
        silent, _ = await connect(url)
        assert await silent.read() == b""
        await until(lambda: not LimitedHttp.waiting)


async def test_after_an_answer_the_next_head_is_waited_for_as_long(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvi.server.connections.HEAD_WITHIN_S", 0.5)
    whole = REQUEST + b"b\r\n\r\n"
    refused = b"POST /v2/personas HTTP/1.1\r\nhost: far.example\r\ncontent-length: 100000\r\n\r\n"
    async with listening() as url, asyncio.timeout(60):
        assert (await drip(await connect(url), whole + REQUEST)).startswith(b"HTTP/1.1 200")
        assert (await drip(await connect(url), refused)).startswith(b"HTTP/1.1 401"), "the rest of a refused body"


async def test_one_too_many_ends_the_one_that_waited_longest(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvi.server.connections.MOST_WAITING", 3)
    async with listening() as url, asyncio.timeout(60):
        first = await connect(url)
        await until(lambda: len(LimitedHttp.waiting) == 1)
        others = [await connect(url) for _ in range(3)]
        assert await first[0].read() == b""
        for _, writer in others:
            writer.write(REQUEST + b"b\r\n\r\n")
        for reader, writer in others:
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.close()


async def test_who_reads_nothing_of_an_answer_is_dropped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvi.server.connections.STALLED_S", 0.3)
    lost: list[Exception | None] = []
    ends = LimitedHttp.connection_lost
    monkeypatch.setattr(LimitedHttp, "connection_lost", lambda self, exc: (lost.append(exc), ends(self, exc)))
    async with listening() as url, asyncio.timeout(60):
        reader, writer = await connect(url)
        reader._transport.pause_reading()
        while not lost:
            writer.write(b"GET /openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 10)
            await asyncio.sleep(0.02)
        writer.close()


async def test_a_body_a_byte_at_a_time_is_given_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvi.server.middleware.BODY_WAITS_S", 0.5)
    head = b"POST /v2/personas HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000000\r\n\r\n"
    async with listening() as url, asyncio.timeout(60):
        assert (await drip(await connect(url), head)).startswith(b"HTTP/1.1 408")


async def test_a_body_that_is_cut_off_is_no_trace(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a room's, for which no key is needed, nor another one."""
    async with listening() as url, asyncio.timeout(60):
        for path in ("/c/x/offer", "/v2/personas", "/v2/uploads"):
            _, writer = await connect(url)
            writer.write(f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\nabc".encode())
            await writer.drain()
            await asyncio.sleep(0.2)  # for the route to wait for more; a faster end is one more case
            writer.close()
            await writer.wait_closed()
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/healthz")).status_code == 200
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
