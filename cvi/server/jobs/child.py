"""Jobs whose work is done by a process of its own: its messages, and both ends of its pipe.

The first line of the child's standard input is the order, a model of the job's kind; then the child sends how
far it is, and last whether it succeeded. It may be killed at any moment and must go on when it is run again.
"""

from __future__ import annotations

import asyncio
import os
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from cvi.child_process import (
    ChildProcess,
    claim_stdout,
    encode,
    read_messages,
    stop_with_parent,
)
from cvi.errors import CviError

STOPPED = 130
"""Exit status of a child that was told to stop."""

Order = TypeVar("Order", bound=BaseModel)


class JobProgress(BaseModel):
    """`done` of `of` units of a stage are finished."""

    model_config = ConfigDict(frozen=True)

    type: Literal["progress"] = "progress"
    stage: str
    done: int
    of: int


class JobSucceeded(BaseModel):
    """The work is whole."""

    type: Literal["succeeded"] = "succeeded"


class JobFailed(BaseModel):
    """The work cannot be done; `message` says why, for the person who ordered it."""

    type: Literal["failed"] = "failed"
    message: str


Message = Annotated[JobProgress | JobSucceeded | JobFailed, Field(discriminator="type")]
MESSAGES: TypeAdapter[JobProgress | JobSucceeded | JobFailed] = TypeAdapter(Message)


class ChildFailedError(CviError):
    """The child said that the work cannot be done."""


class ChildLostError(CviError):
    """The child ended without a word, as one does that the system kills for its memory."""


class ChildTimeoutError(CviError):
    """The child took too long and was ended."""


async def run_child(
    command: Sequence[str],
    order: BaseModel,
    log_path: Path,
    *,
    stages: Mapping[str, tuple[int, int]],
    report: Callable[[float], None],
    within_s: float,
    stop_within_s: Callable[[], float],
) -> None:
    """Run a child to its end; its standard error is appended to `log_path`.

    `report` is called with the percentage done; `stages` says at which ones each stage begins and ends. When
    the caller is cancelled the child is told to stop, and killed after `stop_within_s()`. Raises
    `ChildFailedError`, `ChildLostError` (its message is the last line of the log), `ChildTimeoutError` after
    `within_s`, and OSError when the child cannot be started.
    """
    last: JobSucceeded | JobFailed | None = None

    def heard(message: JobProgress | JobSucceeded | JobFailed) -> None:
        nonlocal last
        if not isinstance(message, JobProgress):
            last = message
        elif message.stage in stages:
            begin, end = stages[message.stage]
            report(begin + (end - begin) * min(message.done / max(message.of, 1), 1.0))

    child = ChildProcess(command, log_path, MESSAGES, heard)
    await child.start()
    try:
        child.send(order)
        async with asyncio.timeout(within_s):
            status = await child.wait()
    except TimeoutError:
        raise ChildTimeoutError("It took too long.") from None
    finally:
        if child.running:
            await child.stop(0.0, stop_within_s())
    if isinstance(last, JobFailed):
        raise ChildFailedError(last.message)
    if last is None:
        raise ChildLostError(f"status {status}: {await asyncio.to_thread(_last_line, log_path)}")


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][-300:] if lines else ""


class Report:
    """The parent, as a child's work sees it. Both methods may be called from any thread.

    `stopped` is set when the work is to end soon, with everything kept that it did.
    """

    def __init__(self) -> None:
        # Before anything is printed: standard output is for messages alone.
        self._out = claim_stdout()
        self.stopped = threading.Event()

    def progress(self, stage: str, done: int, of: int) -> None:
        """Tell how far a stage is."""
        self.send(JobProgress(stage=stage, done=done, of=of))

    def send(self, message: BaseModel) -> None:
        """Send a message; a parent that is gone sets `stopped`."""
        try:
            self._out.write(encode(message))
        except BrokenPipeError:
            self.stopped.set()


def serve_child(
    order_type: type[Order],
    work: Callable[[Order, Report], None],
    *,
    describe: Callable[[CviError, Order], str] = lambda error, order: error.message,
    gone_after_s: float = 0.0,
) -> NoReturn:
    """The whole of a child's program: read the order, do the work, tell how it ended, exit.

    `work` raises CviError for what cannot be done, which `describe` puts into words, and KeyboardInterrupt
    when it was stopped. A child whose parent is gone is ended after `gone_after_s`.
    """
    report = Report()
    order = next(read_messages(TypeAdapter(order_type)), None)
    if order is None:
        os._exit(STOPPED)
    stop_with_parent(report.stopped, gone_after_s, STOPPED)
    status = 0
    try:
        work(order, report)
        report.send(JobSucceeded())
    except KeyboardInterrupt:
        status = STOPPED
    except CviError as error:
        status = STOPPED if report.stopped.is_set() else error.exit_status
        if not report.stopped.is_set():
            report.send(JobFailed(message=describe(error, order)))
    except Exception:  # a fault of ours: the parent sees an end without a word, the log has the trace
        traceback.print_exc()
        status = 1
    # The thread that watches the parent sits in a read that nothing ends.
    os._exit(status)
