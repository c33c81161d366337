"""The process around one conversation: `python -m cvi.server.worker`.

It exchanges the messages of `cvi.server.worker.messages` with the server; logs go to standard error. It ends
when the conversation does, on SIGTERM, SIGINT, or when standard input ends because the server is gone: then
the next server lets the conversation go on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, BinaryIO

from cvi.child_process import ParentPipe, claim_stdout, exit_with_parent
from cvi.errors import CviError, UsageError
from cvi.server.worker.messages import SERVER_MESSAGES, EndSession, ServerMessage, SessionFailed, StartSession

if TYPE_CHECKING:
    from cvi.server.worker.session import Session

GONE_AFTER_S = 20.0
"""How long a conversation may take to end in order once the server is gone."""

log = logging.getLogger("cvi.server.worker")


async def hold(out: BinaryIO) -> int:
    """Receive the start message and hold the conversation; returns the exit status."""
    pipe = ParentPipe(out, SERVER_MESSAGES)
    await pipe.open()
    status = 0
    try:
        await _hold(pipe)
    except CviError as error:
        pipe.send(SessionFailed(message=str(error)))
        log.error("%s", error)
        status = error.exit_status
    except Exception:
        # Whatever fails here ends this conversation alone; the trace is in its log.
        pipe.send(SessionFailed(message="A fault of the program; see worker.log."))
        log.exception("the conversation failed")
        status = 1
    await pipe.close()
    return status


async def _hold(pipe: ParentPipe[ServerMessage]) -> None:
    try:
        start = await pipe.receive()
    except ValueError as error:
        raise UsageError(f"The first line must be a `start` message: {error}.") from None
    if not isinstance(start, StartSession):
        raise UsageError("The first line must be a `start` message.")
    from cvi.server.worker.session import Session

    session = Session(start, pipe.send)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, session.end, EndSession().reason)
    listening = asyncio.create_task(_listen(pipe, session))
    try:
        await session.run()
    finally:
        listening.cancel()


async def _listen(pipe: ParentPipe[ServerMessage], session: Session) -> None:
    while True:
        try:
            message = await pipe.receive()
        except ValueError as error:
            log.error("the server sent no valid message: %s", error)
            continue
        if message is None:
            session.abandon()
            return
        try:
            session.handle(message)
        except (
            Exception
        ):  # no message may end the listening: the next may be the one that ends the conversation
            log.exception("a message of the server could not be handled")
            session.refuse(message)


def main() -> None:
    """Hold the conversation that standard input describes, then end the process."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    for library in ("aioice", "aiortc"):  # their lines name participants' addresses
        logging.getLogger(library).setLevel(logging.ERROR)
    # Threads hand the interpreter over every millisecond: sound must not wait five for a frame.
    sys.setswitchinterval(0.001)
    exit_with_parent(GONE_AFTER_S)
    status = asyncio.run(hold(claim_stdout()))
    sys.stdout.flush()
    # Native libraries' threads are not waited for: everything that had to be written is.
    os._exit(status)


if __name__ == "__main__":
    main()
