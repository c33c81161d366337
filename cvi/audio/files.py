"""Sound from files of any kind, and to WAV.

Files are decoded as a stream, so a recording of hours costs no more memory than one of seconds.
"""

from __future__ import annotations

import os
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.audio.level import level_db
from cvi.errors import CviError, UsageError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

_GIVE_ANOTHER = "Give a wav, flac, mp3, ogg, mp4 or webm file that plays elsewhere."
_GIVE_A_FILM = "Give an mp4, mov, mkv or webm film that plays elsewhere."
_BLOCK_S = 0.1
_LONGEST_LEAD_S = 60.0


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file holds. Sizes in pixels; a kind of track that is not there has zeros."""

    duration_s: float
    has_audio: bool
    has_video: bool
    width: int = 0
    height: int = 0
    fps: float = 0.0
    sample_rate: int = 0


def probe(path: Path) -> MediaInfo:
    """What a file holds, without decoding it. A cover picture is not a picture track.

    Raises UsageError for what is no media file.
    """
    with opened(path) as container:
        sound = _sound_track(container)
        picture = _picture_track(container)
        rate = (picture.average_rate or picture.guessed_rate) if picture else None
        return MediaInfo(
            duration_s=_duration_s(container),
            has_audio=sound is not None,
            has_video=picture is not None,
            width=picture.width if picture else 0,
            height=picture.height if picture else 0,
            fps=float(rate) if rate else 0.0,
            sample_rate=sound.rate if sound else 0,
        )


def stream_audio(path: Path, rate_hz: int = HEARD_HZ) -> Iterator[Pcm]:
    """The sound of a file in pieces of about 0.1 s: mono int16 at `rate_hz`, all tracks' first one.

    Sample 0 is time 0 of the file: a sound track that starts after the picture begins with silence.
    Damaged packets in the middle are passed over. Close the iterator to stop early.
    Raises UsageError, at the first piece, for a file that is missing, unreadable or without sound.
    """
    import av

    block = round(_BLOCK_S * rate_hz)
    with opened(path) as container:
        track = _sound_track(container)
        if track is None:
            raise UsageError(f"{path} has no sound track.", _GIVE_ANOTHER)
        mono = av.AudioResampler(format="s16", layout="mono", rate=rate_hz, frame_size=block)
        heard = False
        for frame in _frames(container, track):
            if not heard:
                lead = round(_lead_s(container, frame) * rate_hz)
                for start in range(0, lead, block):
                    yield np.zeros(min(block, lead - start), np.int16)
            heard = True
            # Some demuxers restart their clock in the middle; the samples' order is what counts here.
            frame.pts = None
            for piece in mono.resample(frame):
                yield piece.to_ndarray().reshape(-1).astype(np.int16, copy=False)
        if not heard:
            raise UsageError(f"{path} holds no sound that can be decoded.", _GIVE_ANOTHER)
        for piece in mono.resample(None):
            yield piece.to_ndarray().reshape(-1).astype(np.int16, copy=False)


def read_audio(path: Path, rate_hz: int = HEARD_HZ, max_s: float = 3600.0) -> Pcm:
    """The whole sound of a file: mono int16 at `rate_hz`, shape (n,).

    Raises UsageError as `stream_audio` does, and for a file longer than `max_s`, before more than that
    has been decoded.
    """
    pieces: list[Pcm] = []
    length, longest = 0, round(max_s * rate_hz)
    for piece in stream_audio(path, rate_hz):
        pieces.append(piece)
        length += len(piece)
        if length > longest:
            raise UsageError(
                f"{path} holds more than {max_s:g} s of sound.", f"Give a file of at most {max_s:g} s."
            )
    return np.concatenate(pieces)


def is_silent(path: Path, threshold_db: float = -60.0) -> bool:
    """Whether no 0.1 s of the file is louder than `threshold_db`; stops at the first that is.

    Raises UsageError as `stream_audio` does.
    """
    return all(level_db(piece) <= threshold_db for piece in stream_audio(path))


def write_wav(path: Path, pcm: Pcm, rate_hz: int) -> None:
    """Write int16 sound, shape (n,) or (n, channels), whole or not at all.

    Raises CviError when the disk or folder does not allow it.
    """
    channels = 1 if pcm.ndim == 1 else pcm.shape[1]
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            with wave.open(file, "wb") as sound:
                sound.setnchannels(channels)
                sound.setsampwidth(2)
                sound.setframerate(rate_hz)
                sound.writeframes(np.ascontiguousarray(pcm, dtype="<i2").tobytes())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise CviError(
            f"{path} cannot be written: {error.strerror or error}.", "Give a folder with room to write in."
        ) from error
    finally:
        if part.exists():
            part.unlink()


@contextmanager
def opened(path: Path, what: str = "sound or picture file") -> Iterator[InputContainer]:
    """A media file for reading; `what` it was to be. Raises UsageError with what is wrong and what to do."""
    import av

    another = _GIVE_A_FILM if what == "film" else _GIVE_ANOTHER
    if not path.exists():
        raise UsageError(f"There is no file {path}.", "Check the path.")
    if not path.is_file():
        raise UsageError(f"{path} is not a file.", another)
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty.", another)
    try:
        container = av.open(str(path), mode="r", metadata_errors="ignore")
    except PermissionError as error:
        raise UsageError(f"{path} may not be read.", "Change its permissions.") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UsageError(f"{path} is not a {what} that can be read.", another) from error
    with container:
        yield container


def _sound_track(container: InputContainer) -> AudioStream | None:
    """The first that can be decoded: one in an unknown format, as phones add, has no codec."""
    tracks = (track for track in container.streams.audio if track.codec_context is not None)
    return next((track for track in tracks if track.rate), None)


def _picture_track(container: InputContainer) -> VideoStream | None:
    import av

    cover = av.stream.Disposition.attached_pic
    return next((track for track in container.streams.video if not track.disposition & cover), None)


def _frames(container: InputContainer, track: AudioStream) -> Iterator[Any]:
    """Decoded frames, without those that are damaged; what follows a cut-off end is not waited for."""
    import av

    packets = container.demux(track)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            return
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue


def _lead_s(container: InputContainer, frame: Any) -> float:
    """How long after the file's beginning its sound begins."""
    if frame.time is None or container.start_time is None:
        return 0.0
    lead_s = float(frame.time) - container.start_time / 1_000_000
    return lead_s if 0.005 < lead_s < _LONGEST_LEAD_S else 0.0


def _duration_s(container: InputContainer) -> float:
    """What the file says, or, where a recorder never came to write it, the end of its last packet."""
    if container.duration is not None and container.duration > 0:
        return container.duration / 1_000_000
    end_s = 0.0
    for packet in container.demux():
        if packet.pts is not None and packet.time_base is not None:
            end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return end_s
