"""Child processes that exchange typed messages with their parent, one JSON object a line.

The parent writes to the child's standard input and reads its standard output; the child's standard error
goes to a log file. Messages are pydantic models: a `TypeAdapter` of a union checks each one on the side that
reads it. A child ends when its standard input does, so none outlives its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from cvi.files import private, private_folder

MAX_LINE_BYTES = 32 << 20
"""A transcript of an hour is about 100 kB, a picture for a vision tool about 1 MB."""
MAX_UNREAD_BYTES = 64 << 20
FLUSH_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 2.0

M = TypeVar("M")
log = logging.getLogger("cvi.child_process")


def module_command(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs `module` with this program's own interpreter."""
    return (sys.executable, "-m", module, *arguments)


def encode(message: BaseModel) -> bytes:
    """A message as a line."""
    return message.model_dump_json().encode() + b"\n"


def fault_of(error: ValidationError) -> str:
    """The first fault in words, without the value that caused it."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'message'}: {first['msg']}"


class ChildProcess(Generic[M]):
    """One child, from the parent's side. Event loop only; nothing here blocks it.

    `on_message` is called with every valid message of the child, in order; invalid ones are logged and
    skipped. The child runs in a session of its own: Ctrl-C in the terminal reaches the parent alone, and
    signals sent from here reach whatever the child started.
    """

    def __init__(
        self,
        command: Sequence[str],
        log_path: Path,
        messages: TypeAdapter[M],
        on_message: Callable[[M], None],
        *,
        environment: Mapping[str, str] | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        """`messages` checks what the child sends; `environment` is added to this process's own."""
        self._command = list(command)
        self._log_path = log_path
        self._messages = messages
        self._on_message = on_message
        self._environment = dict(environment or {})
        self._max_line_bytes = max_line_bytes
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it. Raises OSError when that is not possible."""
        private_folder(self._log_path.parent)
        with open(self._log_path, "ab", opener=private) as errors:  # noqa: ASYNC230 (opened once, on a local disk)
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=errors,
                limit=self._max_line_bytes,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self._environment},
            )
        self._reading = asyncio.create_task(self._read(self._process))

    @property
    def pid(self) -> int | None:
        """The process's number; None before it was started."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    def send(self, message: BaseModel) -> bool:
        """Queue a message for the child; False when it is gone or has left `MAX_UNREAD_BYTES` unread."""
        pipe = None if self._process is None else self._process.stdin
        if pipe is None or pipe.is_closing():
            return False
        if pipe.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            log.error("child does not read its messages", extra={"pid": self.pid})
            return False
        pipe.write(encode(message))
        return True

    def close_input(self) -> None:
        """Close its standard input, which asks it to end."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def wait(self) -> int:
        """Its exit status, once it has ended and everything it wrote was read."""
        if self._process is None or self._reading is None:
            raise RuntimeError("start() comes first")
        status = await self._process.wait()
        # A grandchild may hold the pipe open; what the child itself wrote has arrived by now.
        await asyncio.wait([self._reading], timeout=READ_TIMEOUT_S)
        self._reading.cancel()
        return status

    async def stop(self, terminate_s: float, kill_s: float) -> None:
        """Return once it has ended: by itself in `terminate_s`, on SIGTERM in `kill_s`, or on SIGKILL."""
        process = self._process
        if process is None:
            return
        for wait_s, number in ((terminate_s, signal.SIGTERM), (kill_s, signal.SIGKILL)):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), wait_s)
                return
            log.warning("child is ended by %s", number.name, extra={"pid": process.pid})
            self._signal(number)
        await process.wait()

    def kill(self) -> None:
        """Send SIGKILL to it and to what it started."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.running and self.pid is not None:
            _signal_group(self.pid, number)

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                log.error("child wrote a line of more than %d bytes", self._max_line_bytes)
                self.kill()
                while await process.stdout.read(1 << 16):  # its pipe closes only once it is empty
                    pass
                return
            if not line:
                return
            try:
                message = self._messages.validate_json(line)
            except ValidationError as error:
                log.warning("child wrote no valid message: %s", fault_of(error), extra={"pid": process.pid})
                continue
            try:
                self._on_message(message)
            except Exception:  # no message may end the reading
                log.exception("a message could not be handled", extra={"pid": process.pid})


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended. `status` None: it was stopped after its time; `errors` is its standard error."""

    status: int | None
    errors: str


async def run_command(command: Sequence[str], timeout_s: float) -> Finished:
    """Run a command without input to its end, for `timeout_s` at most.

    It is killed, with what it started, when the time is over or the caller is cancelled. Raises OSError when
    it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, start_new_session=True
    )
    try:
        async with asyncio.timeout(timeout_s):
            _, errors = await process.communicate()
    except TimeoutError:
        return Finished(None, "")
    finally:
        if process.returncode is None:
            _signal_group(process.pid, signal.SIGKILL)
            await process.communicate()
    return Finished(process.returncode, errors.decode("utf-8", "replace").strip())


def claim_stdout() -> BinaryIO:
    """In a child: standard output, for messages alone. What libraries print goes to standard error."""
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return out


class ParentPipe(Generic[M]):
    """The parent, from an asynchronous child's side. `messages` checks what the parent sends."""

    def __init__(
        self, out: BinaryIO, messages: TypeAdapter[M], *, max_line_bytes: int = MAX_LINE_BYTES
    ) -> None:
        """`out` is what `claim_stdout` gave."""
        self._out = out
        self._messages = messages
        self._max_line_bytes = max_line_bytes
        self._pipe: asyncio.WriteTransport | None = None
        self._flow = _FlushProtocol()
        self._reader: asyncio.StreamReader | None = None

    async def open(self) -> None:
        """Connect both pipes to the event loop."""
        loop = asyncio.get_running_loop()
        self._pipe, _ = await loop.connect_write_pipe(lambda: self._flow, self._out)
        self._pipe.set_write_buffer_limits(high=0)
        reader = self._reader = asyncio.StreamReader(limit=self._max_line_bytes)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    def send(self, message: BaseModel) -> None:
        """Never blocks; what the parent is too slow to read waits here."""
        if self._pipe is not None and not self._pipe.is_closing():
            self._pipe.write(encode(message))

    async def receive(self) -> M | None:
        """The parent's next message; None when it is gone. Raises ValueError for one that is not valid."""
        assert self._reader is not None, "open() comes first"
        line = await self._reader.readline()
        if not line:
            return None
        try:
            return self._messages.validate_json(line)
        except ValidationError as error:
            raise ValueError(fault_of(error)) from None

    async def close(self) -> None:
        """Wait until the parent has read everything, for a few seconds at most."""
        pipe = self._pipe
        if pipe is None:
            return
        if pipe.get_write_buffer_size() and not pipe.is_closing():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._flow.flushed.wait(), FLUSH_TIMEOUT_S)
        if not pipe.is_closing():
            pipe.abort()


class _FlushProtocol(asyncio.BaseProtocol):
    """With a write limit of zero bytes, writing resumes exactly when the buffer is empty."""

    def __init__(self) -> None:
        self.flushed = asyncio.Event()
        self.flushed.set()

    def pause_writing(self) -> None:
        self.flushed.clear()

    def resume_writing(self) -> None:
        self.flushed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.flushed.set()


def read_messages(messages: TypeAdapter[M]) -> Iterator[M]:
    """In a child without an event loop: the parent's messages until it is gone. Raises ValueError."""
    for line in sys.stdin.buffer:
        try:
            yield messages.validate_json(line)
        except ValidationError as error:
            raise ValueError(fault_of(error)) from None


def exit_with_parent(within_s: float) -> None:
    """In a child with an event loop: end it when the parent is gone and it does not end by itself in time.

    The parent's pipe tells the event loop the same; this is for one that is stuck. Call it once, first.
    """
    parent = os.getppid()

    def watch() -> None:
        waiting = threading.Event()
        while os.getppid() == parent:
            waiting.wait(1.0)
        waiting.wait(within_s)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


def stop_with_parent(stop: threading.Event, exit_after_s: float, status: int) -> None:
    """In a child without an event loop: set `stop` on SIGINT, SIGTERM and when the parent is gone.

    Nothing may read standard input after this call. A program that goes on for `exit_after_s` after its
    parent is gone is ended with `status`.
    """

    def watch() -> None:
        while sys.stdin.buffer.readline():
            pass
        stop.set()
        threading.Event().wait(exit_after_s)
        os._exit(status)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=watch, daemon=True, name="parent-watch").start()
