"""The eyes in the footage: blinks are found, cut out to be shown on request and removed from the clips; and
where the eyes are and how far they look aside is measured.

A clip with a blink would blink at the same moment of every loop, beside the blinks the controls ask for. So
the clips' eyes are kept open, and all blinks are requested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cvi.face.neural.compose import paste
from cvi.face.neural.eyes import BlinkPatches, composed, no_blink
from cvi.face.neural.eyes import EyeTrack as FilmEyes
from cvi.face.planes import to_rgb
from cvi.training.arrays import Bools, Bytes, Doubles, Floats
from cvi.training.footage.face_geometry import crop, moved, smoothed

EDGES = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263)),
)
"""Edges of each eye's upper and lower lid, from the viewer's left to the right."""
RINGS = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477))
"""The middle of each iris, and four points on its edge."""
_STEADY_FRAMES = 1.0
_RARE = 0.01
"""The share of frames in which the eyes may look farther aside than is shown, as tracking errors."""
LIDS = ((159, 145), (386, 374))
EYES = ((33, 133), (362, 263))
_USUAL_S = 1.0
"""Window over which the usual opening of the eyes is measured; it changes with nods and the mood."""
_SHUT, _BEGUN = 0.7, 0.15
"""A blink reaches the first closure and lasts while the closure is above the second."""
_LONGEST_S = 0.6
_LEVEL_STEP = 0.1
"""Closure between two levels of a blink that are stored."""
_WINDOW = 0.86
"""Face widths: the side of the square window around the middle between the eyes."""
_WIDE, _HIGH = 0.72, 0.62
"""Half axes of the ellipse that is drawn of an eye, in lengths of the eye."""
_FEATHER, _RING = 0.45, 1.3
_SPEED_PENALTY = 3.0
"""Head speed, face widths a second, that weighs as much as a whole closure when a blink is chosen."""


@dataclass(frozen=True, slots=True)
class Blink:
    """Frames [first, end); the eyes are most closed in `peak`."""

    first: int
    peak: int
    end: int


def closure(landmarks: Floats, pieces: Sequence[tuple[int, int]], fps: float) -> Floats:
    """How far the eyes are closed, (n,), about 0 open to 1 closed; `landmarks` (n, 478, 3), gaps filled."""
    high = np.mean([_distance(landmarks, *pair) for pair in LIDS], axis=0)
    long = np.mean([_distance(landmarks, *pair) for pair in EYES], axis=0)
    opened = high / np.maximum(long, 1e-6)
    shut = float(np.quantile(opened, 0.003))
    out = np.zeros(len(opened), np.float32)
    reach = max(1, round(_USUAL_S * fps))
    for first, end in pieces:
        for index in range(first, end):
            window = opened[max(first, index - reach) : min(end, index + reach + 1)]
            usual = float(np.quantile(window, 0.7))
            # The lower bound keeps fluttering from counting as blinks where the eyes never close.
            span = max(usual - shut, 0.45 * usual)
            out[index] = (usual - opened[index]) / max(span, 1e-6)
    return np.clip(out, 0, 1)


def find_blinks(shut: Floats, pieces: Sequence[tuple[int, int]], fps: float) -> list[Blink]:
    """All blinks that begin and end within a piece, in order."""
    found: list[Blink] = []
    for first, end in pieces:
        index = first
        while index < end:
            if shut[index] < _SHUT:
                index += 1
                continue
            low = index
            while low > first and shut[low - 1] > _BEGUN:
                low -= 1
            high = index
            while high < end and shut[high] > _BEGUN:
                high += 1
            if first < low and high < end and high - low <= _LONGEST_S * fps:
                found.append(Blink(low, low + int(np.argmax(shut[low:high])), high))
            index = high + 1
    return found


@dataclass(frozen=True, slots=True)
class EyeWindow:
    """The window that both eyes are cut from: `side` in pixels; `place` (2, 3) from the lower face's crop to
    it; `mask`, `ring` (side, side) as in `BlinkPatches`."""

    side: int
    place: Floats
    mask: Floats
    ring: Floats


def eye_window(landmarks: Floats, matrices: Floats, crop_side: int, face_px: float) -> EyeWindow:
    """The window, from frames with open eyes (n, 478, 3) and their matrices to crops of `crop_side` pixels;
    its resolution is about the footage's."""
    corners = [point for eye in EYES for point in eye]
    spots = moved(landmarks[:, corners, :2], matrices).mean(0)
    middle = spots.mean(0)
    side = int(np.ceil(_WINDOW * face_px / 8)) * 8
    scale = side / (_WINDOW * crop_side)
    place = np.array(
        [[scale, 0, side / 2 - scale * middle[0]], [0, scale, side / 2 - scale * middle[1]]], np.float32
    )
    y, x = np.mgrid[:side, :side].astype(np.float32)
    far = np.full((side, side), np.inf, np.float32)
    corners_in_window = spots @ place[:, :2].T + place[:, 2]
    for left, right in (corners_in_window[:2], corners_in_window[2:]):
        centre, along = (left + right) / 2, right - left
        length = float(np.linalg.norm(along))
        u, v = along / length, np.array([-along[1], along[0]]) / length
        dx, dy = x - centre[0], y - centre[1]
        along_eye = (dx * u[0] + dy * u[1]) / (_WIDE * length)
        over_eye = (dx * v[0] + dy * v[1]) / (_HIGH * length)
        far = np.minimum(far, np.hypot(along_eye, over_eye).astype(np.float32))
    ramp = np.clip((1 - far) / _FEATHER, 0, 1)
    mask = ramp * ramp * (3 - 2 * ramp)
    ring = ((far > 1) & (far < _RING)).astype(np.float32)
    return EyeWindow(side, place, mask.astype(np.float32), ring)


def choose_blink(
    blinks: Sequence[Blink],
    shut: Floats,
    landmarks: Floats,
    usable: Bools,
    face_px: float,
    fps: float,
) -> Blink | None:
    """The blink that closes the eyes most while the head moves least; None where no whole blink is usable."""

    def score(blink: Blink) -> float:
        nose = landmarks[blink.first : blink.end + 1, 168, :2] / face_px
        speed = float(np.linalg.norm(np.diff(nose, axis=0), axis=1).mean()) * fps
        return float(shut[blink.peak]) - speed / _SPEED_PENALTY

    whole = [blink for blink in blinks if usable[blink.first - 1 : blink.end + 1].all()]
    return max(whole, key=score, default=None)


def closure_levels(blink: Blink, shut: Floats) -> list[int]:
    """Frames of a blink at increasing closure, `_LEVEL_STEP` apart."""
    order = sorted(range(blink.first, blink.end), key=lambda index: float(shut[index]))
    levels: list[int] = []
    for index in reversed(order):
        if not levels or shut[levels[-1]] - shut[index] >= _LEVEL_STEP:
            levels.append(index)
    return levels[::-1]


def blink_patches(
    frames: Sequence[int], shut: Floats, eyes: EyeWindow, matrices: Floats, pictures: dict[int, Bytes]
) -> BlinkPatches:
    """Patches of the eyes at increasing closure. `frames` as `closure_levels` gives them, `pictures` their
    pictures, I420; `matrices` of the lower face's crops."""
    if not frames:
        return no_blink()
    patches = [
        crop(to_rgb(pictures[index]), composed(matrices[index], eyes.place), eyes.side) for index in frames
    ]
    levels = shut[list(frames)] / float(shut[frames[-1]])
    return BlinkPatches(levels.astype(np.float32), np.stack(patches), eyes.mask, eyes.ring, eyes.place)


@dataclass(frozen=True, slots=True)
class OpenEyes:
    """Removes blinks: in one, the eyes are those of the frames before and after it."""

    blinks: tuple[Blink, ...]
    eyes: EyeWindow
    matrices: Floats

    def sources(self, index: int) -> tuple[int, ...]:
        """The other frames that are needed to show frame `index` with open eyes."""
        blink = self._blink(index)
        return () if blink is None else (blink.first - 1, blink.end)

    def show(self, index: int, pictures: dict[int, Bytes]) -> Bytes:
        """Frame `index`, I420, with open eyes; `pictures` holds it and its sources."""
        blink = self._blink(index)
        if blink is None:
            return pictures[index]
        before, after = (self._eyes(source, pictures[source]) for source in self.sources(index))
        # Cross-faded over three frames around the peak.
        share = min(max((index - blink.peak + 2) / 4, 0.0), 1.0)
        shown = pictures[index].copy()
        drawn = before * np.float32(1 - share) + after * np.float32(share)
        paste(shown, drawn, composed(self.matrices[index], self.eyes.place), self.eyes.mask, self.eyes.ring)
        return shown

    def _eyes(self, source: int, frame: Bytes) -> Floats:
        place = composed(self.matrices[source], self.eyes.place)
        return crop(to_rgb(frame), place, self.eyes.side).astype(np.float32)

    def _blink(self, index: int) -> Blink | None:
        return next((blink for blink in self.blinks if blink.first <= index < blink.end), None)


def find_eye_closures(
    landmarks: Floats,
    matrices: Floats,
    usable: Bools,
    pieces: Sequence[tuple[int, int]],
    crop_side: int,
    face_px: float,
    fps: float,
) -> tuple[OpenEyes, list[int], Floats]:
    """What removes the blinks from the clips, the frames of the blink to be shown on request (none where the
    footage has none), and how far the eyes are closed in each frame, (n,)."""
    shut = closure(landmarks, pieces, fps)
    blinks = find_blinks(shut, pieces, fps)
    opened = usable & (shut < _BEGUN)
    if not opened.any():
        opened = usable
    eyes = eye_window(landmarks[opened], matrices[opened], crop_side, face_px)
    best = choose_blink(blinks, shut, landmarks, usable, face_px, fps)
    return OpenEyes(tuple(blinks), eyes, matrices), closure_levels(best, shut) if best else [], shut


def _distance(landmarks: Floats, one: int, other: int) -> Doubles:
    gap = landmarks[:, one] - landmarks[:, other]
    return np.asarray(np.linalg.norm(gap, axis=1), np.float64)


def eye_positions(
    landmarks: Floats,
    matrices: Floats,
    usable: Bools,
    blinks: Sequence[Blink],
    pieces: Sequence[tuple[int, int]],
) -> FilmEyes:
    """Lids and irises in every frame, and how far the person looks aside. `landmarks` (n, 478, 3), gaps
    filled; `matrices` (n, 2, 3) of the lower face's crops; `usable` (n,) frames that may be shown; `blinks`
    are shown open; `pieces` as in `PreparedFootage`."""
    points = [point for eye in EDGES for edge in eye for point in edge] + [
        point for ring in RINGS for point in ring
    ]
    spots = moved(landmarks[:, points, :2], matrices)
    opened = usable.copy()
    for blink in blinks:
        opened[blink.first : blink.end] = False
        # Interpolated as `OpenEyes` shows them.
        before, after = spots[blink.first - 1], spots[min(blink.end, len(spots) - 1)]
        for index in range(blink.first, blink.end):
            share = (index - blink.first + 1) / (blink.end - blink.first + 1)
            spots[index] = before * (1 - share) + after * share
    spots = smoothed(spots, list(pieces), _STEADY_FRAMES)
    back = np.stack([_inverse(matrix) for matrix in matrices])
    spots = moved(spots, back)
    count = len(spots)
    lids = spots[:, :36].reshape(count, 2, 2, 9, 2)
    rings = spots[:, 36:].reshape(count, 2, 5, 2)
    middles = rings[:, :, 0]
    radii = np.linalg.norm(rings[:, :, 1:] - middles[:, :, None], axis=3).mean(2)
    irises = np.concatenate([middles, radii[..., None]], 2)
    looks = _looks(lids, middles)[opened if opened.any() else usable]
    least, most = np.quantile(looks, (_RARE, 1 - _RARE), axis=0)
    return FilmEyes(lids, irises.astype(np.float32), least.astype(np.float32), most.astype(np.float32))


def _looks(lids: Floats, middles: Floats) -> Floats:
    """Gaze (n, 2), right and down from the middle between the eye's corners, in half lengths of the eye; mean
    of both eyes."""
    left, right = lids[:, :, :, 0].mean(2), lids[:, :, :, -1].mean(2)
    along = (right - left) / 2
    square = (along**2).sum(2)
    away = middles - (left + right) / 2
    across = np.stack([-along[..., 1], along[..., 0]], -1)
    found = (
        np.stack([(away * along).sum(2), (away * across).sum(2)], -1) / np.maximum(square, 1e-6)[..., None]
    )
    return np.asarray(found.mean(1), np.float32)


def _inverse(matrix: Floats) -> Floats:
    turn = np.linalg.inv(matrix[:, :2].astype(np.float64))
    return np.hstack([turn, -turn @ matrix[:, 2:]]).astype(np.float32)
