"""Feeds borders with hostile inputs and counts what must not happen.

An input is known by border, seed and number, and is kept as a file where it was a fault. Each border runs in a
process of its own that is killed when one input takes longer than `HANG_S`; the next one goes on behind it.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import logging
import multiprocessing
import os
import random
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

HANG_S = 5.0
GROWTH_MIB = 200.0
START_S = 120.0
"""Imports and the start of a border, on a busy machine."""
_WARM = 50
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)
CORPUS = Path(__file__).parent / "corpus"

Feed = Callable[[bytes], Awaitable[None]]


class ServerFault(Exception):
    """An answer with status 500, or one that holds a trace."""


class HalfWritten(Exception):
    """Something refused left something behind."""


@dataclass(frozen=True, slots=True)
class Border:
    """One place where bytes come in. `make` draws an input; `opened(folder)` yields what takes one.

    Feeding returns where the input was taken or refused in words (`CviError`); whatever it raises is a fault.
    """

    name: str
    make: Callable[[random.Random], bytes]
    opened: Callable[[Path], Any]


@dataclass
class Report:
    """What became of a border's inputs."""

    border: str
    tried: int = 0
    traces: int = 0
    server_faults: int = 0
    half_written: int = 0
    hangs: int = 0
    crashes: int = 0
    growth_mib: float = 0.0
    slowest_s: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """No fault, and memory that did not grow by more than `GROWTH_MIB`."""
        counts = self.traces + self.server_faults + self.half_written + self.hangs + self.crashes
        return counts == 0 and self.growth_mib <= GROWTH_MIB

    def count(self, error: BaseException) -> None:
        """Note what an input has raised, each place once."""
        if isinstance(error, ServerFault):
            self.server_faults += 1
        elif isinstance(error, HalfWritten):
            self.half_written += 1
        else:
            self.traces += 1
        where = traceback.extract_tb(error.__traceback__)[-1] if error.__traceback__ else None
        place = f" ({Path(where.filename).name}:{where.lineno})" if where else ""
        line = f"{type(error).__name__}{place}: {str(error)[:300]}"
        if line.partition(":")[0] not in {known.partition(":")[0] for known in self.faults} or not where:
            self.faults.append(line)


def input_of(border: Border, seed: int, number: int) -> bytes:
    """Input `number` of a border: the kept faults first, then drawn ones."""
    kept = sorted((CORPUS / border.name).glob("*")) if (CORPUS / border.name).is_dir() else []
    if number < len(kept):
        return kept[number].read_bytes()
    return border.make(random.Random(f"{seed} {border.name} {number}"))


def keep(folder: Path, border: str, data: bytes) -> Path:
    """Write the input of a fault to `folder/BORDER/HASH`; returns the file."""
    path = folder / border / hashlib.sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


async def feed_all(
    border: Border,
    inputs: Iterator[bytes],
    work: Path,
    faults: Path,
    tell: Callable[[Report, bytes | None], None] = lambda report, data: None,
    hang_s: float = HANG_S,
) -> Report:
    """Feed inputs in this process; `tell` is called with each input before it is fed, and with None after."""
    report = Report(border.name)
    logged: list[logging.LogRecord] = []
    handler = _Traces(logged)
    logging.getLogger().addHandler(handler)
    at_first = 0.0
    try:
        async with border.opened(work) as feed:
            for data in inputs:
                tell(report, data)
                began = time.monotonic()
                raised: BaseException | None = None
                try:
                    async with asyncio.timeout(hang_s):
                        await feed(data)
                except Exception as error:  # whatever comes out is the fault that is looked for
                    raised = error
                took_s = time.monotonic() - began
                if took_s >= hang_s:
                    raised = None
                    report.hangs += 1
                    report.faults.append(f"hung for {took_s:.1f} s: {keep(faults, border.name, data)}")
                elif raised is None and logged and logged[0].exc_info:
                    raised = logged[0].exc_info[1]
                logged.clear()
                if raised is not None:
                    before = len(report.faults)
                    report.count(raised)
                    if len(report.faults) > before:
                        report.faults[-1] += f" [{keep(faults, border.name, data)}]"
                report.tried += 1
                report.slowest_s = max(report.slowest_s, took_s)
                if report.tried == _WARM:
                    at_first = _resident_mib()
                elif report.tried > _WARM and report.tried % 50 == 0:
                    report.growth_mib = max(report.growth_mib, _resident_mib() - at_first)
                tell(report, None)
    finally:
        logging.getLogger().removeHandler(handler)
    return report


def run_file(border: Border, file: Path, work: Path, faults: Path) -> Report:
    """Feed one kept input, in this process."""
    os.environ["CVI_HOME"] = str(work)
    return asyncio.run(feed_all(border, iter([file.read_bytes()]), work, faults))


def run_border(
    name: str,
    seed: int,
    seconds: float,
    work: Path,
    faults: Path,
    *,
    module: str = "borders",
    hang_s: float = HANG_S,
) -> Report:
    """Feed a border for `seconds` in processes of its own; returns the sum of what happened.

    `module` has it in its `BORDERS`. A process that takes twice `hang_s` for one input is killed.
    """
    total, ends, number = Report(name), time.monotonic() + seconds, 0
    while (left := ends - time.monotonic()) > 0 or number == 0:
        here, there = multiprocessing.get_context("spawn").Pipe()
        home = work / f"{name}-{number}"
        home.mkdir()
        child = multiprocessing.get_context("spawn").Process(
            target=_child, args=(there, module, name, seed, number, max(left, 0.1), home, faults, hang_s)
        )
        child.start()
        there.close()
        last, current, stuck = Report(name), None, False
        try:
            patience = START_S
            while here.poll(patience):
                last, current = here.recv()
                patience = hang_s * 2 if current is not None else START_S
            stuck = True
        except EOFError:
            pass
        if stuck:
            child.kill()
        child.join()
        _add(total, last)
        number += last.tried
        if current is None and not stuck and child.exitcode == 0:
            break
        what = "hung" if stuck else f"ended the process ({child.exitcode})"
        total.hangs, total.crashes = total.hangs + stuck, total.crashes + (not stuck)
        total.tried += 1
        place = keep(faults, name, current) if current is not None else "between inputs"
        total.faults.append(f"{what}: {place}")
        number += 1
    return total


def _child(
    pipe: Connection,
    module: str,
    name: str,
    seed: int,
    first: int,
    seconds: float,
    home: Path,
    faults: Path,
    hang_s: float,
) -> None:
    os.environ["CVI_HOME"] = str(home)
    logging.getLogger().addHandler(logging.NullHandler())
    border: Border = importlib.import_module(module).BORDERS[name]

    def inputs() -> Iterator[bytes]:
        number, ends = first, time.monotonic() + seconds
        while time.monotonic() < ends:
            yield input_of(border, seed, number)
            number += 1

    def tell(report: Report, data: bytes | None) -> None:
        pipe.send((report, data))

    tell(asyncio.run(feed_all(border, inputs(), home, faults, tell, hang_s)), None)


def _add(total: Report, part: Report) -> None:
    for name in ("tried", "traces", "server_faults", "half_written", "hangs", "crashes"):
        setattr(total, name, getattr(total, name) + getattr(part, name))
    total.growth_mib = max(total.growth_mib, part.growth_mib)
    total.slowest_s = max(total.slowest_s, part.slowest_s)
    total.faults += part.faults


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_MIB


class _Traces(logging.Handler):
    """Collects what was logged with a trace: a server that caught its own fault."""

    def __init__(self, into: list[logging.LogRecord]) -> None:
        super().__init__(logging.ERROR)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self._into.append(record)


@asynccontextmanager
async def plain(feed: Callable[[bytes], None]) -> AsyncIterator[Feed]:
    """A border that is a plain function; refusals in words are no faults."""
    from cvi.errors import CviError

    async def refusable(data: bytes) -> None:
        with suppress(CviError):
            feed(data)

    yield refusable
