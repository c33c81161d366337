"""Hold a long conversation in a process of its own, and watch that process from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from cvi.bench.fingerprint import take_fingerprint
from cvi.bench.probe.mouth import MouthLook
from cvi.bench.run import OwnCost, Run, Variant
from cvi.bench.soak.held import MOUTH_NAME, SoakPlan
from cvi.bench.soak.lengthened import lengthened
from cvi.bench.soak.processes import ProcessSample, check_readable, look
from cvi.bench.soak.reading import Reading
from cvi.bench.soak.spool import NO_BOX, began_s, clear_spool, read_spool
from cvi.errors import CviError

EVERY_S = 5.0
# Read back in spans: memory for one, whatever the soak's length; and no minute lies in two of them.
_SPAN_S = 240.0
_GO_S = 30.0


@dataclass(frozen=True, slots=True)
class SoakOptions:
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

    def as_data(self) -> dict[str, Any]:
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


@dataclass(slots=True)
class _Watch:
    began_s: float = field(default_factory=time.monotonic)
    samples: list[ProcessSample] = field(default_factory=list)
    stopped: bool = False


def soak(
    options: SoakOptions,
    folder: Path,
    command: tuple[str, ...],
    progress: Callable[[ProcessSample], None] = lambda sample: None,
) -> Run:
    """Hold the conversation and make the run's record of it. Ctrl-C ends it early and keeps what there is.

    Raises CviError when the conversation fails, UsageError for a scenario that cannot be used.
    """
    check_readable()
    scenario = lengthened(options.scenario, options.minutes * 60, folder)
    plan = SoakPlan(
        str(folder), str(scenario), options.minutes, options.persona, options.replica, options.profile,
        options.width, options.height, options.fps, options.film,
    )  # fmt: skip
    plan.save(folder / "plan.json")
    began = datetime.now(UTC).isoformat(timespec="seconds")
    facts, watch = _held(folder, progress)
    cost_s = time.process_time()
    run = _record(options, folder, command, began, facts, watch, cost_s)
    _tidy(folder, options)
    return run


def _held(folder: Path, progress: Callable[[ProcessSample], None]) -> tuple[dict[str, Any], _Watch]:
    """Run the conversation's process to its end; what it said of itself, and what was seen of it."""
    words = [sys.executable, "-m", "cvi.bench.soak.held", str(folder / "plan.json")]
    watch = _Watch()
    with (folder / "said.json").open("w") as said, (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=said, stderr=log)  # noqa: S603 (our own module)
        assert process.stdin is not None
        with process.stdin:
            try:
                _sample(process, watch, progress)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
    if process.returncode:
        last = (folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise CviError(
            f"The conversation failed: {last[-1] if last else f'status {process.returncode}'}",
            f"See {folder / 'log.txt'}.",
        )
    told = (folder / "said.json").read_text(encoding="utf-8")
    return (json.loads(told) if told.strip() else {}), watch


def _sample(
    process: subprocess.Popen[bytes], watch: _Watch, progress: Callable[[ProcessSample], None]
) -> None:
    tick_hz = os.sysconf("SC_CLK_TCK")
    wanted = time.monotonic()
    while process.poll() is None:
        try:
            wanted += EVERY_S
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, wanted - time.monotonic()))
            found = look(process.pid, time.monotonic(), tick_hz=tick_hz)
            if found is not None:
                watch.samples.append(found)
                progress(found)
        except KeyboardInterrupt:
            # The terminal has told the conversation too; it ends cleanly, or else at the second time.
            if watch.stopped:
                raise
            watch.stopped = True
            process.send_signal(signal.SIGTERM)


def _record(
    options: SoakOptions,
    folder: Path,
    command: tuple[str, ...],
    began: str,
    facts: dict[str, Any],
    watch: _Watch,
    cost_s: float,
) -> Run:
    zero_s = began_s(folder, options.fps)
    if zero_s is None:
        raise CviError("The conversation showed no frame.", f"See {folder / 'log.txt'}.")
    reading = Reading(MouthLook.load(folder / MOUTH_NAME, NO_BOX))
    for evidence in read_spool(folder, options.fps, _SPAN_S):
        reading.add(evidence)
    samples = [sample for sample in watch.samples if sample.at_s >= zero_s]
    length_s = reading.frames / options.fps
    engines = {layer: str(name) for layer, name in dict(facts.get("engines", {})).items()}
    profile = str(facts.get("profile", ""))
    notes = ["It was ended early."] if watch.stopped else []
    return Run(
        kind="soak",
        command=command,
        began=began,
        duration_s=length_s,
        fingerprint=take_fingerprint(profile, engines).as_data(),
        variants=(
            Variant(
                "cvi",
                about=f"persona {facts.get('persona', '?')}",
                engines=engines,
                playout=reading.playout(),
            ),
        ),
        options=options.as_data(),
        own_cost=OwnCost(round(cost_s, 2), samples[-1].cpu_s if samples else 0.0, round(length_s, 1)),
        series={**_series(samples, zero_s), **reading.series()},
        files=("film.mp4",) if options.film and options.keep else (),
        notes=tuple(notes),
    )


def _series(samples: list[ProcessSample], zero_s: float) -> dict[str, tuple[tuple[float, float], ...]]:
    names = ("rss_mib", "pss_mib", "threads", "handles")
    found: dict[str, tuple[tuple[float, float], ...]] = {
        name: tuple(
            (round(sample.at_s - zero_s, 2), float(value))
            for sample in samples
            if (value := getattr(sample, name)) is not None
        )
        for name in names
    }
    found["cpu_percent"] = tuple(
        (round(b.at_s - zero_s, 2), round(100 * (b.cpu_s - a.cpu_s) / (b.at_s - a.at_s), 1))
        for a, b in pairwise(samples)
        if b.at_s > a.at_s
    )
    return {name: points for name, points in found.items() if points}


def _tidy(folder: Path, options: SoakOptions) -> None:
    clear_spool(folder)
    for name in (
        "caller.wav",
        "caller.yaml",
        "plan.json",
        "said.json",
        MOUTH_NAME,
        *(() if options.keep else ("film.mp4",)),
    ):
        (folder / name).unlink(missing_ok=True)
    log = folder / "log.txt"
    if log.is_file() and not log.stat().st_size:
        log.unlink()
