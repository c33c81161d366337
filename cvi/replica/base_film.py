"""The base loop as a film the live face can play: constant rate, no reordering, a key frame each second."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.errors import CviError, UsageError
from cvi.face.neural.colour import to_i420
from cvi.picture import av_frame
from cvi.replica.footage import FootageFrame

_X264 = {"preset": "medium", "crf": "15", "bf": "0", "tune": "film"}

Planes = npt.NDArray[np.uint8]


def fetch(frames: Iterable[FootageFrame], wanted: Collection[int]) -> dict[int, Planes]:
    """The frames of these numbers, I420. Raises UsageError where the footage has fewer."""
    kept: dict[int, Planes] = {}
    for frame in frames:
        if frame.index in wanted:
            kept[frame.index] = to_i420(frame.rgb)
            if len(kept) == len(wanted):
                break
    if len(kept) < len(wanted):
        raise UsageError("The footage has fewer frames than before.", "Give the film it was prepared from.")
    return kept


def write_base(path: Path, order: npt.NDArray[np.int32], show: Callable[[int], Planes], fps: float) -> None:
    """Encode the frames of `order`, which `show` gives by number, I420; about 0.3 MB a second at 720p.

    Raises CviError where the disk refuses.
    """
    import av

    first = show(int(order[0]))
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
            for pts, index in enumerate(order.tolist()):
                image = av_frame(show(index))
                image.pts, image.time_base = pts, coder.time_base
                film.mux(stream.encode(image))
            film.mux(stream.encode(None))
    except (av.FFmpegError, OSError) as error:
        raise CviError(
            f"{path} cannot be written: {error.strerror or error}.", "Free some space and go on."
        ) from error
