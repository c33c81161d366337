"""How the mouth works while somebody speaks, and where they sit still and are silent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cvi.training.grading.faults import Span
from cvi.training.grading.geometry import STABLE, face_width, mouth_opening, mouth_width
from cvi.training.grading.spans import Flags, flagged, runs
from cvi.training.grading.standards import Standards
from cvi.training.landmarks import Track

Series = npt.NDArray[np.float64]

CLOSED = 0.012
"""Face widths between the inner lips of a mouth that is shut; MediaPipe says 0 to 0.01 there."""
_OPENS = 0.02
"""How much further the mouth opens before and after a closure, face widths."""
_AROUND_S = 0.32
_ROUNDED = 0.9
"""A mouth this much narrower than its middle width while speaking is rounded."""
_STILL_OPENING, _STILL_MOUTH = 0.035, 0.008
"""Face widths: the most the lips may be apart, and the most they may waver (standard deviation)."""
_STILL_MOVE = 0.06
"""Face widths the eyes and nose may wander from their middle."""
_QUIET_GUARD_S = 0.2


def closures(track: Track, speech: tuple[Span, ...]) -> int:
    """How often the lips meet and part again while somebody speaks: P, B and M, seen."""
    opening = mouth_opening(track.landmarks)
    spoken = flagged(speech, len(track), track.fps)
    around = max(round(_AROUND_S * track.fps), 1)
    count = 0
    for start, end in runs(np.nan_to_num(opening, nan=1.0) < CLOSED):
        if not spoken[start:end].any():
            continue
        before, after = opening[max(start - around, 0) : start], opening[end : end + around]
        if _opens(before) and _opens(after):
            count += 1
    return count


def _opens(opening: Series) -> bool:
    return bool(np.isfinite(opening).any() and np.nanmax(opening) > CLOSED + _OPENS)


def roundings(track: Track, speech: tuple[Span, ...]) -> int:
    """How often the mouth narrows while somebody speaks: OO and W, seen."""
    width = mouth_width(track.landmarks)
    spoken = flagged(speech, len(track), track.fps) & track.present
    if not spoken.any():
        return 0
    narrow = np.nan_to_num(width, nan=np.inf) < _ROUNDED * float(np.nanmedian(width[spoken]))
    return len(runs(narrow & spoken))


def stills(track: Track, speech: tuple[Span, ...], standards: Standards) -> tuple[Span, ...]:
    """Stretches of `still_s` and more without speech in which the face hardly moves."""
    fps, count = track.fps, len(track)
    length = round(standards.still_s * fps)
    guarded = [(a - _QUIET_GUARD_S, b + _QUIET_GUARD_S) for a, b in speech]
    quiet: Flags = ~flagged(guarded, count, fps) & track.present
    opening = mouth_opening(track.landmarks)
    places = track.landmarks[:, STABLE, :2].astype(np.float64).mean(1) / face_width(track.landmarks)[:, None]
    found: list[Span] = []
    for start, end in runs(quiet):
        at = start
        while at + length <= end:
            stop = at + length
            if not _still(opening[at:stop], places[at:stop]):
                at += max(round(0.2 * fps), 1)
                continue
            while stop < end and _still(opening[at : stop + 1], places[at : stop + 1]):
                stop += 1
            found.append((at / fps, stop / fps))
            at = stop
    return tuple(found)


def _still(opening: Series, places: Series) -> bool:
    if np.median(opening) > _STILL_OPENING or np.std(opening) > _STILL_MOUTH:
        return False
    return bool(np.abs(places - np.median(places, axis=0)).max() <= _STILL_MOVE)
