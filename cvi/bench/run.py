"""The record of a measurement: one folder a run, with `run.json` and the recordings it was made from.

    out/bench/20260102-030405-latency/
        run.json          what is described here
        cvi-01.wav ...    both sides as heard, films, journals

Everything a report or a comparison needs is in the record; nothing in it is rounded to please. Times
are seconds on the session's axis (zero is its beginning, by the probe's own clock) unless a name ends
in `_ms`; latencies are milliseconds after the true end of the caller's speech.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from cvi.errors import CviError, UsageError

RUN_NAME = "run.json"
FORMAT = 1

# The unit of a proportion: a figure of ones and zeros, a value for each thing that was tried.
SHARE = "share"

Outcome = Literal["answered", "unanswered", "cut_in", "yielded", "carried_on", "missed"]


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing on a turn's timeline: a moment, or from `at_s` to `until_s`.

    `lane` groups marks: caller, persona, mouth (measured); transcript, judge, draft, floor, reply,
    barge_in (the journal's own).
    """

    lane: str
    name: str
    at_s: float
    until_s: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One thing the caller said, and what was measured of the answer.

    `outcome`: `answered`; `unanswered`: silence until the caller's next words; `cut_in`: the persona
    spoke before the caller had finished; for words spoken over a reply: `yielded` to them, `carried_on`,
    or `missed`: the reply was over before the words began.

    `first_audio_ms` and `first_frame_ms` are measured from waveform and picture. `journal` is the
    program's own account in ms after the end of speech as it saw it (floor, transcript, first_token,
    first_clause, first_speech, first_audio, first_frame), {} where it has none. `journal_error_ms` is
    the program's account less the measured one, for speech_end, first_audio and first_frame.
    """

    id: str
    kind: str
    text: str
    side: str
    session: str
    speech_start_s: float
    speech_end_s: float
    outcome: Outcome
    first_audio_ms: float | None = None
    first_frame_ms: float | None = None
    conditions: dict[str, str | float] = field(default_factory=dict)
    cut_ins_s: tuple[float, ...] = ()
    av_offset_ms: float | None = None
    draft_hit: bool | None = None
    journal: dict[str, float | None] = field(default_factory=dict)
    journal_error_ms: dict[str, float] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class BargeInRecord:
    """The caller spoke over a reply: ms from the onset of the voice to silence, and to the mouth at rest.

    None where it did not happen within two seconds. `journal` is the program's own account.
    """

    id: str
    side: str
    session: str
    voice_at_s: float
    silence_ms: float | None
    mouth_at_rest_ms: float | None
    journal: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gap:
    """Sound that was missing within a reply: it should have gone on at `at_s`."""

    at_s: float
    length_ms: float
    session: str = ""


@dataclass(frozen=True, slots=True)
class SyncPoint:
    """Picture against sound in one reply; positive where the picture comes later than the sound."""

    at_s: float
    offset_ms: float
    correlation: float
    session: str = ""


@dataclass(frozen=True, slots=True)
class Playout:
    """How the frames came. `lateness_ms` is each frame's hand-over against an even pace.

    `late`: by more than a frame period; `dropped`: never came; `frozen`: a frame like the one before
    while the persona spoke. `sync_ms` is the median of the points, `drift_ms_per_min` their slope over
    the session with its 95 % interval.
    """

    fps: float = 0.0
    frames: int = 0
    late: int = 0
    dropped: int = 0
    frozen: int = 0
    lateness_ms: tuple[float, ...] = ()
    gaps: tuple[Gap, ...] = ()
    sync: tuple[SyncPoint, ...] = ()
    sync_ms: float | None = None
    drift_ms_per_min: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity: all its values, so that percentiles and intervals can be made of them.

    `name` is for machines ("first_audio_ms"), `label` for people. `protocol` says how it was measured.
    A figure of one value (an error rate, an area) may bring the 95 % `interval` it was measured with.
    """

    name: str
    label: str
    unit: str
    values: tuple[float, ...]
    lower_is_better: bool = True
    protocol: str = ""
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One system under measurement: "cvi", "cascade", a peer, an engine."""

    name: str
    about: str = ""
    engines: dict[str, str] = field(default_factory=dict)
    turns: tuple[TurnRecord, ...] = ()
    barge_ins: tuple[BargeInRecord, ...] = ()
    playout: Playout = field(default_factory=Playout)
    figures: tuple[Figure, ...] = ()

    def figure(self, name: str) -> Figure | None:
        return next((figure for figure in self.figures if figure.name == name), None)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The program's own account against the measurement: per quantity, `outside` of `n` turns differ by
    more than `tolerance_ms`. The check fails when more than `allowed_share` of them do."""

    side: str
    quantity: str
    n: int
    median_ms: float
    worst_ms: float
    tolerance_ms: float
    outside: int
    allowed_share: float
    ok: bool


@dataclass(frozen=True, slots=True)
class OwnCost:
    """What measuring took: processor seconds of the probe, and of the whole process in the same time."""

    probe_cpu_s: float = 0.0
    process_cpu_s: float = 0.0
    wall_s: float = 0.0

    @property
    def share(self) -> float:
        """Of the process's processor time."""
        return self.probe_cpu_s / self.process_cpu_s if self.process_cpu_s else 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """`kind`: latency, loopback, soak, ab, turns, barge-in, stt, llm, tts, face.

    `options` are those that matter for comparing; `fingerprint` is `cvi.bench.fingerprint`'s. `series`
    are samples over time by name, each point (seconds, value). `files` are the recordings, relative to
    the run's folder. `notes` are sentences a reader must know.
    """

    kind: str
    command: tuple[str, ...]
    began: str
    duration_s: float
    fingerprint: dict[str, Any]
    sides: tuple[Side, ...]
    options: dict[str, Any] = field(default_factory=dict)
    agreement: tuple[Agreement, ...] = ()
    own_cost: OwnCost = field(default_factory=OwnCost)
    series: dict[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    format: int = FORMAT

    def side(self, name: str) -> Side | None:
        return next((side for side in self.sides if side.name == name), None)

    @property
    def agrees(self) -> bool:
        return all(check.ok for check in self.agreement)


def new_run_folder(kind: str, wanted: Path | None = None, root: Path = Path("out/bench")) -> Path:
    """Make the run's folder: `wanted`, or `out/bench/<time>-<kind>`. Raises as `check_run_folder`."""
    check_run_folder(wanted)
    folder = wanted or root / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{kind}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CviError(
            f"The folder {folder} cannot be made: {error.strerror}.", "Choose another with -o."
        ) from error
    return folder


def check_run_folder(wanted: Path | None) -> None:
    """Raise UsageError unless `wanted`, which need not exist yet, is free for a run: what an earlier one left
    would be taken for part of it."""
    if wanted is None or not wanted.exists():
        return
    if (wanted / RUN_NAME).exists():
        raise UsageError(f"{wanted} holds a run already.", "Choose another folder with -o.")
    if not wanted.is_dir():
        raise UsageError(f"{wanted} is a file.", "Choose a folder with -o.")
    if any(wanted.iterdir()):
        raise UsageError(f"{wanted} is not empty.", "Choose another folder with -o, or empty it.")


def as_json(value: Any) -> Any:
    """A record's dataclasses as plain values, ready for `json.dumps`; tuples become lists."""
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(asdict(value))


def save_run(run: Run, folder: Path) -> Path:
    """Write `run.json`, whole or not at all; returns its path. Raises CviError."""
    path = folder / RUN_NAME
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(as_json(run), file, indent=1, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise CviError(f"{path} cannot be written: {error.strerror}.", "Free some room.") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def load_run(place: Path) -> Run:
    """A run by its folder or its `run.json`. Raises UsageError for what is none, or of another format."""
    from pydantic import TypeAdapter, ValidationError

    path = place / RUN_NAME if place.is_dir() else place
    try:
        text = path.read_text(encoding="utf-8")
        fields = json.loads(text)
        found = fields["format"]
    except OSError as error:
        if place.is_dir() and any(place.iterdir()):
            complaint = f"{place} has no {RUN_NAME}: its measurement did not come to an end, or was none."
            raise UsageError(complaint, "Measure again, into another folder.") from error
        raise UsageError(
            f"There is no run in {place}.", "Give a folder that `cvi bench` made, with a run.json."
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} is not a record of a run.", "Give a run.json of `cvi bench`.") from error
    if found != FORMAT:
        raise UsageError(
            f"{path} has format {found!r}; this program reads {FORMAT}.", "Run the measurement again."
        )
    try:
        return TypeAdapter(Run).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        complaint = f"{path}: {where}: {first['msg']}."
        raise UsageError(complaint, "The record is damaged; measure again.") from error
