"""Other systems under measurement: what a peer must do, and the adapters for programs and WebSockets.

An adapter of one's own is a class with the four methods of `SpeechPeer` and a factory
`build(address) -> SpeechPeer`; it is used as `cvi bench ab python:my_package.module:build`. The system behind
it gets 20 ms of the caller's sound every 20 ms, as a microphone would give it, and is never told where a
sentence ends.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.errors import EngineError, MissingError, UsageError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

BLOCK_S = 0.020
BLOCK_SAMPLES = round(BLOCK_S * HEARD_HZ)
RATES_HZ = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
# This much unread sound means that a program does not listen.
_MOST_UNREAD_S = 2.0
_READ_BYTES = 1 << 16
_EXIT_S = 3.0
_CONNECT_S = 10.0
_CLEAR = frozenset({"clear", "interrupt", "flush"})


class SpeechPeer(Protocol):
    """All methods are called from one event loop; `hear` and `speech` run side by side."""

    name: str
    out_hz: int
    """The rate of the sound it gives; known once it is open."""

    async def open(self) -> None:
        """Start or connect. Raises UsageError, MissingError, EngineError."""

    async def hear(self, pcm: Pcm) -> None:
        """20 ms of the caller: (320,) int16 at 16 kHz. Should return at once. Raises EngineError."""

    def speech(self) -> AsyncGenerator[Pcm | None, None]:
        """What it says, as it comes: int16 mono at `out_hz`, pieces of any length.

        A piece is played as soon as it comes, or after what came before it. None: what was not played
        yet is forgotten (it was interrupted). Ends when it has left. Raises EngineError.
        """

    async def close(self) -> None:
        """Let it go; safe to call twice, and when it was never opened."""


def peer_at(address: str, out_hz: int = HEARD_HZ) -> SpeechPeer:
    """`ws://...` or `wss://...`: a WebSocket; `python:module:factory`: an adapter of your own, called with
    the whole address; anything else: a command. `out_hz`: the rate of the sound it gives.

    Raises UsageError, MissingError.
    """
    if out_hz not in RATES_HZ:
        rates = ", ".join(map(str, RATES_HZ))
        raise UsageError(f"--out-hz {out_hz} is not supported.", f"Choose one of {rates}.")
    scheme, _, rest = address.partition(":")
    if scheme in ("ws", "wss"):
        return WebSocketPeer(address, out_hz=out_hz)
    if scheme in ("http", "https"):
        raise UsageError(
            f"{address}: there is no adapter for http endpoints yet.",
            "Give a ws:// address, a command, or an adapter of your own (python:module:factory).",
        )
    if scheme == "python":
        return _own(rest, address)
    return CommandPeer(address, out_hz=out_hz)


def _own(place: str, address: str) -> SpeechPeer:
    module, _, factory = place.partition(":")
    try:
        peer: SpeechPeer = getattr(import_module(module), factory)(address)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"The adapter {place or '(none)'} cannot be used: {error}.", "Write python:module:factory."
        ) from error
    return peer


class _SampleStream:
    """Bytes in pieces of any length -> int16 samples."""

    def __init__(self) -> None:
        self._rest = b""

    def push(self, data: bytes) -> Pcm:
        data = self._rest + data
        whole = len(data) // 2 * 2
        self._rest = data[whole:]
        return np.frombuffer(data[:whole], "<i2").astype(np.int16)


class CommandPeer:
    """A program with sound on its standard input and output; `command` is split as a shell would.

    Both ways are a bare stream of little-endian 16-bit mono samples, 16,000 a second in and, unless told
    otherwise, out. Every 20 ms the program is given 640 bytes. What it writes is played at once, behind what
    it wrote before; it need not write silence. When its input ends, it should end. What it prints on standard
    error is shown when it fails.
    """

    def __init__(self, command: str, *, out_hz: int = HEARD_HZ) -> None:
        """Raises UsageError for a command that cannot be split."""
        self.out_hz = out_hz
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"{command!r} cannot be read: {error}.", "Mind the quotes.") from None
        if not self._words:
            raise UsageError("The command is empty.", "Name a program, or a ws:// address.")
        self.name = command
        self._process: asyncio.subprocess.Process | None = None
        self._errors: deque[str] = deque(maxlen=5)
        self._error_reader: asyncio.Task[None] | None = None
        self._closing = False

    async def open(self) -> None:
        """Start the program. Raises MissingError when it cannot be started."""
        pipe = asyncio.subprocess.PIPE
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._words, stdin=pipe, stdout=pipe, stderr=pipe, limit=_READ_BYTES
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise MissingError(
                f"The program {self._words[0]} cannot be started: {reason}.", "Check its path."
            ) from error
        self._error_reader = asyncio.create_task(self._read_errors(self._process))

    async def hear(self, pcm: Pcm) -> None:
        """Write a block to its input. Raises EngineError when it has ended or does not read."""
        assert self._process is not None, "open it first"
        assert self._process.stdin is not None
        pipe = self._process.stdin
        if self._process.returncode is not None or pipe.is_closing():
            raise await self._failure("has ended in the middle of the conversation")
        if pipe.transport.get_write_buffer_size() > _MOST_UNREAD_S * HEARD_HZ * 2:
            raise EngineError(
                f"{self.name} has not read {_MOST_UNREAD_S:.0f} s of sound.",
                "It must read its standard input all the time, also while it speaks.",
            )
        pipe.write(pcm.astype("<i2").tobytes())

    async def speech(self) -> AsyncGenerator[Pcm | None, None]:
        """What it writes. Raises EngineError when it closes its output before `close`."""
        assert self._process is not None, "open it first"
        assert self._process.stdout is not None
        samples = _SampleStream()
        while data := await self._process.stdout.read(_READ_BYTES):
            pcm = samples.push(data)
            if len(pcm):
                yield pcm
        if not self._closing:
            raise await self._failure("has closed its output in the middle of the conversation")

    async def close(self) -> None:
        """End its input, wait for it to end, and kill it after a few seconds."""
        self._closing = True
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(self._wait_and_drain(process), _EXIT_S)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await self._wait_and_drain(process)
        if self._error_reader is not None:
            await self._error_reader

    async def _wait_and_drain(self, process: asyncio.subprocess.Process) -> None:
        """Wait for its end; what it still writes is read and dropped, or it could block on a full pipe."""
        assert process.stdout is not None
        while await process.stdout.read(_READ_BYTES):
            pass
        await process.wait()

    async def _read_errors(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while line := await process.stderr.read(_READ_BYTES):
            lines = line.decode(errors="replace").splitlines()
            self._errors.extend(text for text in lines if text.strip())

    async def _failure(self, what: str) -> EngineError:
        process = self._process
        if process is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _EXIT_S)
        if self._error_reader is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._error_reader), _EXIT_S)
        status = process.returncode if process is not None else None
        said = f" It said: {self._errors[-1]}" if self._errors else ""
        ended = "" if status is None else f" (status {status})"
        return EngineError(f"{self.name} {what}{ended}.{said}", "Run it alone to see why.")


class WebSocketPeer:
    """A system behind a WebSocket, ws:// or wss://: binary messages are sound, both ways.

    The samples are a command's; every 20 ms the endpoint is sent one message of 640 bytes. A text message is
    JSON; `{"type": "clear"}` (or "interrupt", "flush") throws away what was sent but not played yet; any
    other is ignored.
    """

    def __init__(self, url: str, *, out_hz: int = HEARD_HZ) -> None:
        self.name = url
        self.out_hz = out_hz
        self._connection: ClientConnection | None = None
        self._closing = False

    async def open(self) -> None:
        """Connect. Raises MissingError without the package websockets, EngineError when nobody answers."""
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import WebSocketException
        except ImportError as error:
            raise MissingError(
                "Measuring a WebSocket endpoint needs the package websockets, which is not installed.",
                "Install it with: pip install websockets",
            ) from error
        try:
            # No compression: deflating sound would add its own delay to what is measured.
            self._connection = await connect(
                self.name, open_timeout=_CONNECT_S, compression=None, max_size=1 << 24
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            raise EngineError(f"{self.name} cannot be reached: {error}.", "Is it running there?") from error

    async def hear(self, pcm: Pcm) -> None:
        """Send a block. Raises EngineError when it has hung up."""
        from websockets.exceptions import ConnectionClosed

        assert self._connection is not None, "open it first"
        try:
            await self._connection.send(pcm.astype("<i2").tobytes())
        except ConnectionClosed as error:
            raise self._hung_up(error) from error

    async def speech(self) -> AsyncGenerator[Pcm | None, None]:
        """What it sends. Raises EngineError when it hangs up before `close`."""
        from websockets.exceptions import ConnectionClosed

        assert self._connection is not None, "open it first"
        samples = _SampleStream()
        while True:
            try:
                message = await self._connection.recv()
            except ConnectionClosed as error:
                if self._closing:
                    return
                raise self._hung_up(error) from error
            if isinstance(message, str):
                if _message_type(message) in _CLEAR:
                    samples = _SampleStream()
                    yield None
                continue
            pcm = samples.push(message)
            if len(pcm):
                yield pcm

    async def close(self) -> None:
        """Hang up."""
        self._closing = True
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _hung_up(self, error: Exception) -> EngineError:
        return EngineError(
            f"{self.name} hung up in the middle of the conversation: {error}.", "See what it logged."
        )


def _message_type(message: str) -> str:
    try:
        document = json.loads(message)
    except ValueError:
        return ""
    return str(document.get("type", "")) if isinstance(document, dict) else ""
