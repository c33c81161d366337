"""The adapters against real peers: a program on pipes, and a WebSocket server of the test's own."""

from __future__ import annotations

import asyncio
import shlex
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from cvi.audio.block import Pcm
from cvi.bench.ab_peers import BLOCK_SAMPLES, CommandPeer, SpeechPeer, WebSocketPeer
from cvi.errors import EngineError, MissingError

BLOCK = np.arange(BLOCK_SAMPLES, dtype=np.int16)

# Gives back what it hears, in odd pieces, until its input ends.
ECHO = """
    import os, sys
    while data := os.read(0, 999):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
"""


def _program(folder: Path, code: str) -> str:
    path = folder / "peer.py"
    path.write_text(textwrap.dedent(code), encoding="utf-8")
    return shlex.join([sys.executable, str(path)])


async def _gathered(peer: SpeechPeer, samples: int) -> Pcm:
    parts: list[Pcm] = []
    async for pcm in peer.speech():
        assert pcm is not None
        parts.append(pcm)
        if sum(map(len, parts)) >= samples:
            break
    return np.concatenate(parts)


async def test_a_programs_input_and_output_are_exact_samples(tmp_path: Path) -> None:
    peer = CommandPeer(_program(tmp_path, ECHO))
    await peer.open()
    try:
        for _ in range(20):
            await peer.hear(BLOCK)
        heard = await asyncio.wait_for(_gathered(peer, 20 * BLOCK_SAMPLES), 20)
    finally:
        await peer.close()
    assert np.array_equal(heard, np.tile(BLOCK, 20))


async def test_a_program_that_exits_reports_its_stderr(tmp_path: Path) -> None:
    peer = CommandPeer(_program(tmp_path, "import sys; sys.exit('no model found')"))
    await peer.open()
    with pytest.raises(EngineError, match=r"status 1.*no model found"):
        await asyncio.wait_for(_gathered(peer, 1), 20)
    with pytest.raises(EngineError, match="no model found"):
        await peer.hear(BLOCK)
    await peer.close()


async def test_a_program_that_does_not_read_raises(tmp_path: Path) -> None:
    peer = CommandPeer(_program(tmp_path, "import time; print(end='', flush=True); time.sleep(60)"))
    await peer.open()
    try:
        with pytest.raises(EngineError, match="has not read"):
            for _ in range(2000):
                await peer.hear(BLOCK)
    finally:
        peer._process.kill()  # type: ignore[union-attr]  # it would be waited for otherwise
        await peer.close()


async def test_a_missing_program_raises() -> None:
    with pytest.raises(MissingError, match="cannot be started"):
        await CommandPeer("/no/such/program").open()


@asynccontextmanager
async def _server(answer: str) -> AsyncIterator[str]:
    websockets = pytest.importorskip("websockets.asyncio.server")

    async def serve(line) -> None:  # type: ignore[no-untyped-def]
        async for message in line:
            if answer == "echo":
                await line.send(message[:333])
                await line.send(message[333:])
            elif answer == "clear":
                for text in ("not json", '["list"]', '{"type": "hello"}', '{"type": "clear"}'):
                    await line.send(text)
            elif answer == "hang up":
                await line.close(1011, "out of memory")

    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/talk"


async def test_a_websockets_messages_are_exact_samples() -> None:
    async with _server("echo") as url:
        peer = WebSocketPeer(url)
        await peer.open()
        try:
            for _ in range(10):
                await peer.hear(BLOCK)
            heard = await asyncio.wait_for(_gathered(peer, 10 * BLOCK_SAMPLES), 20)
        finally:
            await peer.close()
    assert np.array_equal(heard, np.tile(BLOCK, 10))


async def test_only_a_clear_message_discards_sound() -> None:
    async with _server("clear") as url:
        peer = WebSocketPeer(url)
        await peer.open()
        try:
            await peer.hear(BLOCK)
            speech = peer.speech()
            assert await asyncio.wait_for(anext(speech), 20) is None
            await speech.aclose()
        finally:
            await peer.close()


async def test_a_websocket_that_hangs_up_raises() -> None:
    async with _server("hang up") as url:
        peer = WebSocketPeer(url)
        await peer.open()
        await peer.hear(BLOCK)
        with pytest.raises(EngineError, match="out of memory"):
            await asyncio.wait_for(_gathered(peer, 1), 20)
        await peer.close()


async def test_an_unreachable_websocket_raises() -> None:
    pytest.importorskip("websockets")
    with pytest.raises(EngineError, match="cannot be reached"):
        await WebSocketPeer("ws://127.0.0.1:9/").open()
