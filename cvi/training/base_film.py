"""Footage as a film the live face can play: constant rate, no reordering, a key frame where one jumps."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.errors import CviError, UsageError
from cvi.face.neural.colour import to_i420
from cvi.media.frames import av_frame
from cvi.training.footage import FootageFrame

_X264 = {"preset": "medium", "crf": "15", "bf": "0", "tune": "film"}

Planes = npt.NDArray[np.uint8]


def fetch(frames: Iterable[FootageFrame], wanted: Collection[int], folder: Path) -> dict[int, Planes]:
    """The frames of these numbers, I420; they are many, and lie in a nameless file in `folder`.

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
            kept = np.memmap(file, np.uint8, "r", shape=(len(found), *shape))
    except OSError as error:
        raise CviError(
            f"{folder} cannot be written to: {error.strerror or error}.", "Free some space and go on."
        ) from error
    return {index: kept[place] for place, index in enumerate(found)}


def write_base(
    path: Path, count: int, show: Callable[[int], Planes], fps: float, keys: Collection[int] = ()
) -> None:
    """Encode `count` frames, which `show` gives by number, I420; about 0.3 MB a second at 720p. `keys` can be
    shown without those before them.

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
