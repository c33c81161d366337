"""Children that exchange typed messages with their parent."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from cvi.child_process import ChildProcess, run_command

PREAMBLE = """
import asyncio, os, sys, threading, time
from typing import Literal
from pydantic import BaseModel, TypeAdapter
from cvi.child_process import ParentPipe, claim_stdout, encode, read_messages, stop_with_parent

class Count(BaseModel):
    type: Literal["count"] = "count"
    number: int

COUNTS = TypeAdapter(Count)
"""
ECHO = """
async def main():
    pipe = ParentPipe(claim_stdout(), COUNTS)
    await pipe.open()
    print("printed by a library")
    while True:
        try:
            message = await pipe.receive()
        except ValueError as error:
            print("invalid:", error)
            continue
        if message is None:
            break
        pipe.send(Count(number=message.number + 1))
    await pipe.close()

asyncio.run(main())
"""


class Count(BaseModel):
    type: Literal["count"] = "count"
    number: int


class Note(BaseModel):
    type: Literal["note"] = "note"
    text: str


MESSAGES: TypeAdapter[Count | Note] = TypeAdapter(Annotated[Count | Note, Field(discriminator="type")])


class Child:
    def __init__(self, folder: Path, program: str, **options: int) -> None:
        self.messages: list[Count | Note] = []
        self.changed = asyncio.Event()
        self.log = folder / "child.log"
        command = (sys.executable, "-c", PREAMBLE + program)
        self.process = ChildProcess(command, self.log, MESSAGES, self._add, **options)

    def _add(self, message: Count | Note) -> None:
        self.messages.append(message)
        self.changed.set()

    async def received(self, count: int) -> list[Count | Note]:
        async with asyncio.timeout(60):
            while len(self.messages) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.messages


async def test_messages_go_both_ways_and_what_is_printed_goes_to_the_log(tmp_path: Path) -> None:
    child = Child(tmp_path, ECHO)
    await child.process.start()
    assert child.process.send(Count(number=1)) and child.process.send(Count(number=5))
    assert await child.received(2) == [Count(number=2), Count(number=6)]
    assert child.process.running
    child.process.close_input()
    assert await child.process.wait() == 0
    assert not child.process.running and not child.process.send(Count(number=1))
    assert "printed by a library" in child.log.read_text()


async def test_a_message_of_many_megabytes_reaches_the_child_whole(tmp_path: Path) -> None:
    """A conversation's start holds the persona and the request's context, a MiB each."""
    notes = "class Note(BaseModel):\n    type: Literal['note']\n    text: str\n"
    counting = ECHO.replace("COUNTS)", "TypeAdapter(Note))").replace(".number", ".text.count('\u4e2d')")
    child = Child(tmp_path, notes + counting)
    await child.process.start()
    assert child.process.send(Note(text="\u4e2d" * (6 << 20)))
    assert await child.received(1) == [Count(number=(6 << 20) + 1)]
    await child.process.stop(0.0, 60.0)


async def test_the_child_checks_what_it_is_sent(tmp_path: Path) -> None:
    child = Child(tmp_path, ECHO)
    await child.process.start()
    child.process.send(Note(text="secret"))
    child.process.send(Count(number=1))
    assert await child.received(1) == [Count(number=2)]
    await child.process.stop(0.0, 60.0)
    log = child.log.read_text()
    assert "invalid: type" in log and "secret" not in log


async def test_the_parent_skips_what_is_no_message(tmp_path: Path) -> None:
    noise = 'out = claim_stdout()\nout.write(b\'noise\\n[1]\\n{"type": "count"}\\n\')\nout.write(encode(Count(number=3)))'
    child = Child(tmp_path, noise)
    await child.process.start()
    assert await child.process.wait() == 0
    assert child.messages == [Count(number=3)]


async def test_a_line_without_end_costs_the_child_its_life(tmp_path: Path) -> None:
    endless = "out = claim_stdout()\nout.write(b'x' * 100_000)\ntime.sleep(600)"
    child = Child(tmp_path, endless, max_line_bytes=10_000)
    await child.process.start()
    assert await child.process.wait() == -9


async def test_a_child_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "claim_stdout().write(encode(Count(number=0)))\ntime.sleep(600)"
    )
    child = Child(tmp_path, stubborn)
    await child.process.start()
    await child.received(1)
    await child.process.stop(0.0, 0.05)
    assert await child.process.wait() == -9


async def test_a_child_without_an_event_loop_stops_with_its_parent(tmp_path: Path) -> None:
    program = (
        "out = claim_stdout()\nfirst = next(read_messages(COUNTS))\nstop = threading.Event()\n"
        "stop_with_parent(stop, 60.0, 3)\nout.write(encode(first))\nstop.wait()\nos._exit(7)"
    )
    child = Child(tmp_path, program)
    await child.process.start()
    child.process.send(Count(number=4))
    assert await child.received(1) == [Count(number=4)]
    child.process.close_input()
    assert await child.process.wait() == 7


async def test_a_command_is_run_to_its_end_or_for_its_time() -> None:
    failing = await run_command((sys.executable, "-c", "import sys; sys.exit('it failed')"), 60.0)
    assert (failing.status, failing.errors) == (1, "it failed")
    assert (await run_command((sys.executable, "-c", "import time; time.sleep(600)"), 0.05)).status is None
