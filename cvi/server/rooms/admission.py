"""Admission control: whether this machine can carry one more conversation, from what the running ones use.

Memory is counted hard: a machine that swaps stops every conversation at once. Processors are counted by
what the conversations' own processes use, so that a moment's load of something else refuses nobody.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
FIRST_GUESS_BYTES = 900 * MIB
"""Until a conversation has run: the embedded profile at 720p takes 580 MiB (`cvi bench soak`); half as much
again is kept for what a browser at its other end may add."""
KEEP_FREE_BYTES = 512 * MIB
SPARE_PROCESSORS = 0.25


@dataclass(slots=True)
class _Seen:
    processor_s: float
    at_s: float
    load: float = 0.0


class AdmissionControl:
    """Measures workers. `look` is called every few seconds, `refusal` before a conversation is opened."""

    def __init__(
        self,
        cores: int,
        available_bytes: Callable[[], int] | None = None,
        usage: Callable[[int], tuple[int, float] | None] | None = None,
    ) -> None:
        """`usage(pid)` gives resident bytes and processor seconds, None of a process that is gone."""
        self._cores = cores
        self._available = available_bytes or memory_available
        self._usage = usage or process_usage
        self._seen: dict[int, _Seen] = {}
        self.peak_bytes = 0
        self.peak_load = 0.0

    def look(self, pids: Iterable[int], now_s: float, starting: Iterable[int] = ()) -> None:
        """Measure the workers that run now. Takes well under a millisecond each.

        Of those `starting` memory alone counts: loading its models keeps a processor busy as no
        conversation does.
        """
        for pid in starting:
            used = self._usage(pid)
            if used is not None:
                self.peak_bytes = max(self.peak_bytes, used[0])
        seen: dict[int, _Seen] = {}
        for pid in pids:
            used = self._usage(pid)
            if used is None:
                continue
            resident, processor_s = used
            self.peak_bytes = max(self.peak_bytes, resident)
            before = self._seen.get(pid)
            mark = _Seen(processor_s, now_s)
            if before is not None and now_s > before.at_s:
                mark.load = (processor_s - before.processor_s) / (now_s - before.at_s)
                self.peak_load = max(self.peak_load, mark.load)
            seen[pid] = mark
        self._seen = seen

    @property
    def load(self) -> float:
        """Processors in use by all conversations together, at the last look."""
        return sum(mark.load for mark in self._seen.values())

    def refusal(self, running: int, starting: int) -> str | None:
        """Why no further conversation fits; None when one does.

        `starting` are those too young to have shown what they take. The first always fits the
        processors: with one at a time there is nothing to disturb.
        """
        each = max(self.peak_bytes, FIRST_GUESS_BYTES)
        need = each * (starting + 1) + KEEP_FREE_BYTES
        free = self._available()
        if free < need:
            return f"memory: {free // MIB} MiB free, {need // MIB} MiB needed"
        wanted = self.load + self.peak_load * (starting + 1)
        if running + starting > 0 and self.peak_load and wanted > self._cores - SPARE_PROCESSORS:
            return f"processors: {wanted:.1f} of {self._cores} would be in use"
        return None


def memory_available() -> int:
    """Bytes that can be filled without swapping, a container's limit counted."""
    free = 1 << 62
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    limit, used = _text("/sys/fs/cgroup/memory.max"), _text("/sys/fs/cgroup/memory.current")
    if limit.strip().isdecimal() and used.strip().isdecimal():
        reclaimable = 0
        for line in _text("/sys/fs/cgroup/memory.stat").splitlines():
            if line.startswith(("inactive_file ", "active_file ")):
                reclaimable += int(line.split()[1])
        free = min(free, int(limit) - int(used) + reclaimable)
    return free


def process_usage(pid: int) -> tuple[int, float] | None:
    """Resident bytes and processor seconds of a process (Linux)."""
    text = _text(f"/proc/{pid}/stat")
    if not text:
        return None
    fields = text.rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE"), ticks / os.sysconf("SC_CLK_TCK")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""
