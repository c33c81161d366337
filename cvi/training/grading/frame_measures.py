"""What is measured in each frame while the film is decoded once: sharpness, light, text, the lower face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from cvi.perception.face_detection import FaceTracker
from cvi.training.arrays import Bytes, Doubles, Floats, Ints
from cvi.training.footage.reader import Footage, Rgb
from cvi.training.footage.tracking import FaceTrack, TrackCollector
from cvi.training.grading.face_measures import CHIN, EYE_LEFT, EYE_RIGHT, LEFT, NOSE_BASE, RIGHT, TOP

MOST_SIDE_PX = 1280
"""Frames are decoded no larger than this for grading."""
FACE_PX = 192
THUMB = (64, 36)
PATCH = (16, 12)
_STRONG_EDGE = 80
_STROKES = 10


@dataclass(frozen=True, slots=True)
class FrameMeasures:
    """n frames. `track` is in pixels of frames scaled down by `scale`; `source_s` [n] the time of the film's
    frame; `blur` [n] 0..1 (Crete), NaN without a face; `brightness` [n] the change to the frame before, as a
    logarithm; `change` [n] what else changed, grey levels; `text_rows` [n] rows between nose and chin that
    look like text; `patches` uint8 [n, 12, 16, 3] the lower face, upright."""

    track: FaceTrack
    scale: float
    source_s: Doubles
    blur: Doubles
    brightness: Doubles
    change: Doubles
    text_rows: Ints
    patches: Bytes


def measure_frames(
    footage: Footage,
    tracker: FaceTracker,
    fps: float,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> FrameMeasures:
    """Decode the film once and measure each frame; `progress` is called with (frames done, about how many).

    Memory: about 7 KB a frame. Raises what `Footage.frames` and the tracker raise.
    """
    collector = TrackCollector(tracker, fps)
    about = max(round(footage.duration_s * fps), 1)
    source_s, blur, brightness, change, text, patches = [], [], [], [], [], []
    before: Floats | None = None
    no_patch = np.zeros((*PATCH[::-1], 3), np.uint8)
    for frame in footage.frames(fps, most_side_px=MOST_SIDE_PX):
        face = collector.add(frame).landmarks
        grey = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)
        thumb = cv2.resize(grey, THUMB, interpolation=cv2.INTER_AREA).astype(np.float32)
        lighter, other = _changes(before, thumb)
        before = thumb
        source_s.append(frame.source_s)
        brightness.append(lighter)
        change.append(other)
        crop = None if face is None else _face_crop(np.asarray(grey, np.uint8), face)
        blur.append(np.nan if crop is None else blur_of(crop[0]))
        text.append(0 if crop is None else text_rows(*crop))
        patches.append(no_patch if face is None else _lower_face(frame.rgb, face))
        progress(min(len(collector), about), about)
    track = collector.track()
    return FrameMeasures(
        track=track,
        scale=footage.width / track.width,
        source_s=np.asarray(source_s),
        blur=np.asarray(blur),
        brightness=np.asarray(brightness),
        change=np.asarray(change),
        text_rows=np.asarray(text, np.int32),
        patches=np.stack(patches),
    )


def _changes(before: Floats | None, now: Floats) -> tuple[float, float]:
    """The logarithm of how much lighter the picture became, and how much it changed otherwise, grey levels.

    The median over the thumbnail gives the light: a person who moves changes fewer than half of the pixels.
    """
    if before is None:
        return 0.0, 0.0
    lighter = float(np.median(np.log((now + 4.0) / (before + 4.0))))
    return lighter, float(np.mean(np.abs(now - before * np.exp(lighter))))


def _face_crop(grey: Rgb, face: Floats) -> tuple[Rgb, int, int] | None:
    """The face, ear to ear and brow to chin, at most FACE_PX wide, and the rows of nose base and chin."""
    height, width = grey.shape
    x0, x1 = sorted((float(face[LEFT, 0]), float(face[RIGHT, 0])))
    y0, y1 = float(face[TOP, 1]), float(face[CHIN, 1])
    left, right = max(int(x0), 0), min(int(x1) + 1, width)
    top, bottom = max(int(y0), 0), min(int(y1) + 1, height)
    if right - left < 16 or bottom - top < 16:
        return None
    scale = min(1.0, FACE_PX / (right - left))
    size = max(round((right - left) * scale), 16), max(round((bottom - top) * scale), 16)
    crop = np.asarray(cv2.resize(grey[top:bottom, left:right], size, interpolation=cv2.INTER_AREA), np.uint8)
    nose = round((float(face[NOSE_BASE, 1]) - top) * scale)
    return crop, max(nose, 0), size[1]


def blur_of(grey: Rgb) -> float:
    """How blurred a picture is, 0..1: how little a further blur reduces the differences of neighbours.

    F. Crete et al., "The Blur FieldEffect: Perception and Estimation with a New No-Reference Perceptual Blur
    Metric", SPIE 2007.
    """
    sharp = grey.astype(np.float32)
    worst = 0.0
    for axis, size in ((0, (1, 9)), (1, (9, 1))):
        soft = cv2.blur(sharp, size)
        of_sharp, of_soft = np.abs(np.diff(sharp, axis=axis)), np.abs(np.diff(soft, axis=axis))
        whole = float(of_sharp.sum())
        if whole <= 0.0:
            return 1.0
        worst = max(worst, 1.0 - float(np.maximum(of_sharp - of_soft, 0.0).sum()) / whole)
    return worst


def text_rows(grey: Rgb, first_row: int, last_row: int) -> int:
    """How many rows from `first_row` to `last_row` look like text: many hard edges, to light and to dark."""
    band = grey[first_row:last_row].astype(np.int16)
    if band.shape[0] < 4 or band.shape[1] < 32:
        return 0
    slope = band[:, 2:] - band[:, :-2]
    rows = np.full(band.shape[0], 1 << 15)
    for hard in (slope > _STRONG_EDGE, slope < -_STRONG_EDGE):
        begins = hard[:, 1:] & ~hard[:, :-1]
        rows = np.minimum(rows, begins.sum(1))
    return int((rows >= _STROKES // 2).sum())


def _lower_face(rgb: Rgb, face: Floats) -> Rgb:
    """From under the nose to the chin, upright and at one size; placed by the eyes, so that an object before
    the mouth does not move it."""
    left, right = face[EYE_LEFT, :2].astype(np.float64), face[EYE_RIGHT, :2].astype(np.float64)
    middle, along = (left + right) / 2, right - left
    down = np.array([-along[1], along[0]])
    # Corners of the patch, in distances between the eyes' outer corners.
    corners = [middle + along * x + down * y for x, y in ((-0.6, 0.4), (0.6, 0.4), (-0.6, 1.3))]
    columns, rows = PATCH
    matrix = cv2.getAffineTransform(
        np.asarray(corners, np.float32), np.array([[0, 0], [columns, 0], [0, rows]], np.float32)
    )
    # A patch is far smaller than the face: blurred first against aliasing.
    reach = float(np.linalg.norm(along)) * 1.2 / columns
    x0, y0 = np.floor(np.min([*corners, corners[1] + corners[2] - corners[0]], axis=0)).astype(int) - 2
    x1, y1 = np.ceil(np.max([*corners, corners[1] + corners[2] - corners[0]], axis=0)).astype(int) + 2
    x0, y0 = max(int(x0), 0), max(int(y0), 0)
    part = rgb[y0 : int(y1), x0 : int(x1)]
    if part.size == 0:
        return np.zeros((rows, columns, 3), np.uint8)
    side = max(round(reach) | 1, 1)
    matrix[:, 2] += matrix[:, :2] @ np.array([x0, y0])
    patch = cv2.warpAffine(
        cv2.blur(part, (side, side)), matrix, PATCH, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(patch, np.uint8)
