"""Pictures from films of any kind: upright, with square pixels, in standard dynamic range.

Phones turn the picture by a note in the file, film at a rate that varies, with pixels that are not
square, or in high dynamic range (PQ or HLG, ITU-R BT.2100). All that is undone while decoding, one frame
at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.media.decode import opened, packets, picture_track, warn_left_out
from cvi.media.frames import Frame

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Rgb = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_CONVERT = "Convert it to H.264 in an mp4, for example by exporting it from a video editor."
# AVColorSpace and AVColorTransferCharacteristic, as FFmpeg and ITU-T H.273 number them.
_BT709, _BT601, _UNKNOWN, _BT2020 = 1, 5, 2, 9
_PQ, _HLG = 16, 18
# Diffuse white of HDR material, and the peak of the display it is made for (ITU-R BT.2408), cd/m2.
_WHITE_NITS, _PEAK_NITS = 203.0, 1000.0
# Linear BT.2020 to linear BT.709 (ITU-R BT.2087).
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)


class DecodedFrame(NamedTuple):
    """A film's frame as stored, its time from the film's beginning, and the shape of its pixels (width :
    height)."""

    image: VideoFrame
    time_s: float
    pixel_aspect: float


def has_picture(path: Path) -> bool:
    """Whether a file holds moving picture (the cover of an mp3 is none). False when unreadable."""
    try:
        with opened(path) as film:
            return picture_track(film) is not None
    except UsageError:
        return False


def decoded_frames(path: Path, start_s: float = 0.0) -> Iterator[DecodedFrame]:
    """Frames of a film; their times only grow.

    Damaged packets are passed over; a film that is cut off ends there. `start_s`: frames from a little
    before it on. Raises UsageError for what is no film or holds no picture that can be decoded here.
    """
    import av

    with opened(path, "film") as film:
        track = picture_track(film)
        if track is None:
            raise UsageError(f"{path} has no picture in it.", "Give a video file.")
        if track.codec_context is None:
            raise UsageError(f"The picture of {path} is in a format that cannot be decoded here.", _CONVERT)
        pixel_aspect = float(track.sample_aspect_ratio or 1)
        began_s = film.start_time / 1e6 if film.start_time is not None else 0.0
        track.codec_context.thread_count = 1
        if start_s > 2.0:
            film.seek(int((start_s - 1.0 + began_s) * 1e6), backward=True)
        latest_s = -np.inf
        damaged = 0
        for packet in packets(film, track):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                damaged += 1  # one packet; what follows may be whole
                continue
            except av.error.FFmpegError:
                damaged += 1
                break
            for frame in frames:
                time_s = (frame.time or 0.0) - began_s
                if time_s > latest_s:  # a clock that steps back says nothing
                    latest_s = time_s
                    yield DecodedFrame(frame, time_s, pixel_aspect)
        if damaged and start_s <= 2.0:  # after a seek, pictures that lean on earlier ones cannot be decoded
            warn_left_out(film.name, damaged, "picture")


def rotation_of(frame: VideoFrame) -> int:
    """By how many degrees counter-clockwise the frame must be turned to stand upright: 0, 90, 180 or 270."""
    return round(float(frame.rotation) / 90) * 90 % 360


def upright_size(frame: VideoFrame, pixel_aspect: float = 1.0) -> tuple[float, float]:
    """Width and height of a frame as it is seen: turned upright, with square pixels."""
    width, height = frame.width * pixel_aspect, float(frame.height)
    return (height, width) if rotation_of(frame) in (90, 270) else (width, height)


def is_hdr(frame: VideoFrame) -> bool:
    """Whether the frame is in high dynamic range, by PQ (SMPTE ST 2084) or HLG (ARIB STD-B67)."""
    return int(frame.color_trc) in (_PQ, _HLG)


class UprightConverter:
    """Decoded frames of one film to upright pictures of one size, `width` x `height` pixels, both even."""

    def __init__(self, width: int, height: int) -> None:
        from av.video.reformatter import VideoReformatter

        self._size = (width, height)
        self._reformatter = VideoReformatter()

    def rgb(self, frame: VideoFrame) -> Rgb:
        """RGB, uint8 [height, width, 3], full range."""
        if is_hdr(frame):
            picture = _tone_mapped(self._scaled(frame, "rgb48le", _BT2020), int(frame.color_trc))
        else:
            picture = np.asarray(self._scaled(frame, "rgb24", _matrix_of(frame)), np.uint8)
        turns = rotation_of(frame) // 90
        return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture

    def i420(self, frame: VideoFrame) -> Frame:
        """I420, BT.709, limited range."""
        import av
        from av.video.reformatter import ColorRange, Colorspace

        image, matrix, full = frame, _matrix_of(frame), _is_full_range(frame)
        if is_hdr(frame) or rotation_of(frame):
            image = av.VideoFrame.from_ndarray(self.rgb(frame), format="rgb24")
            matrix, full = _BT709, True
        converted = self._reformatter.reformat(
            image,
            *self._size,
            "yuv420p",
            src_colorspace=_colorspace(matrix),
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        return converted.to_ndarray().astype(np.uint8, copy=False)

    def _scaled(self, frame: VideoFrame, form: str, matrix: int) -> npt.NDArray[np.generic]:
        from av.video.reformatter import ColorRange

        width, height = self._size
        if rotation_of(frame) in (90, 270):
            width, height = height, width
        scaled: npt.NDArray[np.generic] = self._reformatter.reformat(
            frame,
            width,
            height,
            form,
            src_colorspace=_colorspace(matrix),
            src_color_range=ColorRange.JPEG if _is_full_range(frame) else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
        ).to_ndarray()
        return scaled


def _matrix_of(frame: VideoFrame) -> int:
    """The colour matrix; of files that do not say, what players assume by size."""
    matrix = int(frame.colorspace)
    if matrix == _UNKNOWN:
        return _BT709 if min(frame.width, frame.height) >= 720 else _BT601
    return matrix if matrix in (_BT709, _BT2020) else _BT601


def _is_full_range(frame: VideoFrame) -> bool:
    from av.video.reformatter import ColorRange

    return frame.format.name.startswith("yuvj") or int(frame.color_range) == int(ColorRange.JPEG)


def _colorspace(matrix: int) -> int:
    from av.video.reformatter import Colorspace

    known = {_BT709: Colorspace.ITU709, _BT2020: Colorspace.BT2020}
    return int(known.get(matrix, Colorspace.ITU601))


def _tone_mapped(signal: npt.NDArray[np.generic], transfer: int) -> Rgb:
    """HDR signal, uint16 [h, w, 3], BT.2020 -> uint8 in BT.709, gamma 2.4 (BT.1886).

    The highest of the three colours is brought below 1 by the extended Reinhard curve (Reinhard et al. 2002,
    equation 4), the others in proportion, so that hues stay.
    """
    linear = _linear_light(transfer)[signal] @ _TO_709.T
    np.maximum(linear, 0.0, out=linear)
    highest = linear.max(axis=2, keepdims=True)
    peak = _PEAK_NITS / _WHITE_NITS
    mapped = highest * (1 + highest / peak**2) / (1 + highest)
    linear *= np.divide(mapped, highest, out=np.zeros_like(highest), where=highest > 1e-6)
    return np.asarray(np.rint(255 * np.clip(linear, 0, 1) ** (1 / 2.4)), np.uint8)


@cache
def _linear_light(transfer: int) -> Floats:
    """Light for each 16-bit signal, 1 for diffuse white: PQ, or HLG on a display of 1000 cd/m2 (BT.2100).

    HLG's system gamma is applied to each colour by itself, not to the luminance; faces differ little by that.
    """
    signal = np.arange(65536) / 65535
    if transfer == _PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = signal ** (1 / m2)
        nits = 10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
        nits = _PEAK_NITS * scene**1.2
    return (nits / _WHITE_NITS).astype(np.float32)
