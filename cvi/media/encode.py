"""The MP4 a conversation is recorded into, and the plain MP4 made of it.

While a conversation runs, the file is fragmented: its index stands in front and each fragment, at
most half a second, is complete in itself, so that after a crash everything up to the last fragment
plays (ISO/IEC 14496-12, 8.8). `remux` copies the streams into an ordinary MP4 that starts at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cvi.errors import CviError, UsageError
from cvi.files import private_folder
from cvi.media.frames import Frame, av_frame

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

SOUND_HZ = 48_000
FRAGMENT_S = 0.5
# What a plain MP4 may be called.
SUFFIXES = (".mp4", ".m4v", ".mov")
# A constant quantizer: the encoder need not look at the picture beforehand, as "crf" does. 2.4 ms of one
# thread a frame at 720p instead of 3.2, half of the room, and 46 dB (a face that speaks, before a room).
X264 = {"preset": "ultrafast", "tune": "zerolatency", "qp": "20"}
AAC_BITS_PER_VOICE = 96_000


class FragmentedMp4:
    """Writes H.264 (BT.709, limited range) and AAC at 48 kHz. Not thread-safe: one thread owns it.

    Both streams start at time zero of the conversation. Raises CviError when the disk refuses.
    """

    def __init__(self, path: Path, *, width: int, height: int, fps: int, channels: int) -> None:
        import av

        self.path = path
        self._sound_at = 0
        self._channels = channels
        with disk_errors(path):
            private_folder(path.parent)
            self._file: OutputContainer = av.open(
                str(path),
                "w",
                format="mp4",
                options={
                    # delay_moov: the index follows the first packets, and so knows the encoder's padding.
                    "movflags": "+frag_keyframe+delay_moov+default_base_moof",
                    "frag_duration": str(int(FRAGMENT_S * 1e6)),
                    "flush_packets": "1",
                },
            )
        self._picture: VideoStream = self._file.add_stream("libx264", rate=fps, options=dict(X264))
        self._picture.width, self._picture.height, self._picture.pix_fmt = width, height, "yuv420p"
        coder = self._picture.codec_context
        coder.thread_count = 1
        coder.gop_size = fps
        coder.time_base = Fraction(1, fps)
        coder.colorspace, coder.color_primaries, coder.color_trc, coder.color_range = 1, 1, 1, 1
        self._layout = "stereo" if channels == 2 else "mono"
        self._sound: AudioStream = self._file.add_stream("aac", rate=SOUND_HZ, layout=self._layout)
        self._sound.bit_rate = AAC_BITS_PER_VOICE * channels
        self._sound.codec_context.time_base = Fraction(1, SOUND_HZ)

    def picture(self, frame: Frame, index: int) -> None:
        """Show `frame` (I420) from index / fps on, until the next one."""

        # The encoder reads the array in place and is done with it when it returns.
        image = av_frame(frame)
        image.pts, image.time_base = index, self._picture.codec_context.time_base
        with disk_errors(self.path):
            self._file.mux(self._picture.encode(image))

    def sound(self, samples: npt.NDArray[np.float32]) -> None:
        """Append sound: shape (n, channels), 48 kHz, in [-1, 1]. Any n; 1024 suits the encoder best."""
        import av

        block = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T, dtype=np.float32), format="fltp", layout=self._layout
        )
        block.sample_rate = SOUND_HZ
        block.pts, block.time_base = self._sound_at, Fraction(1, SOUND_HZ)
        self._sound_at += len(samples)
        with disk_errors(self.path):
            self._file.mux(self._sound.encode(block))

    def close(self) -> None:
        """Write what the encoders still hold. Raises CviError; the file is closed all the same."""
        with disk_errors(self.path):
            try:
                self._file.mux(self._picture.encode(None))
                self._file.mux(self._sound.encode(None))
            finally:
                self._file.close()

    def abandon(self) -> None:
        """Let go of the file after a failure; the fragments that are whole stay."""
        import av

        with contextlib.suppress(av.FFmpegError, OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            os.truncate(self.path, _whole_length(self.path))


def check_output(path: Path) -> None:
    """Raise UsageError unless `path` can become a plain MP4."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"Cannot record into {path}: only MP4 is written.", "Give the output a name ending in .mp4."
        )
    if path.is_dir():
        raise UsageError(f"Cannot record into {path}: it is a folder.", "Name a file.")
    parent = path.absolute().parent
    if not parent.is_dir():
        raise UsageError(
            f"Cannot record into {path}: the folder {parent} does not exist.", "Create it first."
        )
    if not os.access(parent, os.W_OK):
        raise UsageError(
            f"Cannot record into {path}: the folder may not be written to.", "Choose another folder."
        )


def remux(recording: Path, output: Path) -> None:
    """Copy a recording, whole or cut off by a crash, into a plain MP4 with its index in front.

    `output` appears complete or not at all. Raises CviError.
    """
    import av

    copied = 0
    partial = output.absolute().parent / f".{output.stem}-{os.getpid()}.mp4"
    try:
        with (
            disk_errors(output),
            av.open(str(recording)) as source,
            av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as target,
        ):
            streams: list[Stream] = [*source.streams.video, *source.streams.audio]
            copies = {stream.index: target.add_stream_from_template(stream) for stream in streams}
            for packet in source.demux(streams):
                if packet.dts is None or packet.is_corrupt:
                    continue
                packet.stream = copies[packet.stream.index]
                target.mux(packet)
                copied += 1
        if not copied:
            raise CviError(
                f"There is nothing in the recording {recording}.", "It ended before its first half second."
            )
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


def _whole_length(path: Path) -> int:
    """How many bytes of a fragmented MP4 are its index and whole fragments (pairs of moof and mdat)."""
    whole = at = 0
    size = path.stat().st_size
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            length, kind = int.from_bytes(head[:4], "big"), head[4:]
            at += length
            if length < 8 or at > size:
                break
            if kind in (b"moov", b"mdat"):
                whole = at
            file.seek(at)
    return whole


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """FFmpeg's errors, said so that a person knows what to do."""
    import av

    try:
        yield
    except (av.FFmpegError, OSError) as error:
        remedy = "Check the disk and the folder's permissions."
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            remedy = "The disk is full: free some space or record elsewhere."
        raise CviError(f"Cannot write {path}: {error.strerror or error}.", remedy) from error
