"""Speech timeline -> mouth.

Phones become articulatory targets (`phonetics`) that are blended with their neighbours (`coarticulation`);
sound without phone times drives the mouth through a `MouthReader` (`sound_mouth`). Away from speech the mouth
is exactly `REST`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import astuple

import numpy as np

from cvi.audio.block import Pcm
from cvi.face.base import REST, MouthShape
from cvi.face.coarticulation import (
    INERTIA_S,
    LIPS_PART_S,
    LIPS_SHUT_S,
    TEETH_PART_S,
    TEETH_SHUT_S,
    WINDOW_S,
    PhoneSegment,
    SmoothShape,
    edge_contact,
    separated,
    shaped,
    with_contacts,
)
from cvi.face.motion import ease, fall
from cvi.face.phonetics import Target, targets
from cvi.face.sound_mouth import (
    FRAME_S,
    NO_SOUND,
    MouthReader,
    ReferenceLevel,
    ShapeValues,
    SoundMouth,
    levels_db,
)
from cvi.tts.base import Phone

CUT_S = 0.115
"""From a cut to exact rest; with frames of 40 ms it shows within 160 ms."""
_ORIGIN_S = 0.100
_JOIN_S = 0.080
_PHRASE_GAP_S = 0.200
_PHRASE_END_S = 0.120


class MouthDriver:
    """The mouth of one reply; times are seconds on the reply's own timeline, zero its first sample.

    `append` speech as it is synthesized and call `mouth_at` once a frame, in any order of time. The mouth
    depends on the speech appended so far; when speech arrives after the mouth had to look ahead, the
    difference is blended in over 80 ms. Before zero the mouth is at rest. Not thread-safe.
    """

    def __init__(self, reader: MouthReader | None = None) -> None:
        """`reader` replaces the shipped network for sound without phones, for example by a person's own."""
        self._reader = reader
        self._segments: list[PhoneSegment] = []
        self._starts: list[float] = []
        self._sound: SoundMouth | None = None
        self._level = ReferenceLevel()
        self._cut: tuple[float, MouthShape] | None = None
        self._last_query: tuple[float, SmoothShape] | None = None
        self._join: tuple[float, SmoothShape] | None = None

    def append(self, phones: Sequence[Phone], pcm: Pcm, start_s: float) -> None:
        """Add a piece of speech whose first sample is heard at `start_s`.

        `phones` have times relative to the piece, as in `Speech`; when there are none, the sound alone drives
        the mouth. `pcm` is int16 mono at PLAYED_HZ. Pieces come in order of time.
        """
        last = self._last_query
        before = self._smooth(last[0]) if last is not None else None
        if phones:
            self._add_phones(phones, pcm, start_s)
        else:
            self._sound = self._sound or SoundMouth(self._reader)
            self._sound.append(pcm, start_s)
        if last is not None and self._smooth(last[0]) != before:
            self._join = last

    def cut(self, t_s: float) -> None:
        """Stop at `t_s`: the mouth closes from there and is at exact rest `CUT_S` later. The earliest cut
        counts."""
        if self._cut is None or t_s < self._cut[0]:
            self._cut = (t_s, self._speaking(t_s))

    def mouth_at(self, t_s: float) -> MouthShape:
        """The mouth at `t_s`; `REST` where nothing is said."""
        if self._cut is not None and t_s > self._cut[0]:
            left = fall(t_s - self._cut[0], CUT_S)
            shape = self._cut[1]
            if left == 0.0 or shape == REST:
                return REST
            return MouthShape(*(value * left for value in astuple(shape)))
        return self._speaking(t_s, remember=True)

    def emphasis_at(self, t_s: float) -> float:
        """How strongly the speech is stressed around `t_s`, 0..1; loud stressed vowels are near 1."""
        if self._cut is not None and t_s > self._cut[0]:
            return 0.0
        strongest = 0.0
        for segment in self._near(t_s):
            if segment.emphasis > 0.0:
                middle = (segment.core_start_s + segment.core_end_s) / 2
                strongest = max(strongest, segment.emphasis * fall(abs(t_s - middle), 0.150))
        return strongest

    def phrase_end_at(self, t_s: float) -> bool:
        """Whether a phrase ended within the 120 ms before `t_s`: at least 200 ms of pause follow, or nothing
        known."""
        index = bisect_right(self._starts, t_s) - 1
        if index < 0:
            return False
        end = self._segments[index].end_s
        if not 0.0 <= t_s - end < _PHRASE_END_S:
            return False
        return index + 1 == len(self._starts) or self._starts[index + 1] - end >= _PHRASE_GAP_S

    def _add_phones(self, phones: Sequence[Phone], pcm: Pcm, start_s: float) -> None:
        levels = levels_db(pcm)
        reference = self._level.update(levels)
        for phone in phones:
            at = phone.start_s
            # Loudness over the phone's time, relative to the voice's loud parts.
            first = int(at / FRAME_S)
            loudness = levels[first : max(first + 1, int(phone.end_s / FRAME_S))]
            above_db = float(np.max(loudness)) - reference if len(loudness) else 0.0
            for target in targets(phone.ipa):
                length = target.share * max(0.0, phone.end_s - phone.start_s)
                self._add(target, phone.stress, above_db, start_s + at, length)
                at += length

    def _add(self, target: Target, stress: int, above_db: float, start_s: float, length_s: float) -> None:
        # Engines guarantee order; rounding must not break the bisection.
        start_s = max(start_s, self._starts[-1] if self._starts else start_s)
        jaw = target.jaw
        emphasis = 0.0
        if target.vowel:
            stressed = {1: 1.12, 2: 1.04}.get(stress, 0.92)
            jaw = min(1.0, jaw * stressed * min(1.1, max(0.65, 1.0 + above_db / 36.0)))
            if stress == 1:
                emphasis = min(1.0, max(0.2, 0.7 + above_db / 12.0))
        core = 0.25 * length_s
        segment = PhoneSegment(
            start_s=start_s,
            end_s=start_s + length_s,
            core_start_s=start_s + core,
            core_end_s=start_s + length_s - core,
            target=target,
            jaw=jaw,
            emphasis=emphasis,
            shut_s=TEETH_SHUT_S if target.teeth > 0.0 else LIPS_SHUT_S,
            part_s=TEETH_PART_S if target.teeth > 0.0 else LIPS_PART_S,
        )
        if self._segments:
            self._segments[-1], segment = separated(self._segments[-1], segment)
        self._starts.append(start_s)
        self._segments.append(segment)

    def _near(self, t_s: float) -> list[PhoneSegment]:
        """The segments that influence `t_s`. Starts are ordered, and so are ends."""
        reach_s = WINDOW_S + INERTIA_S
        last = bisect_left(self._starts, t_s + reach_s)
        first = last
        while first > 0 and self._segments[first - 1].end_s > t_s - reach_s:
            first -= 1
        return self._segments[first:last]

    def _speaking(self, t_s: float, remember: bool = False) -> MouthShape:
        if t_s < 0.0:
            return REST
        near = self._near(t_s)
        smooth = self._smooth(t_s)
        if self._join is not None and 0.0 <= t_s - self._join[0] < _JOIN_S:
            stay = fall(t_s - self._join[0], _JOIN_S)
            old = self._join[1]
            jaw, wide, round_, tongue = (a + stay * (b - a) for a, b in zip(smooth, old, strict=True))
            smooth = (jaw, wide, round_, tongue)
        if remember:
            self._last_query = (t_s, smooth)
        lips, teeth = self._from_sound(t_s)[4:]
        held, bite = lips, teeth
        for segment in near:
            if segment.target.lips > 0.0:
                lips = max(lips, segment.target.lips * segment.contact(t_s))
                held = max(held, segment.target.lips * segment.barrier(t_s))
            elif segment.target.teeth > 0.0:
                teeth = max(teeth, segment.target.teeth * segment.contact(t_s))
                bite = max(bite, segment.target.teeth * segment.barrier(t_s))
        apart = 1.0 - max(held, edge_contact(t_s, near))
        return with_contacts(smooth, lips, teeth * (1.0 - lips), apart, bite)

    def _from_sound(self, t_s: float) -> ShapeValues:
        return NO_SOUND if self._sound is None else self._sound.at(t_s)

    def _smooth(self, t_s: float) -> SmoothShape:
        near = self._near(t_s)
        jaw, wide, round_, tongue, _, _ = self._from_sound(t_s)
        if near:
            shape = shaped(t_s, near)
            jaw = max(jaw, shape[0])
            wide = max(wide, shape[1])
            round_ = max(round_, shape[2])
            tongue = max(tongue, shape[3])
        # Speech may begin at the first sample: the mouth opens from rest and does not jump.
        origin = ease((t_s + 1e-9) / _ORIGIN_S)
        return (jaw * origin, wide * origin, round_ * origin, tongue * origin)
