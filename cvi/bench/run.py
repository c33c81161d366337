"""The record of a measurement: one folder a run, with `run.json` and the recordings it was made from.

    out/bench/20260102-030405-latency/
        run.json          what is described here
        cvi-01.wav ...    caller and persona as heard, films, journals

Everything a report or a comparison needs is in the record. Times are seconds on the session's axis (zero is
its beginning, by the probe's own clock) unless a name ends in `_ms`; latencies are milliseconds after the
true end of the caller's speech. Names differ from those in the file where a field has an alias.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

FORMAT = 1

# The unit of a proportion: a figure of ones and zeros, a value for each thing that was tried.
SHARE = "share"
# How a caller may reach the system.
TRANSPORTS = ("file", "webrtc")
MEASURED = {
    "first_audio_ms": "speech end to first sound",
    "first_frame_ms": "speech end to first moving mouth",
}
BARGE_IN = {
    "silence_ms": "barge-in to silence",
    "mouth_at_rest_ms": "barge-in to mouth at rest",
}
# The steps of the program's own account of an answer, in order.
ACCOUNT = {
    "floor": "the floor passed",
    "transcript": "final transcript",
    "first_token": "first word written",
    "first_clause": "first clause written",
    "first_speech": "first clause spoken (gated)",
    "first_audio": "first sound",
    "first_frame": "first moving mouth",
}

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
    variant: Annotated[str, Field(alias="side")]
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
    variant: Annotated[str, Field(alias="side")]
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
class Variant:
    """One system under measurement: "cvi", "cascade", a peer, an engine."""

    name: str
    about: str = ""
    engines: dict[str, str] = field(default_factory=dict)
    turns: tuple[TurnRecord, ...] = ()
    barge_ins: tuple[BargeInRecord, ...] = ()
    playout: Playout = field(default_factory=Playout)
    figures: tuple[Figure, ...] = ()

    def figure(self, name: str) -> Figure | None:
        """The figure of this name, if there is one."""
        return next((figure for figure in self.figures if figure.name == name), None)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The program's own account against the measurement: per quantity, `outside` of `n` turns differ by
    more than `tolerance_ms`. The check fails when more than `allowed_share` of them do."""

    variant: Annotated[str, Field(alias="side")]
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
    """`kind`: latency, loopback, soak, ab, turns, barge-in, stt, llm, tts, face, answers.

    `options` are those that matter for comparing; `fingerprint` is `cvi.bench.run_store`'s. `series`
    are samples over time by name, each point (seconds, value). `files` are the recordings, relative to
    the run's folder. `notes` are sentences a reader must know.
    """

    kind: str
    command: tuple[str, ...]
    began: str
    duration_s: float
    fingerprint: dict[str, Any]
    variants: Annotated[tuple[Variant, ...], Field(alias="sides")]
    options: dict[str, Any] = field(default_factory=dict)
    agreement: tuple[Agreement, ...] = ()
    own_cost: OwnCost = field(default_factory=OwnCost)
    series: dict[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    format: int = FORMAT

    def variant(self, name: str) -> Variant | None:
        """The variant of this name, if there is one."""
        return next((variant for variant in self.variants if variant.name == name), None)

    @property
    def agrees(self) -> bool:
        """Whether the program's own account agrees with the measurement everywhere."""
        return all(check.ok for check in self.agreement)


def name_over(name: str, transport: str) -> str:
    """What a variant is called over another route than the run's first: "cvi-webrtc"."""
    return f"{name}-{transport}"


_Task = TypeVar("_Task", TurnRecord, BargeInRecord)


def measured_figures(variant: Variant) -> tuple[Figure, ...]:
    """What was measured from outside: answers, interruptions, and what else the run counted."""
    values = {name: [getattr(turn, name) for turn in variant.turns] for name in MEASURED}
    values |= {name: [getattr(cut, name) for cut in variant.barge_ins] for name in BARGE_IN}
    protocol = "From the waveforms and pictures recorded outside the program."
    found = [
        Figure(name, label, "ms", present, protocol=protocol)
        for name, label in (MEASURED | BARGE_IN).items()
        if (present := tuple(value for value in values[name] if value is not None))
    ]
    named = {figure.name for figure in found}
    return (*found, *(figure for figure in variant.figures if figure.name not in named and figure.values))


def account_figures(variant: Variant) -> tuple[Figure, ...]:
    """The program's own account of its answers; empty for a system that keeps none."""
    return tuple(
        Figure(f"journal.{step}", label, "ms", values, protocol="From the program's own journal.")
        for step, label in ACCOUNT.items()
        if (values := tuple(v for turn in variant.turns if (v := turn.journal.get(step)) is not None))
    )


def values_by_task(variant: Variant, name: str) -> dict[tuple[str, int], float] | None:
    """One value a task, keyed by its id and how often it was met before, so that the same task of two
    variants can be paired. None for figures that belong to no task."""
    if name in MEASURED:
        return _numbered(variant.turns, lambda turn: getattr(turn, name))
    if name in BARGE_IN:
        return _numbered(variant.barge_ins, lambda cut: getattr(cut, name))
    if name.startswith("journal."):
        step = name.removeprefix("journal.")
        return _numbered(variant.turns, lambda turn: turn.journal.get(step))
    return None


def _numbered(
    records: Sequence[_Task], value_of: Callable[[_Task], float | None]
) -> dict[tuple[str, int], float]:
    met: Counter[str] = Counter()
    found: dict[tuple[str, int], float] = {}
    for record in records:
        key = (record.id, met[record.id])
        met[record.id] += 1
        if (value := value_of(record)) is not None:
            found[key] = value
    return found
