"""Video frames in memory: I420 arrays, and the unit of sound and picture that is played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cvi.audio.block import Pcm

if TYPE_CHECKING:
    from av import VideoFrame

Frame = npt.NDArray[np.uint8]
"""I420, shape (height * 3 // 2, width), sides even; BT.709, limited range."""


@dataclass(frozen=True, slots=True)
class AVUnit:
    """A frame and the slice of sound heard while it is shown.

    `index` counts units from the conversation's start, one each frame period: unit i is due at
    i / fps seconds. `frame`: I420. `pcm`: int16 mono at PLAYED_HZ, exactly PLAYED_HZ / fps samples.
    `generation`: the reply it belongs to; 0 is nobody's (idle).
    """

    index: int
    start_s: float
    frame: Frame
    pcm: Pcm
    generation: int = 0


def av_frame(i420: Frame) -> VideoFrame:
    """I420, shape (height * 3 // 2, width), sides even -> PyAV's frame of it.

    The array is not copied and must not change while the frame lives, except where the height is no
    multiple of four: PyAV's view reads it as the next smaller one, so that such a frame is copied.
    """
    import av

    if i420.shape[0] % 6:
        return av.VideoFrame.from_ndarray(i420, format="yuv420p")
    return av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(i420), format="yuv420p")


def planes(frame: Frame, width: int, height: int) -> tuple[Frame, Frame, Frame]:
    """Views of an I420 array's luma and two chroma planes."""
    flat = frame.reshape(-1)
    luma, chroma = width * height, width * height // 4
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(half),
        flat[luma + chroma : luma + 2 * chroma].reshape(half),
    )
