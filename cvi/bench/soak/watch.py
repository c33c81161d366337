"""A long conversation watched: does anything grow, drift or fall behind?

The conversation is held as in any measured session, over the file transport, with a caller who repeats what
there is to say. Meanwhile a thread reads from /proc (Linux) what the process takes: some 5 ms for 600 MiB,
once a sample. What the probe records goes to disk at once, so that measuring is no growth itself.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import yaml

from cvi.audio.block import HEARD_HZ
from cvi.bench.measured_session import run_tapped
from cvi.bench.probe.mouth_motion import learn_mouth_at_rest
from cvi.bench.probe.tap import Tap
from cvi.bench.run import OwnCost, Run, Variant
from cvi.bench.run_store import RunRecorder
from cvi.bench.soak.spool import SoakReading, SpoolSink, began_s, clear_spool, read_spool
from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.journal import JOURNAL_NAME, new_id
from cvi.engines import ResolvedConfig, build_engine_set, conversation_settings, resolve
from cvi.errors import CviError, MissingError, UsageError
from cvi.files import write_text
from cvi.media.decode import read_audio, write_wav
from cvi.paths import conversations_dir
from cvi.persona.loading import load_persona
from cvi.transport.file import FileTransport
from cvi.transport.scenario import Scenario, load_scenario, split_by_silence

PROC = Path("/proc")
MIB = 1 << 20
EVERY_S = 5.0
FILM_NAME = "film.mp4"
# A question and its answer take longer than this, so that the caller never runs out of words.
SHORTEST_TURN_S = 4.0
_LONGEST_S = 12 * 3600
# A conversation that has said all there is to say is given this long beyond its time.
_GRACE_S = 120.0
# Read back in spans: memory for one, whatever the soak's length; and no minute lies in two of them.
_SPAN_S = 240.0


@dataclass(frozen=True, slots=True)
class SoakOptions:
    """What to hold: `scenario` is what the caller says again and again; `keep` keeps the `film`."""

    minutes: float
    scenario: Path
    persona: str = "guide"
    replica: str | None = None
    profile: str = "auto"
    width: int = 1280
    height: int = 720
    fps: int = 25
    film: bool = True
    keep: bool = False

    def for_record(self) -> dict[str, str | float | None]:
        """What matters for comparing two soaks."""
        return {
            "minutes": self.minutes,
            "scenario": self.scenario.stem,
            "persona": self.persona,
            "replica": self.replica,
            "profile": self.profile,
            "size": f"{self.width}x{self.height}",
            "fps": self.fps,
            "film": self.film,
        }


def soak(
    options: SoakOptions,
    output: Path | None = None,
    progress: Callable[[ProcessSample], None] = lambda sample: None,
) -> tuple[Run, Path]:
    """Hold the conversation and write the run; returns it and its folder, which is `output` if that is given.

    Ctrl-C ends it early and keeps what there is; a second one breaks off. Raises CviError when the
    conversation fails, UsageError for a scenario or a folder that cannot be used.
    """
    check_readable()
    config = resolve(load_persona(options.persona), replica=options.replica, profile=options.profile)
    recorder = RunRecorder("soak", options.for_record(), profile=config.profile.name, output=output)
    folder = recorder.folder
    scenario = load_scenario(lengthen_scenario(options.scenario, options.minutes * 60, folder))
    watch = _Watch(progress)
    try:
        reading, probe_cpu_s = asyncio.run(_hold(options, config, scenario, folder, watch))
        zero_s = began_s(folder, options.fps)
        if zero_s is None:
            raise CviError("The conversation showed no frame.", "Look at its journal: `cvi show`.")
        for evidence in read_spool(folder, options.fps, _SPAN_S):
            reading.add(evidence)
    finally:
        clear_spool(folder)
        for name in ("caller.wav", "caller.yaml", *(() if options.keep else (FILM_NAME,))):
            (folder / name).unlink(missing_ok=True)
    samples = [sample for sample in watch.samples if sample.at_s >= zero_s]
    playout, facts = reading.playout(), config.facts()
    length_s = playout.frames / options.fps
    recorder.notes += ["It was ended early."] if watch.stopped else []
    recorder.files += [FILM_NAME] if options.film and options.keep else []
    variant = Variant("cvi", about=f"persona {facts.persona}", engines=dict(facts.engines), playout=playout)
    run = recorder.finish(
        [variant],
        own_cost=OwnCost(round(probe_cpu_s, 2), samples[-1].cpu_s if samples else 0.0, round(length_s, 1)),
        series={**series_of(samples, zero_s), **reading.series()},
        duration_s=length_s,
    )
    return run, folder


async def _hold(
    options: SoakOptions, config: ResolvedConfig, scenario: Scenario, folder: Path, watch: _Watch
) -> tuple[SoakReading, float]:
    """Hold the conversation, recorded and sampled; the reading of what was recorded is still to be done.

    Returns it with the processor seconds that recording took.
    """
    sys.setswitchinterval(0.001)  # as `cvi talk`
    conversation_id = new_id()
    settings = conversation_settings(config, conversation_id)
    settings = replace(settings, max_duration_s=options.minutes * 60 + _GRACE_S)
    width, height, fps = options.width, options.height, options.fps
    engines = await build_engine_set(config, settings, width=width, height=height, fps=fps)
    try:
        assert engines.face is not None, "a conversation that is watched has a face"
        appearance = await asyncio.to_thread(learn_mouth_at_rest, engines.face.render, width, height)
        clock = Clock()
        film = folder / FILM_NAME if options.film else None
        transport = FileTransport(
            scenario, None, clock=clock, fps=fps, width=width, height=height, wait=True, recording=film
        )
        sink = SpoolSink(folder, fps, appearance.box)
        tap = Tap(transport, sink)
        journal = conversations_dir() / conversation_id / JOURNAL_NAME
        sampling = asyncio.create_task(watch.sample())
        try:
            limit_s = options.minutes * 60
            await run_tapped(
                tap, settings, engines.layers, engines.render, clock, journal, limit_s, "soaked", watch.began
            )
        finally:
            sampling.cancel()
    finally:
        await engines.close()
    return SoakReading(appearance), tap.cpu_s + sink.cpu_s


class _Watch:
    """Samples this process every EVERY_S while the conversation runs, and lets Ctrl-C end it."""

    def __init__(self, progress: Callable[[ProcessSample], None]) -> None:
        self.samples: list[ProcessSample] = []
        self.stopped = False
        self._progress = progress

    async def sample(self) -> None:
        """Until cancelled."""
        tick_hz = os.sysconf("SC_CLK_TCK")
        wanted_s = time.monotonic()
        while True:
            wanted_s += EVERY_S
            await asyncio.sleep(max(0.0, wanted_s - time.monotonic()))
            at_s = time.monotonic()
            sample = await asyncio.to_thread(sample_tree, os.getpid(), at_s, tick_hz=tick_hz)
            if sample is not None:
                self.samples.append(sample)
                self._progress(sample)

    def began(self, conversation: Conversation) -> None:
        """The first Ctrl-C ends the conversation cleanly, the second one breaks off."""
        loop = asyncio.get_running_loop()

        def stop() -> None:
            self.stopped = True
            loop.remove_signal_handler(signal.SIGINT)
            conversation.end("stopped")

        loop.add_signal_handler(signal.SIGINT, stop)


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
