"""Whether somebody else speaks: pitch and spectrum of each piece of speech beside this person's usual ones.

Pieces of eight voices (three of flite, two of espeak, three readers; 3 to 13 each) were at most 2.0 away from
their own speaker's usual voice, and at the median 2.1 to 32 from another's; of the 56 pairs
5 lay under `OTHER`. Two voices alike in pitch and colour are taken for one, and so are two at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cvi.perception.prosody import STEP_S, VoiceStep

LEAST_PIECE_S = 0.6
"""Voiced sound that a piece must have."""
_PARTED_S = 0.25
LEAST_PIECES = 4
"""So many pieces make a usual voice."""
OTHER = 3.5
_SEMITONES, _BAND_DB = 4.0, 2.0
"""What counts as one step away: the most that one speaker's pieces differed by."""

Print = npt.NDArray[np.float64]
"""Pitch in semitones, then the levels of nine bands beside their mean, dB."""


class UsualVoice:
    """The voice that is usually heard. Pieces of a second one are not learned."""

    def __init__(self) -> None:
        self._pieces: deque[Print] = deque(maxlen=40)

    def hears_another(self, steps: Sequence[VoiceStep]) -> bool:
        """Whether a second voice is among consecutive steps, such as a turn's; False until one is usual."""
        return any(self._others([voice_print(piece) for piece in _pieces(steps)]))

    def learn(self, steps: Sequence[VoiceStep]) -> None:
        """Take a turn into account, without a second voice in it. A turn all in another voice counts: it may
        be the person with a cold, or somebody else from here on."""
        prints = [voice_print(piece) for piece in _pieces(steps)]
        others = self._others(prints)
        self._pieces += [each for each, other in zip(prints, others, strict=True) if not other or all(others)]

    def _others(self, prints: Sequence[Print]) -> list[bool]:
        known = len(self._pieces) >= LEAST_PIECES
        return [known and self._distance(each) > OTHER for each in prints]

    def _distance(self, piece: Print) -> float:
        usual = np.median(np.stack(self._pieces), axis=0)
        semitones = abs(piece[0] - usual[0]) / _SEMITONES
        bands = float(np.sqrt(np.mean((piece[1:] - usual[1:]) ** 2))) / _BAND_DB
        return float(semitones**2 + bands**2)


def voice_print(voiced: Sequence[VoiceStep]) -> Print:
    """The print of voiced steps."""
    pitch = 12 * np.log2(np.median([step.pitch_hz for step in voiced]))
    bands = np.stack([step.bands for step in voiced]).astype(np.float64)
    return np.concatenate(([pitch], (bands - bands.mean(axis=1, keepdims=True)).mean(axis=0)))


def _pieces(steps: Sequence[VoiceStep]) -> list[list[VoiceStep]]:
    """The voiced steps of each piece that pauses part, where there are enough of them."""
    found: list[list[VoiceStep]] = [[]]
    for step in steps:
        if step.pitch_hz <= 0:
            continue
        if found[-1] and step.end_s - found[-1][-1].end_s > _PARTED_S:
            found.append([])
        found[-1].append(step)
    return [piece for piece in found if len(piece) * STEP_S >= LEAST_PIECE_S]
