"""Phone segments around a time -> the mouth at that time.

Neighbours are blended by dominance functions (Cohen & Massaro 1993, "Modeling coarticulation in synthetic
visual speech"). Contact of the lips, or of lower lip and teeth, is applied after the blend, so that smoothing
does not weaken it. Pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp

from cvi.face.base import REST, MouthShape
from cvi.face.motion import ease, fall
from cvi.face.phonetics import Target

SmoothShape = tuple[float, float, float, float]
"""jaw, wide, round, tongue, each 0..1: the blend before contacts are applied."""

WINDOW_S = 0.200
"""How far before and after itself a segment influences the mouth."""
RELAX_S = 0.110
"""From the end of speech to exact rest."""
_RISE_S = 0.110
# The jaw's inertia, as a weighted mean over time: at a step of 0.75 it moves as fast as people's jaws in
# lively speech, about 15 cm/s (Ostry & Munhall 1985).
_INERTIA = ((-0.040, 0.11), (-0.020, 0.22), (0.0, 0.34), (0.020, 0.22), (0.040, 0.11))
INERTIA_S = 0.040

# Decay of the influence with distance, per second: rounding reaches far, the tongue hardly at all.
_JAW_RATE, _WIDE_RATE, _ROUND_RATE, _TONGUE_RATE = 24.0, 14.0, 9.0, 32.0

# A contact holds longer than a frame at 25 fps, so that no common frame rate misses it.
_HOLD_S = 0.045
LIPS_SHUT_S, LIPS_PART_S = 0.060, 0.050
# The lip leaves the teeth slowly, while the jaw falls.
TEETH_SHUT_S, TEETH_PART_S = 0.070, 0.090
# The jaw moves between contact and its widest as fast as people's: lips part and close by at most 0.33 m/s in
# a film of 22 s (`cvi bench lips`), 0.4 m/s in the loudest syllable.
_JAW_SHUT_S, _JAW_PART_S = 0.115, 0.140
_SHORTEST_S = 0.012
_TEETH_JAW = 0.14  # the jaw's opening at which the lower lip reaches the teeth


@dataclass(frozen=True, slots=True)
class PhoneSegment:
    """One articulation in time, seconds: blended from its core, in contact during its hold.

    `jaw` 0..1 is the target's, scaled by stress and loudness; `emphasis` 0..1. The contact begins `shut_s`
    before the hold and has ended `part_s` after it.
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
        """Whether the articulation has a contact."""
        return self.target.lips > 0.0 or self.target.teeth > 0.0

    @property
    def hold(self) -> tuple[float, float]:
        """Start and end of full contact."""
        middle = self.start_s + 0.45 * (self.end_s - self.start_s)
        half = max(_HOLD_S, 0.6 * (self.end_s - self.start_s)) / 2
        return (middle - half, middle + half)

    def barrier(self, t_s: float) -> float:
        """How much the contact holds the jaw at `t_s`, 0..1; it releases the jaw more slowly than the
        lips."""
        shut, part = self.hold
        if t_s < shut:
            return ease((t_s - (shut - _JAW_SHUT_S)) / _JAW_SHUT_S)
        return 1.0 - ease((t_s - part) / _JAW_PART_S)

    def contact(self, t_s: float) -> float:
        """How far lips, or lip and teeth, have met at `t_s`, 0..1."""
        shut, part = self.hold
        if t_s < shut:
            return ease((t_s - (shut - self.shut_s)) / self.shut_s)
        return 1.0 - ease((t_s - part) / self.part_s)


def separated(first: PhoneSegment, second: PhoneSegment) -> tuple[PhoneSegment, PhoneSegment]:
    """Both segments, their transitions shortened so that contact of the lips right after contact with the
    teeth ("five boats"), or the other way round, both hold."""
    if not (first.touches and second.touches) or (first.target.lips > 0.0) == (second.target.lips > 0.0):
        return first, second
    between = max(_SHORTEST_S, second.hold[0] - first.hold[1])
    part_s, shut_s = min(first.part_s, between), min(second.shut_s, between)
    return replace(first, part_s=part_s), replace(second, shut_s=shut_s)


def presence(t_s: float, near: Sequence[PhoneSegment]) -> float:
    """1 within speech, exactly 0 from 110 ms away from it; short gaps between segments are bridged."""
    after = before = 0.0
    for segment in near:
        if segment.start_s > t_s:
            before = max(before, fall(segment.start_s - t_s, _RISE_S - INERTIA_S))
        elif segment.end_s >= t_s:
            return 1.0
        else:
            after = max(after, fall(t_s - segment.end_s, RELAX_S - INERTIA_S))
    return 1.0 - (1.0 - after) * (1.0 - before)


def shaped(t_s: float, near: Sequence[PhoneSegment]) -> SmoothShape:
    """The mouth at `t_s` without contacts, faded out where there is no speech."""
    jaw = wide = round_ = tongue = 0.0
    for offset_s, share in _INERTIA:
        weight = share * presence(t_s + offset_s, near)
        if weight > 0.0:
            shape = blend(t_s + offset_s, near)
            jaw += weight * shape[0]
            wide += weight * shape[1]
            round_ += weight * shape[2]
            tongue += weight * shape[3]
    return (jaw, wide, round_, tongue)


def blend(t_s: float, near: Sequence[PhoneSegment]) -> SmoothShape:
    """The dominance-weighted mean of the targets around `t_s`; each channel has its own decay."""
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
        # The exponential is tapered so that a segment enters the window without a step.
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


def edge_contact(t_s: float, near: Sequence[PhoneSegment]) -> float:
    """Contact of the lips, 0..1, that is kept between rest and a segment of closed lips at the edge of speech
    ("m...", "...m")."""
    first, last = (near[0], near[-1]) if near else (None, None)
    if first is not None and t_s < first.core_start_s:
        return first.target.lips
    if last is not None and t_s > last.core_end_s:
        return last.target.lips
    return 0.0


def with_contacts(smooth: SmoothShape, lips: float, teeth: float, apart: float, bite: float) -> MouthShape:
    """The blend with contacts applied; full contact of the lips shuts the jaw exactly.

    All 0..1. `lips` and `teeth`: the contacts; `apart`: how far the jaw may open; `bite`: how much it is held
    where the lower lip reaches the teeth.
    """
    if lips == 0.0 and teeth == 0.0 and apart == 1.0 and bite == 0.0:
        if smooth == (0.0, 0.0, 0.0, 0.0):
            return REST
        return MouthShape(jaw=smooth[0], wide=smooth[1], round=smooth[2], tongue=smooth[3])
    jaw, wide, round_, tongue = smooth
    jaw += teeth * max(0.0, _TEETH_JAW - jaw) - max(teeth, bite) * max(0.0, jaw - _TEETH_JAW)
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
