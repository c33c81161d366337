"""Speech sounds in time -> one moment of the mouth.

Neighbours are blended by dominance functions (Cohen & Massaro 1993, "Modeling coarticulation in
synthetic visual speech"); contact of the lips, or of lip and teeth, is laid over the blend, so that
smoothing never takes it away. Pure functions of the segments near a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp

from cvi.face.mouth import REST, MouthShape, ease, fall
from cvi.face.phonetics import Target

Soft = tuple[float, float, float, float]
"""jaw, wide, round, tongue: what is shaped smoothly; contacts are not in it."""

WINDOW_S = 0.200
"""How far on either side a sound is felt."""
RELAX_S = 0.110
"""From the end of speech to exact rest."""
_RISE_S = 0.110
# The jaw is heavy: what is asked of it is averaged over its own inertia. At a step of 0.75 it moves as
# fast as people's do in lively speech, about 15 cm/s (Ostry & Munhall 1985), and not faster.
_INERTIA = ((-0.040, 0.11), (-0.020, 0.22), (0.0, 0.34), (0.020, 0.22), (0.040, 0.11))
INERTIA_S = 0.040

# How fast influence fades with distance, per second: rounding reaches far, the tongue hardly at all.
_JAW_RATE, _WIDE_RATE, _ROUND_RATE, _TONGUE_RATE = 24.0, 14.0, 9.0, 32.0

# A contact holds at least this long, more than a frame at 25 per second, so no frame rate misses it.
_HOLD_S = 0.045
LIPS_SHUT_S, LIPS_PART_S = 0.060, 0.050
# The lip slides from the teeth while the jaw falls: no mouth is at the teeth in one frame and wide the next.
TEETH_SHUT_S, TEETH_PART_S = 0.070, 0.090
# The jaw comes from contact to its widest, and back, as fast as people's do: lips part and close by at most
# 0.33 m/s in a film of 22 s (`cvi bench lips`), 0.4 m/s in the loudest syllable.
_JAW_SHUT_S, _JAW_PART_S = 0.115, 0.140
_SHORTEST_S = 0.012
_BITE = 0.14  # the jaw's opening at which the lower lip reaches the teeth


@dataclass(frozen=True, slots=True)
class Segment:
    """One articulation in time: blended from its core, in contact over its hold.

    `shut_s` before the hold the contact begins, `part_s` after it it has ended.
    """

    start_s: float
    end_s: float
    core_start_s: float
    core_end_s: float
    target: Target
    jaw: float
    emphasis: float
    shut_s: float = LIPS_SHUT_S
    part_s: float = LIPS_PART_S

    @property
    def touches(self) -> bool:
        return self.target.lips > 0.0 or self.target.teeth > 0.0

    @property
    def hold(self) -> tuple[float, float]:
        middle = self.start_s + 0.45 * (self.end_s - self.start_s)
        half = max(_HOLD_S, 0.6 * (self.end_s - self.start_s)) / 2
        return (middle - half, middle + half)

    def barrier(self, t_s: float) -> float:
        """How much the contact holds the jaw, 0..1: lip and teeth part at once, the jaw falls more slowly."""
        shut, part = self.hold
        if t_s < shut:
            return ease((t_s - (shut - _JAW_SHUT_S)) / _JAW_SHUT_S)
        return 1.0 - ease((t_s - part) / _JAW_PART_S)

    def contact(self, t_s: float) -> float:
        shut, part = self.hold
        if t_s < shut:
            return ease((t_s - (shut - self.shut_s)) / self.shut_s)
        return 1.0 - ease((t_s - part) / self.part_s)


def hurried(first: Segment, second: Segment) -> tuple[Segment, Segment]:
    """Neighbours, so timed that lips right after teeth ("five boats"), or teeth after lips, both hold."""
    if not (first.touches and second.touches) or (first.target.lips > 0.0) == (second.target.lips > 0.0):
        return first, second
    between = max(_SHORTEST_S, second.hold[0] - first.hold[1])
    part_s, shut_s = min(first.part_s, between), min(second.shut_s, between)
    return replace(first, part_s=part_s), replace(second, shut_s=shut_s)


def presence(t_s: float, near: Sequence[Segment]) -> float:
    """1 within speech, exactly 0 from 110 ms away from it; a short gap between sounds stays open."""
    after = before = 0.0
    for segment in near:
        if segment.start_s > t_s:
            before = max(before, fall(segment.start_s - t_s, _RISE_S - INERTIA_S))
        elif segment.end_s >= t_s:
            return 1.0
        else:
            after = max(after, fall(t_s - segment.end_s, RELAX_S - INERTIA_S))
    return 1.0 - (1.0 - after) * (1.0 - before)


def shaped(t_s: float, near: Sequence[Segment]) -> Soft:
    """The mouth around `t_s` without contacts, faded where there is no speech."""
    jaw = wide = round_ = tongue = 0.0
    for offset_s, share in _INERTIA:
        here = share * presence(t_s + offset_s, near)
        if here > 0.0:
            shape = blend(t_s + offset_s, near)
            jaw += here * shape[0]
            wide += here * shape[1]
            round_ += here * shape[2]
            tongue += here * shape[3]
    return (jaw, wide, round_, tongue)


def blend(t_s: float, near: Sequence[Segment]) -> Soft:
    """The dominance-weighted mean of the targets around `t_s`, each channel with its own reach."""
    jaw = wide = round_ = tongue = 0.0
    jaw_sum = wide_sum = round_sum = tongue_sum = 1e-9
    for segment in near:
        if t_s < segment.core_start_s:
            away = segment.core_start_s - t_s
        else:
            away = max(0.0, t_s - segment.core_end_s)
        if away >= WINDOW_S:
            continue
        target = segment.target
        # The exponential is tapered so that a sound enters the window without a step.
        taper = (1.0 - (away / WINDOW_S) ** 2) ** 2
        weight = target.jaw_weight * taper * exp(-_JAW_RATE * away)
        jaw += weight * segment.jaw
        jaw_sum += weight
        weight = target.wide_weight * taper * exp(-_WIDE_RATE * away)
        wide += weight * target.wide
        wide_sum += weight
        weight = target.round_weight * taper * exp(-_ROUND_RATE * away)
        round_ += weight * target.round
        round_sum += weight
        weight = target.tongue_weight * taper * exp(-_TONGUE_RATE * away)
        tongue += weight * target.tongue
        tongue_sum += weight
    round_ /= round_sum
    # Protruded lips have no corners to spread.
    return (jaw / jaw_sum, wide / wide_sum * (1.0 - 0.7 * round_), round_, tongue / tongue_sum)


def still_shut(t_s: float, near: Sequence[Segment]) -> float:
    """Lips that meet at the edge of speech, in "m..." or "...m", do not part between it and rest."""
    first, last = (near[0], near[-1]) if near else (None, None)
    if first is not None and t_s < first.core_start_s:
        return first.target.lips
    if last is not None and t_s > last.core_end_s:
        return last.target.lips
    return 0.0


def touched(soft: Soft, lips: float, teeth: float, apart: float, bite: float) -> MouthShape:
    """The blend with contact laid over it; full lip contact shuts the jaw exactly.

    `lips` and `teeth` are the contact, `apart` how far the jaw may open (0..1), `bite` how much it is kept
    where the lower lip reaches the teeth.
    """
    if lips == 0.0 and teeth == 0.0 and apart == 1.0 and bite == 0.0:
        if soft == (0.0, 0.0, 0.0, 0.0):
            return REST
        return MouthShape(jaw=soft[0], wide=soft[1], round=soft[2], tongue=soft[3])
    jaw, wide, round_, tongue = soft
    jaw += teeth * max(0.0, _BITE - jaw) - max(teeth, bite) * max(0.0, jaw - _BITE)
    shape = MouthShape(
        jaw=jaw * apart,
        wide=wide * (1.0 - 0.4 * lips),
        round=round_ * (1.0 - 0.35 * lips) * (1.0 - 0.7 * teeth),
        # Lips meet before they press.
        press=0.92 * ease((lips - 0.4) / 0.6),
        tuck=teeth,
        tongue=tongue * apart * (1.0 - teeth),
    )
    return REST if shape == REST else shape
