"""What a film is written to: pieces of H.264, the MP4 they are joined into, and captions.

Captions are WebVTT (W3C, "WebVTT: The Web Video Text Tracks Format").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm, to_float
from cvi.audio.resample import Resampler
from cvi.errors import CviError
from cvi.face.base import Controls, FaceEngine
from cvi.files import part_path, write_text
from cvi.media.frames import av_frame
from cvi.rendering.speech_track import SpeechTrack, TrackSegment

if TYPE_CHECKING:
    from av.container import OutputContainer

# No reordering, so that segments join at any frame. A constant quantizer needs no look at the picture
# first: next to "crf" a frame takes three quarters of the time and half of the bytes, at 46 dB. "superfast"
# would halve the files once more and take twice as long.
X264 = {"preset": "ultrafast", "qp": "20", "bf": "0"}
SOUND_HZ = 48_000
AAC_BITS = 128_000
_BLOCK = PLAYED_HZ // 2
CAPTION_CHARS = 42
"""Characters of a row; a caption has at most two."""
LONGEST_CAPTION_S = 6.0
SHORTEST_CAPTION_S = 0.8


def encode_segment(
    face: FaceEngine, controls: Sequence[Controls], fps: int, path: Path, stopped: Callable[[], bool]
) -> bool:
    """Draw one frame for each of `controls` and encode them as H.264; `path` appears whole or not at all.

    `stopped` is asked before each frame; returns whether the segment was finished. Runs on the thread that
    owns `face`. Files made with the same face size and `fps` can be joined without encoding again. Raises
    CviError where the disk refuses.
    """
    import av

    part = part_path(path)
    try:
        with av.open(str(part), "w", format="mp4") as file:
            stream = file.add_stream("libx264", rate=fps, options=dict(X264))
            stream.width, stream.height, stream.pix_fmt = face.width, face.height, "yuv420p"
            coder = stream.codec_context
            coder.thread_count = 1
            coder.gop_size = 2 * fps
            coder.time_base = Fraction(1, fps)
            coder.colorspace, coder.color_primaries, coder.color_trc, coder.color_range = 1, 1, 1, 1
            for index, control in enumerate(controls):
                if stopped():
                    return False
                image = av_frame(face.render(control))
                image.pts, image.time_base = index, coder.time_base
                file.mux(stream.encode(image))
            file.mux(stream.encode(None))
        part.replace(path)
    except (av.FFmpegError, OSError) as error:
        raise CviError(
            f"Cannot write {path}: {error.strerror or error}.", "Free some space and give the command again."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return True


def join_segments(segments: Sequence[Path], frames: Sequence[int], pcm: Pcm, fps: int, output: Path) -> None:
    """Write an MP4 of the segments' pictures, copied one after the other, with `pcm` beside them.

    `frames` says how many each segment holds. Sound and picture both start at zero; the picture's times are
    counted in frames, so nothing drifts. `output` appears whole or not at all. Raises CviError where the
    disk refuses.
    """
    import av

    part = part_path(output.absolute())
    try:
        with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as file:
            with av.open(str(segments[0])) as first:
                picture = file.add_stream_from_template(first.streams.video[0])
            picture.time_base = Fraction(1, fps)
            sound = file.add_stream("aac", rate=SOUND_HZ, layout="mono")
            sound.bit_rate = AAC_BITS
            sound_encoder = _SoundEncoder(file, sound, pcm)
            base = 0
            for path, count in zip(segments, frames, strict=True):
                with av.open(str(path)) as source:
                    for index, packet in enumerate(
                        packet for packet in source.demux(video=0) if packet.dts is not None
                    ):
                        packet.time_base = Fraction(1, fps)
                        packet.pts = packet.dts = base + index
                        packet.duration = 1
                        packet.stream = picture
                        file.mux(packet)
                        sound_encoder.until((base + index + 1) / fps)
                base += count
            sound_encoder.finish()
        part.replace(output)
    except (av.FFmpegError, OSError) as error:
        raise CviError(
            f"Cannot write {output}: {error.strerror or error}.", "Check the disk and give the command again."
        ) from error
    finally:
        part.unlink(missing_ok=True)


class _SoundEncoder:
    """Encodes the sound up to a time, so that it lies in the file beside its picture."""

    def __init__(self, file: OutputContainer, stream: Any, pcm: Pcm) -> None:
        self._file, self._stream, self._pcm = file, stream, pcm
        self._resampler = Resampler(PLAYED_HZ, SOUND_HZ)
        self._read = self._written = 0

    def until(self, time_s: float) -> None:
        while self._read < min(time_s * PLAYED_HZ, len(self._pcm)):
            block = self._pcm[self._read : self._read + _BLOCK]
            self._read += len(block)
            self._encode(self._resampler.push(block))

    def finish(self) -> None:
        self.until(len(self._pcm) / PLAYED_HZ)
        self._encode(self._resampler.flush())
        self._file.mux(self._stream.encode(None))

    def _encode(self, pcm: Pcm) -> None:
        import av

        if not len(pcm):
            return
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(to_float(pcm)[None]), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, self._written, Fraction(1, SOUND_HZ)
        self._written += len(pcm)
        self._file.mux(self._stream.encode(frame))


@dataclass(frozen=True, slots=True)
class Caption:
    """`text` of one or two rows, shown from `start_s` to `end_s` of the film."""

    text: str
    start_s: float
    end_s: float


def captions(track: SpeechTrack) -> list[Caption]:
    """The captions of what is said, in order of time; they do not overlap."""
    found: list[Caption] = []
    for segment in track.segments:
        for caption in _captions_of(segment):
            if found and found[-1].end_s > caption.start_s:
                found[-1] = replace(found[-1], end_s=caption.start_s)
            found.append(caption)
    return found


def write_captions(path: Path, track: SpeechTrack) -> None:
    """Write the track's captions as a .vtt file, whole or not at all."""
    rows = ["WEBVTT", ""]
    for caption in captions(track):
        rows += [f"{_stamp(caption.start_s)} --> {_stamp(caption.end_s)}", _escaped(caption.text), ""]
    write_text(path, "\n".join(rows))


def _captions_of(segment: TrackSegment) -> Iterator[Caption]:
    spans = [(word.text_start, word.text_end, word.start_s, word.end_s) for word in segment.words]
    if not spans and segment.text:
        # Without times of its words the segment's time is divided among its letters.
        share_s = (segment.end_s - segment.start_s) / len(segment.text)
        at = 0
        for word in segment.text.split():
            start = segment.text.index(word, at)
            at = start + len(word)
            spans.append((start, at, start * share_s, at * share_s))
    first = 0
    while first < len(spans):
        last = first
        while last + 1 < len(spans) and _fits(segment.text, spans, first, last + 1):
            last += 1
        begin_s = segment.start_s + spans[first][2]
        end_s = max(segment.start_s + spans[last][3], begin_s + SHORTEST_CAPTION_S)
        end = spans[last + 1][0] if last + 1 < len(spans) else len(segment.text)
        yield Caption(_rows(segment.text[spans[first][0] if first else 0 : end].strip()), begin_s, end_s)
        first = last + 1


def _fits(text: str, spans: list[tuple[int, int, float, float]], first: int, last: int) -> bool:
    long = spans[last][1] - spans[first][0] > 2 * CAPTION_CHARS - 4
    return not long and spans[last][3] - spans[first][2] <= LONGEST_CAPTION_S


def _rows(text: str) -> str:
    """Two rows of about the same length where one is not enough."""
    if len(text) <= CAPTION_CHARS:
        return text
    blanks = [at for at, character in enumerate(text) if character == " "]
    if not blanks:
        return text
    middle = min(blanks, key=lambda at: abs(at - len(text) / 2))
    return f"{text[:middle]}\n{text[middle + 1 :]}"


def _stamp(seconds: float) -> str:
    whole = max(0, round(seconds * 1000))
    return f"{whole // 3600000:02d}:{whole // 60000 % 60:02d}:{whole // 1000 % 60:02d}.{whole % 1000:03d}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
