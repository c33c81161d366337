"""Hold a long conversation in a process of its own, and watch that process from outside.

What it takes of the machine is read from /proc (Linux), which costs the watched process nothing but the
kernel's walk over its memory map: about 5 ms for 600 MiB, once a sample.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import yaml
from pydantic import TypeAdapter

from cvi.audio.block import HEARD_HZ
from cvi.bench.probe.mouth_motion import MouthAppearance
from cvi.bench.run import OwnCost, Run, Variant
from cvi.bench.run_store import RunRecorder
from cvi.bench.soak.soaked_process import FILM_NAME, MOUTH_NAME, SoakFacts, SoakOptions, SoakStart
from cvi.bench.soak.spool import NO_BOX, SoakReading, began_s, clear_spool, read_spool
from cvi.child_process import ChildProcess, module_command
from cvi.errors import CviError, MissingError, UsageError
from cvi.files import write_text
from cvi.media.decode import read_audio, write_wav
from cvi.transport.scenario import Scenario, load_scenario, split_by_silence

PROC = Path("/proc")
MIB = 1 << 20
EVERY_S = 5.0
# A question and its answer take longer than this, so that the caller never runs out of words.
SHORTEST_TURN_S = 4.0
_LONGEST_S = 12 * 3600
# Read back in spans: memory for one, whatever the soak's length; and no minute lies in two of them.
_SPAN_S = 240.0
_LOG_NAME = "log.txt"


def soak(
    options: SoakOptions,
    output: Path | None = None,
    progress: Callable[[ProcessSample], None] = lambda sample: None,
) -> tuple[Run, Path]:
    """Hold the conversation and write the run; returns it and its folder, which is `output` if that is given.

    Ctrl-C ends it early and keeps what there is; a second one kills it. Raises CviError when the conversation
    fails, UsageError for a scenario or a folder that cannot be used.
    """
    check_readable()
    recorder = RunRecorder("soak", options.for_record(), output=output)
    folder = recorder.folder
    scenario = lengthen_scenario(options.scenario, options.minutes * 60, folder)
    watch = _Watch(SoakStart(options=options, folder=folder, scenario=scenario), progress)
    asyncio.run(watch.run())
    cpu_s = round(time.process_time(), 2)
    zero_s = began_s(folder, options.fps)
    if zero_s is None:
        raise CviError("The conversation showed no frame.", f"See {folder / _LOG_NAME}.")
    reading = SoakReading(MouthAppearance.load(folder / MOUTH_NAME, NO_BOX))
    for evidence in read_spool(folder, options.fps, _SPAN_S):
        reading.add(evidence)
    samples = [sample for sample in watch.samples if sample.at_s >= zero_s]
    playout = reading.playout()
    length_s = playout.frames / options.fps
    facts = watch.facts.facts if watch.facts is not None else None
    recorder.profile = facts.profile if facts else ""
    recorder.notes += ["It was ended early."] if watch.stopped else []
    recorder.files += [FILM_NAME] if options.film and options.keep else []
    variant = Variant(
        "cvi",
        about=f"persona {facts.persona if facts else '?'}",
        engines=dict(facts.engines) if facts else {},
        playout=playout,
    )
    run = recorder.finish(
        [variant],
        own_cost=OwnCost(cpu_s, samples[-1].cpu_s if samples else 0.0, round(length_s, 1)),
        series={**series_of(samples, zero_s), **reading.series()},
        duration_s=length_s,
    )
    _tidy(folder, options)
    return run, folder


def lengthen_scenario(scenario: Path, seconds: float, folder: Path) -> Path:
    """Write a scenario that is said again and again for at least `seconds` into `folder`; returns its path.

    `scenario` is a scenario file, or a recording, which is parted where it is silent. Raises UsageError.
    """
    is_file = scenario.suffix.lower() in (".yaml", ".yml")
    found = load_scenario(scenario) if is_file else Scenario(scenario)
    segments = found.segments or split_by_silence(found.audio)
    pcm = read_audio(found.audio)
    turns = math.ceil(seconds / SHORTEST_TURN_S)
    times = math.ceil(turns / len(segments))
    if times * len(pcm) > _LONGEST_S * HEARD_HZ:
        raise UsageError(f"{seconds / 60:.0f} minutes of {scenario} are too long.", "Ask for fewer minutes.")
    entries: list[dict[str, float | str]] = []
    for number in range(turns):
        segment, shift_s = segments[number % len(segments)], number // len(segments) * len(pcm) / HEARD_HZ
        entry = {"start_s": segment.start_s, "end_s": segment.end_s, "speech_end_s": segment.speech_end_s}
        shifted = {key: round(at_s + shift_s, 4) for key, at_s in entry.items() if at_s is not None}
        entries.append({**shifted, "text": segment.text})
    write_wav(folder / "caller.wav", np.tile(pcm, times), HEARD_HZ)
    path = folder / "caller.yaml"
    write_text(path, yaml.safe_dump({"audio": "caller.wav", "segments": entries}))
    return path


def series_of(samples: list[ProcessSample], zero_s: float) -> dict[str, tuple[tuple[float, float], ...]]:
    """Samples as series by name, (seconds since `zero_s`, value); the processor in percent of a core."""
    found: dict[str, tuple[tuple[float, float], ...]] = {
        name: tuple(
            (round(sample.at_s - zero_s, 2), float(value))
            for sample in samples
            if (value := getattr(sample, name)) is not None
        )
        for name in ("rss_mib", "pss_mib", "threads", "handles")
    }
    found["cpu_percent"] = tuple(
        (round(b.at_s - zero_s, 2), round(100 * (b.cpu_s - a.cpu_s) / (b.at_s - a.at_s), 1))
        for a, b in pairwise(samples)
        if b.at_s > a.at_s
    )
    return {name: points for name, points in found.items() if points}


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


class _Watch:
    """The conversation's process from its start to its end, sampled every EVERY_S."""

    def __init__(self, start: SoakStart, progress: Callable[[ProcessSample], None]) -> None:
        self.samples: list[ProcessSample] = []
        self.facts: SoakFacts | None = None
        self.stopped = False
        self._start, self._progress = start, progress
        self._log = start.folder / _LOG_NAME
        command = module_command("cvi.bench.soak.soaked_process")
        self._child = ChildProcess(command, self._log, TypeAdapter(SoakFacts), self._on_facts)

    async def run(self) -> None:
        """Return when the process has ended. Raises CviError when it failed."""
        loop = asyncio.get_running_loop()
        await self._child.start()
        self._child.send(self._start)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        ended = asyncio.create_task(self._child.wait())
        try:
            await self._sample_until(ended)
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            self._child.kill()
        status = await ended
        if status:
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = lines[-1] if lines else f"status {status}"
            raise CviError(f"The conversation failed: {last}", f"See {self._log}.")

    async def _sample_until(self, ended: asyncio.Task[int]) -> None:
        tick_hz = os.sysconf("SC_CLK_TCK")
        wanted_s = time.monotonic()
        while not ended.done():
            wanted_s += EVERY_S
            await asyncio.wait([ended], timeout=max(0.0, wanted_s - time.monotonic()))
            assert self._child.pid is not None
            sample = sample_tree(self._child.pid, time.monotonic(), tick_hz=tick_hz)
            if sample is not None:
                self.samples.append(sample)
                self._progress(sample)

    def _interrupt(self) -> None:
        """The first Ctrl-C ends the conversation cleanly, the second one at once."""
        if self.stopped:
            self._child.kill()
        self.stopped = True
        self._child.close_input()

    def _on_facts(self, facts: SoakFacts) -> None:
        self.facts = facts


def _tidy(folder: Path, options: SoakOptions) -> None:
    clear_spool(folder)
    film = () if options.keep else (FILM_NAME,)
    for name in ("caller.wav", "caller.yaml", MOUTH_NAME, *film):
        (folder / name).unlink(missing_ok=True)
    log = folder / _LOG_NAME
    if log.is_file() and not log.stat().st_size:
        log.unlink()
