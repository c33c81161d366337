"""Films as training wants them: upright frames with square pixels at a fixed rate, and the sound beside them.

Phones film at a varying rate and mark the picture's rotation in the file; some cameras have pixels that are
not square. Both are undone while decoding, one frame at a time, so that memory does not grow with the film.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.errors import UsageError
from cvi.media.decode import opened, read_audio

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Rgb = npt.NDArray[np.uint8]

LONGEST_S = 30 * 60.0
"""Replicas are made from minutes of film; a longer one is usually given by mistake."""
MOST_SIDE_PX = 1920
"""Larger pictures are scaled down while decoding: replicas go up to 1080p."""
SMALLEST_SIDE_PX = 64
_ANOTHER = "Give an mp4, mov, mkv or webm film that plays elsewhere."
_ITU709, _ITU601, _UNKNOWN = 1, 5, 2


@dataclass(frozen=True, slots=True)
class FootageFrame:
    """Frame `index` of the fixed rate, at `time_s` = index / fps of the footage: uint8 [height, width, 3]
    RGB. `source_s` is the time of the film's frame it was taken from; several have the same where the film
    stalls or has a lower rate."""

    index: int
    time_s: float
    source_s: float
    rgb: Rgb


@dataclass(frozen=True, slots=True)
class Footage:
    """A film that can be decoded; made by `open_footage`. `width`, `height` in pixels of the upright picture
    with square pixels, before scaling. `fps` is the film's average rate, `rotation` the degrees
    counterclockwise that are undone."""

    path: Path
    duration_s: float
    width: int
    height: int
    fps: float
    rotation: int
    codec: str
    has_sound: bool

    @property
    def working_fps(self) -> float:
        """The rate to work at: the film's own where it is 24, 25 or 30, half of it at 48, 50 or 60, else
        25."""
        for rate in (24.0, 25.0, 30.0):
            if abs(self.fps - rate) < 0.4 or abs(self.fps - 2 * rate) < 0.8:
                return rate
        return 25.0

    def frame_size(self, most_side_px: int = MOST_SIDE_PX) -> tuple[int, int]:
        """Width and height of the frames that `frames` gives: even, no side longer than `most_side_px`."""
        scale = min(1.0, most_side_px / max(self.width, self.height))
        return _even(self.width * scale), _even(self.height * scale)

    def frames(
        self,
        fps: float,
        *,
        start_s: float = 0.0,
        end_s: float = LONGEST_S,
        most_side_px: int = MOST_SIDE_PX,
    ) -> Iterator[FootageFrame]:
        """The frames at start_s + n / fps, each the film's frame nearest in time, decoded on demand. Indices
        count from the film's beginning. Close the iterator to stop early.

        A film that is cut off or damaged ends there. Raises UsageError when no frame can be decoded.
        """
        width, height = self.frame_size(most_side_px)
        wanted = int(np.ceil(start_s * fps - 1e-6))
        convert = _Converter(width, height, self.rotation)
        before: VideoFrame | None = None
        before_s = 0.0
        for frame, source_s in self._decoded(start_s):
            if before is not None:
                while (at_s := wanted / fps) < (before_s + source_s) / 2 and at_s < end_s:
                    yield FootageFrame(wanted, at_s, before_s, convert.rgb(before))
                    wanted += 1
            before, before_s = frame, source_s
            if wanted / fps >= end_s:
                return
        if before is None:
            raise UsageError(
                f"Not one frame of {self.path} can be decoded ({self.codec}).",
                "Convert it to H.264 in an mp4, for example by exporting it from a video editor.",
            )
        last_s = min(before_s + 1 / max(self.fps, 1.0) - 1e-3, end_s)
        while (at_s := wanted / fps) < last_s:
            yield FootageFrame(wanted, at_s, before_s, convert.rgb(before))
            wanted += 1

    def sound(self) -> Pcm:
        """The whole sound: mono int16 at 16 kHz, sample 0 at the film's time 0. Raises UsageError for a
        film without sound."""
        return read_audio(self.path, HEARD_HZ, LONGEST_S + 60.0)

    def _decoded(self, start_s: float) -> Iterator[tuple[VideoFrame, float]]:
        import av

        with opened(self.path, "film") as film:
            stream = _picture(film, self.path)
            began_s = film.start_time / 1e6 if film.start_time is not None else 0.0
            stream.codec_context.thread_count = 1
            if start_s > 2.0:
                film.seek(int((start_s - 1.0 + began_s) * 1e6), backward=True)
            latest_s = -np.inf
            packets = film.demux(stream)
            while (packet := _next_packet(packets)) is not None:
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    continue  # one damaged packet; the next may be whole
                except av.error.FFmpegError:
                    return
                for frame in frames:
                    source_s = (frame.time or 0.0) - began_s
                    if source_s <= latest_s:
                        continue  # time stamps that step back are wrong
                    latest_s = source_s
                    yield frame, source_s


def open_footage(path: Path) -> Footage:
    """Read a film's properties. Raises UsageError, with a remedy, for a file that is no film, cannot be
    decoded, or is too long or too small."""
    with opened(path, "film") as film:
        stream = _picture(film, path)
        context = stream.codec_context
        context.thread_count = 1
        codec = context.codec.name
        first = _first_frame(film, stream)
        if first is None:
            raise UsageError(
                f"Not one frame of {path} can be decoded ({codec}).",
                "Convert it to H.264 in an mp4, for example by exporting it from a video editor.",
            )
        rotation = round(float(first.rotation) / 90) * 90 % 360
        ratio = stream.sample_aspect_ratio or 1
        width, height = first.width * float(ratio), float(first.height)
        if rotation in (90, 270):
            width, height = height, width
        # Phones add tracks in formats that cannot be decoded; those have no codec context.
        has_sound = any(track.codec_context is not None and track.rate for track in film.streams.audio)
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        duration_s = float(film.duration / 1e6) if film.duration else 0.0
    more = ""
    if duration_s <= 0.0:
        duration_s, more = _counted_duration_s(path), " or more"
    if duration_s > LONGEST_S:
        raise UsageError(
            f"{path} is {duration_s / 60:.0f} minutes long{more}; at most {LONGEST_S / 60:.0f} are read.",
            "Cut out the best two to five minutes, where you face the camera and speak clearly.",
        )
    if min(width, height) < SMALLEST_SIDE_PX:
        raise UsageError(f"The picture of {path} is only {width:.0f}x{height:.0f} pixels.", _ANOTHER)
    return Footage(
        path=path,
        duration_s=duration_s,
        width=round(width),
        height=round(height),
        fps=rate,
        rotation=rotation,
        codec=codec,
        has_sound=has_sound,
    )


class _Converter:
    """Decoded frames -> upright RGB of one size; caches the last one, which often repeats."""

    def __init__(self, width: int, height: int, rotation: int) -> None:
        from av.video.reformatter import VideoReformatter

        lying = rotation in (90, 270)
        self._size = (height, width) if lying else (width, height)
        self._turns = rotation // 90
        self._reformatter = VideoReformatter()
        self._last: tuple[Any, Rgb] | None = None

    def rgb(self, frame: VideoFrame) -> Rgb:
        if self._last is not None and self._last[0] is frame:
            return self._last[1]
        from av.video.reformatter import ColorRange, Colorspace

        space = int(frame.colorspace)
        if space == _UNKNOWN:
            # For files without a colour space, what players assume by size.
            space = _ITU709 if min(frame.width, frame.height) >= 720 else _ITU601
        full = frame.format.name.startswith("yuvj") or int(frame.color_range) == int(ColorRange.JPEG)
        converted = self._reformatter.reformat(
            frame,
            *self._size,
            "rgb24",
            src_colorspace=Colorspace.ITU709 if space == _ITU709 else Colorspace.ITU601,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
        ).to_ndarray()
        upright = np.ascontiguousarray(np.rot90(converted, self._turns)) if self._turns else converted
        rgb = np.asarray(upright, np.uint8)
        rgb.setflags(write=False)
        self._last = frame, rgb
        return rgb


def _picture(film: InputContainer, path: Path) -> VideoStream:
    """The first video stream that is not a cover picture."""
    from av.stream import Disposition

    tracks = [one for one in film.streams.video if not one.disposition & Disposition.attached_pic]
    if not tracks:
        raise UsageError(f"{path} has no picture in it.", "Give a film of a face, with sound.")
    if tracks[0].codec_context is None:
        raise UsageError(
            f"The picture of {path} is in a format that cannot be decoded here.",
            "Convert it to H.264 in an mp4, for example by exporting it from a video editor.",
        )
    return tracks[0]


def _first_frame(film: InputContainer, stream: VideoStream) -> VideoFrame | None:
    import av

    packets = film.demux(stream)
    while (packet := _next_packet(packets)) is not None:
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        if frames:
            first: VideoFrame = frames[0]
            return first
    return None


def _next_packet(packets: Iterator[Any]) -> Any | None:
    """The next packet; None at the end, and where the file is cut off."""
    import av

    try:
        return next(packets, None)
    except av.error.FFmpegError:
        return None


def _counted_duration_s(path: Path) -> float:
    """The end of the last packet, for files without a duration; stops reading beyond `LONGEST_S`."""
    end_s = 0.0
    with opened(path, "film") as film:
        began_s = film.start_time / 1e6 if film.start_time is not None else 0.0
        for packet in iter(partial(_next_packet, film.demux(_picture(film, path))), None):
            if packet.pts is not None and packet.time_base is not None:
                end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base) - began_s)
            if end_s > LONGEST_S:
                break
    return end_s


def _even(side: float) -> int:
    return max(round(side / 2) * 2, 2)
