"""The base film that the live face plays: frames of the footage and blends of two, at a constant rate,
without reordering, with key frames where playback seeks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cvi.errors import CviError, UsageError
from cvi.face.planes import Planes, to_i420
from cvi.media.frames import Frame, av_frame
from cvi.training.arrays import Bytes, Floats
from cvi.training.footage.reader import FootageFrame

_FLOW_SIDE_PX = 640
"""Optical flow is computed on pictures whose longer side is at most this."""


class FrameBlender:
    """Blends two similar frames by warping both towards each other, since a cross-fade shows two outlines
    where they differ by more than a pixel. Flow by dense inverse search (Kroeger et al. 2016). One thread."""

    def __init__(self) -> None:
        self._search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def blend(self, before: Bytes, after: Bytes, share: float) -> Bytes:
        """The I420 frame that is `share` of the way from the one to the other."""
        shown = np.empty_like(before)
        one, other = Planes.of(before).luma, Planes.of(after).luma
        forward, back = self._flow(one, other), self._flow(other, one)
        for plane, source, goal in zip(Planes.of(shown), Planes.of(before), Planes.of(after), strict=True):
            step = one.shape[1] // plane.shape[1]
            left = _warped(source, forward, share, step)
            right = _warped(goal, back, 1 - share, step)
            plane[:] = cv2.addWeighted(left, 1 - share, right, share, 0.0)
        return shown

    def _flow(self, one: Bytes, other: Bytes) -> Floats:
        """The displacement of each pixel of `one` in `other`, (h, w, 2) pixels."""
        height, width = one.shape
        scale = min(1.0, _FLOW_SIDE_PX / max(height, width))
        size = round(width * scale), round(height * scale)
        small = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (one, other)]
        flow = self._search.calc(*small, None)
        large = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(large / scale, np.float32)


def _warped(plane: Bytes, flow: Floats, share: float, step: int) -> Bytes:
    """A plane warped by `share` of the flow; `step` pixels of the flow are one of the plane."""
    height, width = plane.shape
    scaled = flow if step == 1 else cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) / step
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.asarray(
        cv2.remap(
            plane,
            x - np.float32(share) * scaled[..., 0],
            y - np.float32(share) * scaled[..., 1],
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )


_X264 = {"preset": "medium", "crf": "15", "bf": "0", "tune": "film"}


def fetch_frames(frames: Iterable[FootageFrame], wanted: Collection[int], folder: Path) -> dict[int, Frame]:
    """The frames of these numbers, I420, mapped from a nameless file in `folder` since they are many.

    Raises UsageError where the footage has fewer, CviError where the disk refuses.
    """
    found: list[int] = []
    shape = (0, 0)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for frame in frames:
                if frame.index in wanted:
                    planes = to_i420(frame.rgb)
                    file.write(planes.tobytes())
                    found.append(frame.index)
                    shape = planes.shape[0], planes.shape[1]
                    if len(found) == len(wanted):
                        break
            if len(found) < len(wanted):
                raise UsageError(
                    "The footage has fewer frames than before.", "Give the film it was prepared from."
                )
            file.flush()
            frames_of = np.memmap(file, np.uint8, "r", shape=(len(found), *shape))
    except OSError as error:
        raise CviError(
            f"{folder} cannot be written to: {error.strerror or error}.", "Free some space and go on."
        ) from error
    return {index: frames_of[place] for place, index in enumerate(found)}


def write_base_film(
    path: Path, count: int, show: Callable[[int], Frame], fps: float, keys: Collection[int] = ()
) -> None:
    """Encode `count` frames that `show` gives by number, I420; about 0.3 MB a second at 720p. `keys` become
    key frames.

    Raises CviError where the disk refuses.
    """
    import av
    from av.video.frame import PictureType

    first = show(0)
    height, width = first.shape[0] * 2 // 3, first.shape[1]
    rate = Fraction(fps).limit_denominator(1001)
    try:
        with av.open(str(path), "w", format="mp4") as film:
            stream = film.add_stream("libx264", rate=rate, options=dict(_X264))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            coder = stream.codec_context
            coder.thread_count = 1
            coder.gop_size = max(1, round(fps))
            coder.time_base = 1 / rate
            coder.colorspace, coder.color_primaries, coder.color_trc, coder.color_range = 1, 1, 1, 1
            for index in range(count):
                image = av_frame(show(index))
                image.pts, image.time_base = index, coder.time_base
                if index in keys:
                    image.pict_type = PictureType.I
                film.mux(stream.encode(image))
            film.mux(stream.encode(None))
    except (av.FFmpegError, OSError) as error:
        raise CviError(
            f"{path} cannot be written: {error.strerror or error}.", "Free some space and go on."
        ) from error
