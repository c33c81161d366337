"""What a process and its children take of the machine, read from /proc (Linux).

Reading costs the watched process nothing but the kernel's walk over its memory map: about 5 ms for
600 MiB, once a sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cvi.errors import MissingError

PROC = Path("/proc")
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """One sample. `at_s`: seconds since the watch began. Memory in MiB, summed over the process tree.

    `rss_mib` counts pages shared by two processes twice, `pss_mib` once; it is None where the kernel
    does not say. `cpu_s`: processor time taken so far.
    """

    at_s: float
    rss_mib: float
    pss_mib: float | None
    threads: int
    handles: int
    processes: int
    cpu_s: float


def check_readable(proc: Path = PROC) -> None:
    """Raises MissingError on systems without /proc."""
    if not (proc / "self" / "statm").is_file():
        raise MissingError(
            "`cvi bench soak` reads /proc, which this system does not have.", "Run it on Linux."
        )


def sample_tree(pid: int, at_s: float, *, proc: Path = PROC, tick_hz: int = 100) -> ProcessSample | None:
    """The tree under `pid` now; None once the process is gone."""
    found = [one for member in _tree(pid, proc) if (one := _one(member, proc, tick_hz)) is not None]
    if not found or found[0][0] == 0:
        return None
    rss, pss, threads, handles, cpu_s = zip(*found, strict=True)
    shares = [share for share in pss if share is not None]
    return ProcessSample(
        at_s=round(at_s, 2),
        rss_mib=round(sum(rss) / MIB, 2),
        pss_mib=round(sum(shares) / MIB, 2) if len(shares) == len(found) else None,
        threads=sum(threads),
        handles=sum(handles),
        processes=len(found),
        cpu_s=round(sum(cpu_s), 2),
    )


def _tree(pid: int, proc: Path) -> Iterator[int]:
    """`pid` first, then all that descend from it."""
    yield pid
    for children in (proc / str(pid) / "task").glob("*/children"):
        try:
            named = children.read_text(encoding="ascii").split()
        except OSError:
            continue
        for child in named:
            yield from _tree(int(child), proc)


def _one(pid: int, proc: Path, tick_hz: int) -> tuple[int, int | None, int, int, float] | None:
    """Resident and proportional bytes, threads, handles, processor seconds of one process."""
    folder = proc / str(pid)
    try:
        status = _fields(folder / "status")
        resident = int(status.get("VmRSS", "0").split()[0]) * 1024
        handles = sum(1 for _ in (folder / "fd").iterdir())
        # The name, in brackets, may hold spaces: what is counted comes after it.
        stat = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return resident, _pss(folder), int(status["Threads"]), handles, (int(stat[11]) + int(stat[12])) / tick_hz


def _pss(folder: Path) -> int | None:
    try:
        return int(_fields(folder / "smaps_rollup")["Pss"].split()[0]) * 1024
    except (OSError, KeyError):
        return None


def _fields(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: value for name, _, value in (line.partition(":") for line in lines) if value}
