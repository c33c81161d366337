"""Reading pictures: how far a mouth is from rest, whatever the head does meanwhile.

A mouth at rest looks different in every pose of the head, but all those looks lie near a low-dimensional
subspace (principal components of small pictures: Sirovich and Kirby 1987). What of a picture lies outside
of it is a mouth that is not at rest. The subspace is learned from the face itself, drawn at rest in many
poses, or where that cannot be had from the session's own frames at times when nobody on that side sounds.
Blinks lie outside of the picture.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from cvi.bench.probe.evidence import MOUTH_STEPS, Mouths, Times
from cvi.bench.probe.hearing import Span
from cvi.bench.probe.tap import MouthBox
from cvi.errors import CviError
from cvi.face.base import Controls
from cvi.media.frames import Frame
from cvi.paths import home

# Frames this close to sound may belong to it: a mouth opens before it is heard and closes after.
_AROUND_SOUND_S = 0.40
_FEWEST_REST_FRAMES = 12
_LEARNED_FRAMES = 1200
# Poses drawn to learn from, over the whole range of the head (degrees), and components kept: with 450 and
# 120 a resting mouth of `june` in any pose of her behaviour is at most 0.4 grey levels from rest, and the
# first frame of an opening one 1.1 or more.
_POSES, _COMPONENTS = 450, 120
_YAW_DEG, _PITCH_DEG, _ROLL_DEG = 9.0, 7.0, 4.0
# A mouth moves when it is this far (grey levels) from how it looked just before, or six times the
# unrest of a mouth at rest.
LEAST_MOVE = 0.6
_UNREST = 6.0

Distances = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MouthLook:
    """Where a face's mouth is, and how it looks at rest: `mean` (560,) and `directions` (k, 560)."""

    box: MouthBox
    mean: Floats
    directions: Floats

    def distances(self, mouths: Mouths) -> Distances:
        """How far each mouth (n, 20, 28) is from any at rest: grey levels, root mean square."""
        away = mouths.reshape(len(mouths), -1).astype(np.float32) / MOUTH_STEPS - self.mean
        away -= (away @ self.directions.T) @ self.directions
        return np.asarray(np.sqrt(np.mean(away**2, axis=1)), np.float64)

    def save(self, path: Path) -> None:
        """How it looks, for `load`; whole or not at all. Raises CviError."""
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                np.savez(file, mean=self.mean, directions=self.directions)
            part.replace(path)
        except OSError as error:
            complaint = f"{path} cannot be written: {error.strerror}."
            raise CviError(complaint, "Free some room, or set CVI_HOME elsewhere.") from error
        finally:
            part.unlink(missing_ok=True)

    @staticmethod
    def load(path: Path, box: MouthBox) -> MouthLook | None:
        """What `save` wrote; None where there is none, or no whole one."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                return MouthLook(box, stored["mean"], stored["directions"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None


def learn_mouth(render: Callable[[Controls], Frame], width: int, height: int) -> MouthLook:
    """Draw a face at rest in many poses, some five seconds' work, and learn. Kept in `$CVI_HOME/cache` for
    the next time the same face is drawn in the same way and size. Raises CviError when it cannot be kept."""
    digest = hashlib.sha256()
    for controls in (Controls(), Controls(jaw=0.8, yaw=4.0, pitch=3.0, smile=0.3)):
        digest.update(np.ascontiguousarray(render(controls)).tobytes())
    path = home() / "cache" / "mouths" / f"{digest.hexdigest()[:16]}.npz"
    box = find_mouth(render, width, height)
    look = MouthLook.load(path, box)
    if look is None:
        look = MouthLook(box, *_subspace(_drawn_at_rest(render, box), _COMPONENTS))
        look.save(path)
    return look


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
        drawn.append(box.cut(render(controls)))
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


def unrest(
    mouths: Mouths, times_s: Times, sounds: Sequence[Span], look: MouthLook | None = None
) -> Distances:
    """How far each mouth is from any at rest: grey levels, root mean square over the picture.

    `sounds` are when the persona was heard. Without a `look` rest is learned from the frames far from
    them; where there are too few of those, the mean picture is rest.
    """
    if look is not None:
        return look.distances(mouths)
    rest = mouths[_quiet(times_s, sounds)]
    nowhere = MouthBox(0, 0, 0, 0)
    if len(rest) < _FEWEST_REST_FRAMES:
        mean, directions = _subspace(mouths, 0)
        return MouthLook(nowhere, mean, directions).distances(mouths)
    if len(rest) > _LEARNED_FRAMES:
        rest = rest[np.linspace(0, len(rest) - 1, _LEARNED_FRAMES).astype(int)]
    return MouthLook(nowhere, *_subspace(rest, min(_COMPONENTS, len(rest) // 4))).distances(mouths)


def _quiet(times_s: Times, sounds: Sequence[Span]) -> npt.NDArray[np.bool_]:
    """Which frames are far from any sound of their side."""
    quiet = np.ones(len(times_s), bool)
    for span in sounds:
        quiet &= (times_s < span.start_s - _AROUND_SOUND_S) | (times_s > span.end_s + _AROUND_SOUND_S)
    return quiet


def move_threshold(distances: Distances, times_s: Times, sounds: Sequence[Span]) -> float:
    """How much more unrest than just before is a movement."""
    still = distances[_quiet(times_s, sounds)]
    if len(still) < _FEWEST_REST_FRAMES:
        return LEAST_MOVE
    spread = 1.4826 * float(np.median(np.abs(still - np.median(still))))
    return max(LEAST_MOVE, _UNREST * spread)


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
