"""What was said, with which face and which voice: aligned in time, and where they disagree.

A disagreement is a finding about appearances: words that say all is well beside drawn brows and a slow, quiet
or hesitant voice, or words of trouble beside a smile. It is named, never interpreted.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cvi.perception.sight import Sight

_KEPT_S = 90.0
_AROUND_WORD_S = (1.0, 0.4)
"""Before and after the moment at which a recognizer gives a word: it comes some tenths after it was said."""
_FINE = re.compile(
    r"\b(fine|good|great|okay|ok|sure|all right|alright|no problem|perfect|clear|i understand|happy)\b"
)
_NOT = re.compile(r"\b(not|no|n't|never|hardly|isn't|don't|wasn't)\b[^.,;]{0,14}$")
_BAD = re.compile(
    r"\b(sad|terrible|awful|horrible|angry|hate|hurts|worried|afraid|frustrated|annoyed|upset)\b"
)
_DULL = {"slow", "flat", "quiet", "hesitant", "sighing"}
FURROWED, SMILED = 0.45, 0.6


@dataclass(frozen=True, slots=True)
class FaceSpan:
    """What a face did over a stretch of time: means of smile, raised and drawn brows, 0..1, and the share of
    time in which it looked away. `seen` is False where no face was there."""

    seen: bool = False
    smile: float = 0.0
    raised: float = 0.0
    furrowed: float = 0.0
    away: float = 0.0


class FaceTrackRecord:
    """The sights of the last minute and a half, for what was said meanwhile. Numbers only, no pictures."""

    def __init__(self) -> None:
        self._sights: deque[Sight] = deque()

    def add(self, sight: Sight) -> None:
        """The next sight in order of time."""
        self._sights.append(sight)
        while sight.t_s - self._sights[0].t_s > _KEPT_S:
            self._sights.popleft()

    def between(self, start_s: float, end_s: float) -> FaceSpan:
        """The face from `start_s` to `end_s`."""
        seen = [one for one in self._sights if start_s <= one.t_s <= end_s and one.calibrated and one.present]
        if not seen:
            return FaceSpan()
        count = len(seen)
        return FaceSpan(
            True,
            sum(one.smile for one in seen) / count,
            sum(one.raised for one in seen) / count,
            sum(one.furrowed for one in seen) / count,
            sum(one.look not in ("screen", "unknown") for one in seen) / count,
        )


class WordTimes:
    """When the words of a turn became known, from the recognizer's growing text."""

    def __init__(self) -> None:
        self._at: list[tuple[int, float]] = []

    def clear(self) -> None:
        """A new turn begins."""
        self._at.clear()

    def grew(self, text: str, t_s: float) -> None:
        """At `t_s` the text was this long."""
        if not self._at or len(text) > self._at[-1][0]:
            self._at.append((len(text), t_s))

    @property
    def any(self) -> bool:
        """Whether words of this turn are known."""
        return bool(self._at)

    def at(self, index: int) -> float | None:
        """When the character `index` of the text was first there; None where that is not known."""
        return next((t_s for length, t_s in self._at if length > index), None)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What the words of a turn and its face or voice disagree in, as a sentence, "" for nothing; `doubt` is
    how somebody comes across who says that all is well: they "look" or "sound" unsure."""

    text: str = ""
    doubt: Literal["look", "sound", ""] = ""


NO_MISMATCH = Mismatch()


def mismatch(
    text: str, words: WordTimes, faces: FaceTrackRecord, span: tuple[float, float], manner: Sequence[str]
) -> Mismatch:
    """The mismatch of a turn's words. `span` is its start and end, seconds."""
    lower = text.lower()
    found = _FINE.search(lower)
    good = found is not None and _NOT.search(lower[: found.start()]) is None
    found = found if good else _BAD.search(lower)
    if found is None:
        return NO_MISMATCH
    at_s = words.at(found.end() - 1)
    before_s, after_s = _AROUND_WORD_S
    face = faces.between(*(span if at_s is None else (at_s - before_s, at_s + after_s)))
    word = text[found.start() : found.end()]
    if not good:
        return Mismatch(f'They say "{word}" with a smile.') if face.smile > SMILED else NO_MISMATCH
    drawn = face.furrowed > FURROWED
    beside = ["their brows are drawn together"] if drawn else []
    dull = [each for each in manner if each in _DULL]
    if dull and face.smile < 0.3 and (beside or len(dull) > 1):
        beside.append(f"their voice sounds {' and '.join(dull)}")
    if not beside:
        return NO_MISMATCH
    return Mismatch(f'They say "{word}", but {" and ".join(beside)}.', "look" if drawn else "sound")
