"""I420 pictures on their way to PyAV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av import VideoFrame


def av_frame(i420: npt.NDArray[np.uint8]) -> VideoFrame:
    """I420, shape (height * 3 // 2, width), sides even -> PyAV's frame of it.

    The array is not copied and must stay as it is while the frame lives, but where PyAV's view of it
    would be wrong: it reads a height that is no multiple of four as the next smaller one.
    """
    import av

    if i420.shape[0] % 6:
        return av.VideoFrame.from_ndarray(i420, format="yuv420p")
    return av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(i420), format="yuv420p")
