"""What PyAV is given is the picture, plane by plane, at any even height."""

from __future__ import annotations

import numpy as np
import pytest

from cvi.media.frames import av_frame


@pytest.mark.parametrize("height", [450, 448, 362, 720, 2])
def test_every_plane_is_where_it_belongs(height: int) -> None:
    width = 64
    picture = np.random.default_rng(height).integers(0, 256, (height * 3 // 2, width), np.uint8)
    luma, chroma = picture[:height], picture[height:].reshape(2, height // 2, width // 2)
    frame = av_frame(picture)
    assert (frame.width, frame.height) == (width, height)
    for plane, wanted in zip(frame.planes, (luma, *chroma), strict=True):
        shown = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        assert np.array_equal(shown, wanted)
