"""From a soak's spool to series over time: what was late, apart, or slow in answering, measured outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from cvi.bench.probe.evidence import Evidence, lateness_s
from cvi.bench.probe.hearing import Span, sounding
from cvi.bench.probe.mouth import MouthLook, unrest
from cvi.bench.probe.sync import sync_points
from cvi.bench.run import Playout, SyncPoint
from cvi.bench.statistics import theil_sen

# Rests within one thing said: a breath between two sentences is no end of a turn.
CALLER_RESTS_S = 0.8
LONGEST_ANSWER_S = 12.0
_MINUTE_S = 60.0


@dataclass(slots=True)
class Reading:
    """Grows span by span; `series` as in a run's record, seconds since the first frame. `look` is how the
    face's mouth looks at rest, None to learn it from each span."""

    look: MouthLook | None = None
    late_per_min: list[tuple[float, float]] = field(default_factory=list)
    hand_over_ms: list[tuple[float, float]] = field(default_factory=list)
    av_offset_ms: list[tuple[float, float]] = field(default_factory=list)
    answer_ms: list[tuple[float, float]] = field(default_factory=list)
    sync: list[SyncPoint] = field(default_factory=list)
    frames: int = 0
    late: int = 0
    lateness_ms: list[float] = field(default_factory=list)
    fps: float = 0.0

    def add(self, evidence: Evidence) -> None:
        """The next span."""
        self.fps = evidence.fps
        self._add_lateness(evidence)
        persona = evidence.persona()
        heard = sounding(persona)
        if evidence.mouths is not None:
            shown = evidence.shown_s()
            away = unrest(evidence.mouths, shown, heard, self.look)
            points = sync_points(persona, away, shown, evidence.fps, heard, evidence.session)
            self.sync += points
            self.av_offset_ms += [(point.at_s, point.offset_ms) for point in points]
        said = sounding(evidence.caller(), join_s=CALLER_RESTS_S)
        self.answer_ms += answers_ms(said, heard)

    def playout(self) -> Playout:
        drift = theil_sen([(at / _MINUTE_S, value) for at, value in self.av_offset_ms])
        offsets = [value for _, value in self.av_offset_ms]
        return Playout(
            fps=self.fps,
            frames=self.frames,
            late=self.late,
            lateness_ms=tuple(self.lateness_ms),
            sync=tuple(self.sync),
            sync_ms=float(np.median(offsets)) if offsets else None,
            drift_ms_per_min=(drift.value, drift.low, drift.high) if drift else None,
        )

    def series(self) -> dict[str, tuple[tuple[float, float], ...]]:
        names = ("late_per_min", "hand_over_ms", "av_offset_ms", "answer_ms")
        return {name: tuple(points) for name in names if (points := getattr(self, name))}

    def _add_lateness(self, evidence: Evidence) -> None:
        late_s = lateness_s(evidence.frame_times_s, 1 / evidence.fps)
        if not len(late_s):
            return
        self.frames += len(late_s)
        self.late += int((late_s > 1 / evidence.fps).sum())
        self.lateness_ms += [round(float(value), 2) for value in 1000 * late_s]
        minutes = np.floor(evidence.frame_times_s / _MINUTE_S)
        for minute in np.unique(minutes):
            there = late_s[minutes == minute]
            if len(there) < 0.5 * _MINUTE_S * evidence.fps:
                continue  # the last minute, hardly begun
            at_s = float((minute + 0.5) * _MINUTE_S)
            a_minute = _MINUTE_S * evidence.fps / len(there)
            self.late_per_min.append((at_s, float((there > 1 / evidence.fps).sum()) * a_minute))
            self.hand_over_ms.append((at_s, round(float(np.percentile(there, 95)) * 1000, 2)))


def answers_ms(said: Sequence[Span], heard: Iterable[Span]) -> list[tuple[float, float]]:
    """(seconds, ms): each thing said that was answered before the next was, from its end to the first sound
    after it. What the persona was saying already is no answer."""
    found: list[tuple[float, float]] = []
    begins = np.array([span.start_s for span in heard])
    for number, span in enumerate(said):
        until_s = said[number + 1].start_s if number + 1 < len(said) else span.end_s + LONGEST_ANSWER_S
        after = begins[(begins >= span.end_s) & (begins < min(until_s, span.end_s + LONGEST_ANSWER_S))]
        if len(after):
            found.append((round(span.end_s, 3), round(float(after[0] - span.end_s) * 1000, 1)))
    return found
