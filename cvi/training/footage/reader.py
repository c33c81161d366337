"""Films as training wants them: upright frames with square pixels at a fixed rate, and the sound beside them.

Phones film at a varying rate and mark the picture's rotation in the file; some cameras have pixels that are
not square. `cvi.media.video` undoes both while decoding, one frame at a time, so that memory does not grow
with the film; here frames are chosen at the fixed rate, and unsuitable films are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.errors import UsageError
from cvi.media.decode import opened, packets, picture_track, read_audio
from cvi.media.video import UprightConverter, decoded_frames, rotation_of, upright_size
from cvi.training.arrays import Bytes

Rgb = Bytes

LONGEST_S = 30 * 60.0
"""Replicas are made from minutes of film; a longer one is usually given by mistake."""
MOST_SIDE_PX = 1920
"""Larger pictures are scaled down while decoding: replicas go up to 1080p."""
SMALLEST_SIDE_PX = 64
_ANOTHER = "Give an mp4, mov, mkv or webm film that plays elsewhere."


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
        wanted = int(np.ceil(start_s * fps - 1e-6))
        convert = UprightConverter(*self.frame_size(most_side_px))
        before, rgb = None, None
        for decoded in decoded_frames(self.path, start_s):
            if before is not None:
                nearest_until_s = (before.time_s + decoded.time_s) / 2
                while (at_s := wanted / fps) < nearest_until_s and at_s < end_s:
                    rgb = _read_only(convert.rgb(before.image)) if rgb is None else rgb
                    yield FootageFrame(wanted, at_s, before.time_s, rgb)
                    wanted += 1
            before, rgb = decoded, None
            if wanted / fps >= end_s:
                return
        if before is None:
            raise _undecodable(self.path, self.codec)
        last_s = min(before.time_s + 1 / max(self.fps, 1.0) - 1e-3, end_s)
        while (at_s := wanted / fps) < last_s:
            rgb = _read_only(convert.rgb(before.image)) if rgb is None else rgb
            yield FootageFrame(wanted, at_s, before.time_s, rgb)
            wanted += 1

    def sound(self) -> Pcm:
        """The whole sound: mono int16 at 16 kHz, sample 0 at the film's time 0. Raises UsageError for a
        film without sound."""
        return read_audio(self.path, HEARD_HZ, LONGEST_S + 60.0)


def open_footage(path: Path) -> Footage:
    """Read a film's properties. Raises UsageError, with a remedy, for a file that is no film, cannot be
    decoded, or is too long or too small."""
    first = next(decoded_frames(path), None)
    with opened(path, "film") as film:
        stream = picture_track(film)
        assert stream is not None  # or `decoded_frames` has raised
        codec = stream.codec_context.codec.name
        if first is None:
            raise _undecodable(path, codec)
        # Phones add tracks in formats that cannot be decoded; those have no codec context.
        has_sound = any(track.codec_context is not None and track.rate for track in film.streams.audio)
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        duration_s = float(film.duration / 1e6) if film.duration else 0.0
    width, height = upright_size(first.image, first.pixel_aspect)
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
        rotation=rotation_of(first.image),
        codec=codec,
        has_sound=has_sound,
    )


def _counted_duration_s(path: Path) -> float:
    """The end of the last packet, for files without a duration; stops reading beyond `LONGEST_S`."""
    end_s = 0.0
    with opened(path, "film") as film:
        began_s = film.start_time / 1e6 if film.start_time is not None else 0.0
        stream = picture_track(film)
        assert stream is not None
        for packet in packets(film, stream):
            if packet.pts is not None and packet.time_base is not None:
                end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base) - began_s)
            if end_s > LONGEST_S:
                break
    return end_s


def _read_only(rgb: Rgb) -> Rgb:
    """Frames that repeat share one array."""
    rgb.setflags(write=False)
    return rgb


def _undecodable(path: Path, codec: str) -> UsageError:
    return UsageError(
        f"Not one frame of {path} can be decoded ({codec}).",
        "Convert it to H.264 in an mp4, for example by exporting it from a video editor.",
    )


def _even(side: float) -> int:
    return max(round(side / 2) * 2, 2)
