"""Reads pictures: how far a mouth is from rest in any pose of the head, and how late it follows the sound.

A mouth at rest looks different in every pose, but all its pictures lie near a low-dimensional subspace
(principal components: Sirovich and Kirby 1987); the distance from it is the mouth's motion. The subspace is
learned from the face itself, drawn at rest in many poses, or where that is not possible from the session's
own frames in the persona's silence. The pictures hold no eyes, so blinks do not count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from cvi.bench.probe.evidence import MOUTH_STEPS, Mouths, SoundTrack, Times
from cvi.bench.probe.tap import MouthBox
from cvi.bench.probe.waveform import TimeSpan, envelope
from cvi.bench.run import SyncPoint
from cvi.face.base import Controls
from cvi.files import replacing
from cvi.media.frames import Frame
from cvi.paths import home

# Frames this close to sound may belong to it: a mouth opens before it is heard and closes after.
_NEAR_SOUND_S = 0.40
_FEWEST_REST_FRAMES = 12
_LEARNED_FRAMES = 1200
# Poses drawn to learn from, over the whole range of the head (degrees), and components kept: with 450 and
# 120 a resting mouth of `june` in any pose of her behaviour is at most 0.4 grey levels from rest, and the
# first frame of an opening one 1.1 or more.
_POSES, _COMPONENTS = 450, 120
_YAW_DEG, _PITCH_DEG, _ROLL_DEG = 9.0, 7.0, 4.0
# A mouth moves when it is this far (grey levels) from how it looked just before, or six times the
# noise of a mouth at rest.
LEAST_MOVE = 0.6
_OVER_NOISE = 6.0
# Picture against sound: shifts tried, the step, the width of the sound's envelope, the least speech that
# tells, and the least correlation.
_FURTHEST_S, _STEP_S, _WIDTH_S = 0.40, 0.005, 0.06
_SHORTEST_S, _LEAST_CORRELATION = 0.8, 0.3

Distances = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MouthAppearance:
    """Where a face's mouth is, and the subspace of its pictures at rest: `mean` (560,) and `directions`
    (k, 560)."""

    box: MouthBox
    mean: Floats
    directions: Floats

    def distances(self, mouths: Mouths) -> Distances:
        """How far each mouth (n, 20, 28) is from any at rest: grey levels, root mean square."""
        away = mouths.reshape(len(mouths), -1).astype(np.float32) / MOUTH_STEPS - self.mean
        away -= (away @ self.directions.T) @ self.directions
        return np.asarray(np.sqrt(np.mean(away**2, axis=1)), np.float64)

    def save(self, path: Path) -> None:
        """Write it for `load`, whole or not at all. Raises CviError."""
        remedy = "Free some room, or set CVI_HOME elsewhere."
        with replacing(path, remedy=remedy) as part, part.open("wb") as file:
            np.savez(file, mean=self.mean, directions=self.directions)

    @staticmethod
    def load(path: Path, box: MouthBox) -> MouthAppearance | None:
        """What `save` wrote; None where there is none, or no whole one."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                return MouthAppearance(box, stored["mean"], stored["directions"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None


def learn_mouth_at_rest(render: Callable[[Controls], Frame], width: int, height: int) -> MouthAppearance:
    """Draw a face at rest in many poses, some five seconds' work, and learn. Kept in `$CVI_HOME/cache` for
    the next time the same face is drawn in the same way and size. Raises CviError when it cannot be kept."""
    digest = hashlib.sha256()
    for controls in (Controls(), Controls(jaw=0.8, yaw=4.0, pitch=3.0, smile=0.3)):
        digest.update(np.ascontiguousarray(render(controls)).tobytes())
    path = home() / "cache" / "mouths" / f"{digest.hexdigest()[:16]}.npz"
    box = find_mouth(render, width, height)
    appearance = MouthAppearance.load(path, box)
    if appearance is None:
        appearance = MouthAppearance(box, *_subspace(_drawn_at_rest(render, box), _COMPONENTS))
        appearance.save(path)
    return appearance


def _drawn_at_rest(render: Callable[[Controls], Frame], box: MouthBox) -> Mouths:
    rng = np.random.default_rng(0)
    drawn: list[Mouths] = []
    for number in range(_POSES):
        controls = Controls(
            smile=float(rng.uniform(-0.2, 0.6)) if number % 4 == 0 else 0.1,
            yaw=float(rng.uniform(-_YAW_DEG, _YAW_DEG)),
            pitch=float(rng.uniform(-_PITCH_DEG, _PITCH_DEG)),
            roll=float(rng.uniform(-_ROLL_DEG, _ROLL_DEG)),
            breath=float(rng.uniform()),
        )
        drawn.append(box.small(render(controls)))
    return np.stack(drawn)


def _subspace(rest: Mouths, components: int) -> tuple[Floats, Floats]:
    pictures = rest.reshape(len(rest), -1).astype(np.float32) / MOUTH_STEPS
    mean = pictures.mean(axis=0)
    _, _, directions = np.linalg.svd(pictures - mean, full_matrices=False)
    return mean, np.ascontiguousarray(directions[:components])


def find_mouth(render: Callable[[Controls], Frame], width: int, height: int) -> MouthBox:
    """Where a face's mouth is: what changes in the picture when only the jaw opens."""
    rest, wide = (render(Controls(jaw=jaw))[:height].astype(np.int16) for jaw in (0.0, 0.8))
    rows, columns = np.nonzero(np.abs(wide - rest) > 12)
    if not len(rows):
        return MouthBox(height // 2, height, width // 4, width * 3 // 4)
    top, bottom = np.percentile(rows, [1, 99])
    left, right = np.percentile(columns, [1, 99])
    more_y, more_x = 0.1 * (bottom - top), 0.1 * (right - left)
    return MouthBox(
        max(int(top - more_y), 0),
        min(int(bottom + more_y) + 1, height),
        max(int(left - more_x), 0),
        min(int(right + more_x) + 1, width),
    )


def mouth_motion(
    mouths: Mouths, times_s: Times, sounds: Sequence[TimeSpan], appearance: MouthAppearance | None = None
) -> Distances:
    """How far each mouth is from any at rest: grey levels, root mean square over the picture.

    `sounds` are when the persona was heard. Without an `appearance` rest is learned from the frames far from
    them; where there are too few of those, the mean picture is rest.
    """
    if appearance is not None:
        return appearance.distances(mouths)
    rest = mouths[_quiet(times_s, sounds)]
    nowhere = MouthBox(0, 0, 0, 0)
    if len(rest) < _FEWEST_REST_FRAMES:
        mean, directions = _subspace(mouths, 0)
        return MouthAppearance(nowhere, mean, directions).distances(mouths)
    if len(rest) > _LEARNED_FRAMES:
        rest = rest[np.linspace(0, len(rest) - 1, _LEARNED_FRAMES).astype(int)]
    return MouthAppearance(nowhere, *_subspace(rest, min(_COMPONENTS, len(rest) // 4))).distances(mouths)


def _quiet(times_s: Times, sounds: Sequence[TimeSpan]) -> npt.NDArray[np.bool_]:
    """Which frames are far from any sound of the persona."""
    quiet = np.ones(len(times_s), bool)
    for span in sounds:
        quiet &= (times_s < span.start_s - _NEAR_SOUND_S) | (times_s > span.end_s + _NEAR_SOUND_S)
    return quiet


def move_threshold(distances: Distances, times_s: Times, sounds: Sequence[TimeSpan]) -> float:
    """How much farther from rest than just before is a movement, grey levels."""
    still = distances[_quiet(times_s, sounds)]
    if len(still) < _FEWEST_REST_FRAMES:
        return LEAST_MOVE
    spread = 1.4826 * float(np.median(np.abs(still - np.median(still))))
    return max(LEAST_MOVE, _OVER_NOISE * spread)


def first_move_s(
    distances: Distances, times_s: Times, threshold: float, from_s: float, to_s: float
) -> float | None:
    """When the mouth first moves between two times: the first of two frames in a row that stand out from
    the half second before. None when it does not."""
    inside = np.flatnonzero((times_s >= from_s) & (times_s <= to_s))
    for number in inside:
        before = distances[(times_s < times_s[number]) & (times_s >= times_s[number] - 0.5)]
        if len(before) < 3 or number + 1 >= len(distances):
            continue
        base = float(np.percentile(before, 25))
        if min(distances[number], distances[number + 1]) > base + threshold:
            return float(times_s[number])
    return None


def rest_s(
    distances: Distances, times_s: Times, threshold: float, from_s: float, to_s: float
) -> float | None:
    """When the mouth came to rest after `from_s`: the first frame from which on it stays, until `to_s` and
    for at least 0.2 s, as it is at the end. None when it does not come to rest."""
    inside = np.flatnonzero((times_s >= from_s) & (times_s <= to_s))
    if len(inside) < 6:
        return None
    end = float(np.median(distances[inside[-5:]]))
    moving = np.flatnonzero(distances[inside] > end + threshold)
    first = int(moving[-1]) + 1 if len(moving) else 0
    if first >= len(inside) or times_s[inside[-1]] - times_s[inside[first]] < 0.2:
        return None
    return float(times_s[inside[first]])


def picture_lag(
    track: SoundTrack, distances: Distances, shown_s: Times, fps: float, spans: Sequence[TimeSpan]
) -> tuple[float, float] | None:
    """(seconds, correlation): the shift at which the mouth's motion follows the sound's loudness best, over
    all `spans` together; positive where the picture is late. None where they have nothing in common.

    A frame is seen over a whole frame period, so it stands for the middle of it.
    """
    middle = shown_s + 0.5 / fps
    chosen = np.zeros(len(shown_s), bool)
    for span in spans:
        chosen |= (middle > span.start_s - _FURTHEST_S) & (middle < span.end_s + _FURTHEST_S)
    if chosen.sum() < 10 or float(np.std(distances[chosen])) == 0:
        return None
    mouth, times_s = distances[chosen], middle[chosen]
    # Only what the shifts can reach: `envelope` sums the whole track it is given.
    reach_s = _FURTHEST_S + _WIDTH_S
    start_s = max(float(times_s[0]) - reach_s, track.start_s)
    near = SoundTrack(track.between(start_s, float(times_s[-1]) + reach_s), start_s, track.rate_hz)
    shifts = np.arange(-_FURTHEST_S, _FURTHEST_S + _STEP_S / 2, _STEP_S)
    correlation = np.zeros(len(shifts))
    for number, shift in enumerate(shifts):
        loud = envelope(near, times_s - shift, _WIDTH_S)
        correlation[number] = np.corrcoef(mouth, loud)[0, 1] if loud.std() > 0 else 0.0
    best = int(np.argmax(correlation))
    if correlation[best] < _LEAST_CORRELATION:
        return None
    return float(shifts[best] + parabola_peak(correlation, best) * _STEP_S), float(correlation[best])


def sync_points(
    track: SoundTrack,
    distances: Distances,
    shown_s: Times,
    fps: float,
    spans: Sequence[TimeSpan],
    session: str,
) -> list[SyncPoint]:
    """One point for every stretch of speech that is long enough to tell."""
    points: list[SyncPoint] = []
    for span in spans:
        if span.end_s - span.start_s < _SHORTEST_S:
            continue
        found = picture_lag(track, distances, shown_s, fps, [span])
        if found is not None:
            at_s = round((span.start_s + span.end_s) / 2, 3)
            points.append(SyncPoint(at_s, round(found[0] * 1000, 1), round(found[1], 3), session))
    return points


def parabola_peak(values: Distances, best: int) -> float:
    """Where a parabola through the largest value and its neighbours has its top, in steps from it."""
    if best in (0, len(values) - 1):
        return 0.0
    before, at, after = values[best - 1 : best + 2]
    bend = before - 2 * at + after
    return float(0.5 * (before - after) / bend) if bend < 0 else 0.0
