"""Sound from files of any kind, as a stream: a recording of hours costs no more memory than one of seconds.

What recorders and phones do to files is undone here: sample rates that change in the middle, chained Ogg
streams, channels in opposite phase, sound that starts after the picture, damaged packets. `video` does
the same for pictures.
"""

from __future__ import annotations

import io
import logging
import os
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.audio.level import level_db
from cvi.errors import UsageError
from cvi.files import is_file, replacing

log = logging.getLogger("cvi.media")

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.resampler import AudioResampler
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

_GIVE_ANOTHER = "Give a wav, flac, mp3, ogg, mp4 or webm file that plays elsewhere."
_GIVE_A_FILM = "Give an mp4, mov, mkv or webm film that plays elsewhere."
# FFmpeg's demuxers. Playlists (hls, concat, dash, sdp) are left out: they lead to other files and hosts.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,asf,mpeg,mpegts,"
    "wav,w64,rf64,flac,mp3,aac,ogg,aiff,caf,au,amr,ac3,ape,wv,tta"
)
_BLOCK_S = 0.1
_LONGEST_LEAD_S = 60.0
# Two channels cancel where their mix is this much weaker than they are; unrelated channels lose 3 dB.
_CANCELLED_DB = 12.0
_MIX, _LEFT, _RIGHT = (0.5, 0.5), (1.0, 0.0), (0.0, 1.0)
_OGG_PAGE = b"OggS"
_FIRST_PAGE = 0x02


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file holds. Sizes in pixels, as stored; a kind of track that is not there has zeros."""

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
        picture = picture_track(container)
        rate = (picture.average_rate or picture.guessed_rate) if picture else None
        # A track in a format that is not known here has no decoder, which is what knows the size.
        size = picture.codec_context if picture else None
        return MediaInfo(
            duration_s=_duration_s(container),
            has_audio=sound is not None,
            has_video=picture is not None,
            width=size.width if size else 0,
            height=size.height if size else 0,
            fps=float(rate) if rate else 0.0,
            sample_rate=sound.rate if sound else 0,
        )


def stream_audio(path: Path, rate_hz: int = HEARD_HZ) -> Iterator[Pcm]:
    """The sound of a file in pieces of about 0.1 s: mono int16 at `rate_hz`, all tracks' first one.

    Sample 0 is time 0 of the file: a sound track that starts after the picture begins with silence.
    Damaged packets in the middle are passed over. Close the iterator to stop early.
    Raises UsageError, at the first piece, for a file that is missing, unreadable or without sound.
    """
    block = round(_BLOCK_S * rate_hz)
    mono = _Downmix(rate_hz, block)
    heard = False
    for container in _chained(path):
        track = _sound_track(container)
        if track is None:
            continue
        for frame in _frames(container, track):
            if not heard:
                lead = round(_lead_s(container, frame) * rate_hz)
                for start in range(0, lead, block):
                    yield np.zeros(min(block, lead - start), np.int16)
            heard = True
            yield from mono.push(frame)
    if not heard:
        with opened(path) as container:
            missing = _sound_track(container) is None
        what = "has no sound track" if missing else "holds no sound that can be decoded"
        raise UsageError(f"{path} {what}.", _GIVE_ANOTHER)
    yield from mono.flush()


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
    with replacing(path) as part, wave.open(str(part), "wb") as sound:
        sound.setnchannels(1 if pcm.ndim == 1 else pcm.shape[1])
        sound.setsampwidth(2)
        sound.setframerate(rate_hz)
        sound.writeframes(np.ascontiguousarray(pcm, dtype="<i2").tobytes())


@contextmanager
def opened(path: Path, what: str = "sound or picture file") -> Iterator[InputContainer]:
    """A media file for reading; `what` it was to be. Raises UsageError with what is wrong and what to do."""
    another = _GIVE_A_FILM if what == "film" else _GIVE_ANOTHER
    if not is_file(path):
        if os.path.lexists(path):
            raise UsageError(f"{path} is not a file.", another)
        raise UsageError(f"There is no file {str(path)[:300]}.", "Check the path.")
    try:
        if path.stat().st_size == 0:
            raise UsageError(f"{path} is empty.", another)
        container = _open(str(path))
    except PermissionError as error:
        raise UsageError(f"{path} may not be read.", "Change its permissions.") from error
    except _unreadable() as error:
        raise UsageError(f"{path} is not a {what} that can be read.", another) from error
    with container:
        yield container


def picture_track(container: InputContainer) -> VideoStream | None:
    """The first moving picture of a file; the cover of a song is none."""
    import av

    cover = av.stream.Disposition.attached_pic
    return next((track for track in container.streams.video if not track.disposition & cover), None)


def packets(container: InputContainer, track: AudioStream | VideoStream) -> Iterator[Any]:
    """The track's packets; a file that is cut off ends there."""
    import av

    found = container.demux(track)
    while True:
        try:
            yield next(found)
        except (StopIteration, av.error.FFmpegError):
            return


def _open(source: str | BinaryIO) -> InputContainer:
    import av

    return av.open(source, mode="r", metadata_errors="ignore", options={"format_whitelist": _FORMATS})


def _unreadable() -> tuple[type[Exception], ...]:
    import av

    return (av.error.FFmpegError, OSError, ValueError)


def _sound_track(container: InputContainer) -> AudioStream | None:
    """The first that can be decoded: one in an unknown format, as phones add, has no codec."""
    tracks = (track for track in container.streams.audio if track.codec_context is not None)
    return next((track for track in tracks if track.rate), None)


def _frames(container: InputContainer, track: AudioStream) -> Iterator[AudioFrame]:
    """Decoded frames, without those that are damaged; a line in the log tells how many were."""
    import av

    damaged = 0
    for packet in packets(container, track):
        try:
            yield from packet.decode()
        except av.error.FFmpegError:  # a decoder refuses damage with any of its errors
            damaged += 1
    if damaged:
        warn_left_out(container.name, damaged, "sound")


def warn_left_out(name: str, packets: int, kind: str) -> None:
    """Tell that damaged packets were passed over; the command line prints it and exits with 1."""
    log.warning("%s: %d damaged packets of %s are left out", name, packets, kind)


def _chained(path: Path) -> Iterator[InputContainer]:
    """The file; of an Ogg file of several streams one after the other, each (RFC 3533, "chaining").

    FFmpeg stops at a second stream whose parameters differ, so each is opened as a file of its own.
    """
    starts = _ogg_links(path) if path.is_file() else []
    if len(starts) < 2:
        with opened(path) as container:
            yield container
        return
    ends = [*starts[1:], path.stat().st_size]
    for start, end in zip(starts, ends, strict=True):
        with path.open("rb") as file:
            file.seek(start)
            link = io.BytesIO(file.read(end - start))
        try:
            container = _open(link)
        except _unreadable():
            continue  # a damaged link: what follows may be whole
        with container:
            yield container


def _ogg_links(path: Path) -> list[int]:
    """Byte offsets where the logical streams of a chained Ogg file begin; empty for other files.

    Pages are walked by their headers alone: 27 bytes, then one byte for each segment's length.
    """
    starts: list[int] = []
    size = path.stat().st_size
    in_headers = False
    at = 0
    try:
        with path.open("rb") as file:
            while at < size:
                file.seek(at)
                header = file.read(27)
                if len(header) < 27 or header[:4] != _OGG_PAGE:
                    break
                first = bool(header[5] & _FIRST_PAGE)
                if first and not in_headers:
                    starts.append(at)
                in_headers = first
                at += 27 + header[26] + sum(file.read(header[26]))
    except OSError:
        return []
    return starts


class _Downmix:
    """Frames of any rate, layout and format, also changing ones, to mono int16 at one rate."""

    def __init__(self, rate_hz: int, block: int) -> None:
        self._rate_hz, self._block = rate_hz, block
        self._format: tuple[int, str, str] | None = None
        self._resampler: AudioResampler | None = None
        self._gains = _MIX

    def push(self, frame: AudioFrame) -> Iterator[Pcm]:
        """The sound that is complete with this frame."""
        import av

        form = (frame.sample_rate, frame.layout.name, frame.format.name)
        if form != self._format:
            yield from self.flush()
            self._format = form
            layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
            self._resampler = av.AudioResampler("s16", layout, self._rate_hz, frame_size=self._block)
        # Some demuxers restart their clock in the middle; the samples' order is what counts here.
        frame.pts = None
        yield from self._resampled(frame)

    def flush(self) -> Iterator[Pcm]:
        """What the resampler still holds."""
        if self._resampler is not None:
            yield from self._resampled(None)
            self._resampler = None

    def _resampled(self, frame: AudioFrame | None) -> Iterator[Pcm]:
        assert self._resampler is not None
        for piece in self._resampler.resample(frame):
            samples = piece.to_ndarray().reshape(-1)
            if piece.layout.nb_channels == 1:
                yield samples.astype(np.int16, copy=False)
            else:
                yield self._mono(samples.reshape(-1, 2).astype(np.float32))

    def _mono(self, stereo: npt.NDArray[np.float32]) -> Pcm:
        """The mean of both channels; the louder one from where they cancel each other."""
        power = np.mean(stereo**2, axis=0)
        mixed = float(np.mean((stereo.mean(axis=1)) ** 2))
        gains = self._gains
        if float(power.max()) > 1.0:
            cancelled = mixed < float(power.mean()) * 10 ** (-_CANCELLED_DB / 10)
            alone = _LEFT if power[0] >= power[1] else _RIGHT
            gains = (self._gains if self._gains != _MIX else alone) if cancelled else _MIX
        # A change of gains is spread over the block, so that it does not click.
        weights = np.linspace(self._gains, gains, len(stereo), dtype=np.float32)
        self._gains = gains
        mono = np.rint((stereo * weights).sum(axis=1))
        return np.asarray(np.clip(mono, -32768, 32767), np.int16)


def _lead_s(container: InputContainer, frame: AudioFrame) -> float:
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
