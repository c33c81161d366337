"""The process around one conversation: `python -m cvi.server.worker`.

Lines of JSON both ways over standard input and output; logs go to standard error. The first line is
the spec (`cvi.server.worker.messages`). It ends by itself when the conversation does, on SIGTERM, SIGINT,
or when standard input ends because the server is gone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from typing import Any, BinaryIO

from cvi.errors import CviError
from cvi.server.worker.messages import LONGEST_LINE, read_spec

ASKED_TO_STOP = "end_conversation_endpoint_hit"
FLUSH_WITHIN_S = 5.0

log = logging.getLogger("cvi.server.worker")


class Lines:
    """Messages to the server. Standard output is its alone: what libraries print goes to standard error."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._pipe: asyncio.WriteTransport | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._pipe, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, self._out)

    def send(self, message: dict[str, Any]) -> None:
        """Never blocks; what the server is too slow to read waits here."""
        if self._pipe is not None and not self._pipe.is_closing():
            self._pipe.write(json.dumps(message, default=str).encode() + b"\n")

    async def close(self) -> None:
        """Wait until everything has been read, but not for ever."""
        pipe = self._pipe
        if pipe is None:
            return
        for _ in range(round(FLUSH_WITHIN_S / 0.01)):
            if not pipe.get_write_buffer_size() or pipe.is_closing():
                break
            await asyncio.sleep(0.01)
        pipe.abort()


async def hold(out: BinaryIO) -> int:
    """Read the spec, hold the conversation; returns the exit status."""
    lines = Lines(out)
    await lines.open()
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    status = 0
    try:
        await _hold(lines, reader)
    except CviError as error:
        lines.send({"type": "failed", "message": str(error)})
        log.error("%s", error)
        status = error.exit_status
    except Exception:
        # The conversation ends alone; the server is told, and the trace is in its log.
        lines.send({"type": "failed", "message": "A fault of the program; see worker.log."})
        log.exception("the conversation failed")
        status = 1
    await lines.close()
    return status


async def _hold(lines: Lines, reader: asyncio.StreamReader) -> None:
    spec = read_spec((await reader.readline()).decode())
    from cvi.server.worker.session import Session

    session = Session(spec, lines.send)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, session.end, ASKED_TO_STOP)
    listening = asyncio.create_task(_listen(reader, session))
    running = asyncio.create_task(session.run())
    # Until the engines are warm nothing can be ended in good order: it is simply dropped.
    try:
        await running
    finally:
        listening.cancel()


async def _listen(reader: asyncio.StreamReader, session: Any) -> None:
    while True:
        try:
            line = await reader.readline()
        except ValueError:
            log.error("a line of the server's is longer than %d bytes", LONGEST_LINE)
            continue
        if not line:
            session.end(ASKED_TO_STOP)
            return
        try:
            message = json.loads(line)
        except ValueError:
            log.error("a line of the server's is not JSON")
            continue
        if isinstance(message, dict):
            session.handle(message)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    # Threads hand the interpreter over every millisecond: sound must not wait five for a frame.
    sys.setswitchinterval(0.001)
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    status = asyncio.run(hold(out))
    sys.stdout.flush()
    # Native libraries' threads are not waited for: everything that had to be written is.
    os._exit(status)


if __name__ == "__main__":
    main()
