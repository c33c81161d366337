"""Films of phones and cameras: upright, with square pixels, in standard dynamic range."""

from fractions import Fraction

import av
import numpy as np
import pytest

from cvi.errors import UsageError
from cvi.media.readers import VideoReader
from cvi.media.video import UprightConverter, decoded_frames, has_picture, is_hdr, rotation_of, upright_size

PQ, HLG, BT2020, BT2020_NCL = 16, 18, 9, 9


def write_film(path, pictures, *, pixel_aspect=None, hdr=None, rotation=0):
    """RGB pictures [h, w, 3] as a film of 25 frames a second; `hdr` is the transfer, its pictures uint16."""
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265" if hdr else "libx264", rate=25)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p10le" if hdr else "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, 25)
        if hdr:
            context.color_primaries, context.color_trc, context.colorspace = BT2020, hdr, BT2020_NCL
            stream.options = {"x265-params": "log-level=none"}
        if pixel_aspect:
            context.sample_aspect_ratio = pixel_aspect
        for index, rgb in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb48le" if hdr else "rgb24")
            if hdr:
                frame = frame.reformat(format="yuv420p10le", dst_colorspace="BT2020", dst_color_range="MPEG")
                frame.color_trc, frame.colorspace = hdr, BT2020_NCL
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if rotation:
        _rotate(path, rotation)


def _rotate(path, degrees):
    """Write the display matrix of the film's track (ISO/IEC 14496-12, 8.3.2), as phones do."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    for index, value in enumerate([cos, -sin, 0, sin, cos, 0, 0, 0, 0x4000]):
        data[at + 4 * index : at + 4 * index + 4] = (value * 0x10000).to_bytes(4, "big", signed=True)
    path.write_bytes(bytes(data))


def half_red(width, height):
    """Red above, blue below."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[: height // 2, :, 0] = 220
    rgb[height // 2 :, :, 2] = 220
    return rgb


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_film_turned_by_a_note_in_the_file_is_shown_upright(tmp_path, degrees):
    stored = np.ascontiguousarray(np.rot90(half_red(96, 128), -degrees // 90))
    path = tmp_path / "phone.mp4"
    write_film(path, [stored] * 3, rotation=degrees)
    image, _, aspect = next(decoded_frames(path))
    assert rotation_of(image) == degrees
    assert upright_size(image, aspect) == (96, 128)
    upright = UprightConverter(96, 128).rgb(image)
    assert upright[20, 48, 0] > 150 > 80 > upright[20, 48, 2]
    assert upright[100, 48, 2] > 150 > 80 > upright[100, 48, 0]
    reader = VideoReader(path, (48, 64))
    try:
        assert reader.size == (48, 64)
        frame = reader.at(0.0, patience_s=5.0)
        assert frame is not None and frame.shape == (96, 48)
        # Red has a Cr far above, blue a Cb far above the middle of 128.
        cr = frame[80:].reshape(32, 24)
        assert cr[4].mean() > 160 > 120 > cr[28].mean()
    finally:
        reader.close()


def test_pixels_that_are_not_square_are_made_square(tmp_path):
    path = tmp_path / "dv.mp4"
    write_film(path, [half_red(72, 96)] * 3, pixel_aspect=Fraction(16, 9))
    image, _, aspect = next(decoded_frames(path))
    assert upright_size(image, aspect) == (128, 96)
    reader = VideoReader(path, (256, 96))
    reader.close()
    assert reader.size == (128, 96)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_high_dynamic_range_is_tone_mapped(tmp_path, transfer):
    """Grey of 203 cd/m2 (diffuse white) comes out bright, a tenth of it in the middle, black black."""
    levels = {PQ: (0.58, 0.375, 0.0), HLG: (0.75, 0.33, 0.0)}[transfer]
    rgb = np.zeros((96, 96, 3), np.uint16)
    for index, level in enumerate(levels):
        rgb[32 * index : 32 * (index + 1)] = round(level * 65535)
    path = tmp_path / "hdr.mp4"
    write_film(path, [rgb] * 3, hdr=transfer)
    image = next(decoded_frames(path)).image
    assert is_hdr(image)
    white, grey, black = UprightConverter(96, 96).rgb(image)[[16, 48, 80], 48].astype(int)
    assert np.ptp(white) <= 6 and np.ptp(grey) <= 6
    assert 180 <= white[1] <= 225
    assert 60 <= grey[1] <= 120
    assert black[1] <= 8


def test_a_file_without_picture_and_one_that_is_none_are_refused(tmp_path):
    (tmp_path / "notes.mp4").write_text("no film")
    assert not has_picture(tmp_path / "notes.mp4")
    with pytest.raises(UsageError, match="not a film"):
        VideoReader(tmp_path / "notes.mp4", (64, 64))
