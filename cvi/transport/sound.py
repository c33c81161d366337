"""A recorded caller's sound, read in order as what a microphone would have given."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.errors import UsageError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.container import InputContainer

# Decoded this far ahead of what has been read, so that a slow disk is never heard.
AHEAD_SAMPLES = 20 * HEARD_HZ
# A hole in the file's own timestamps longer than this is silence, not jitter.
HOLE_S = 0.050
START_TIMEOUT_S = 20.0


class SoundReader:
    """The sound of an audio or video file as 16 kHz mono, whatever it was recorded in.

    Sample n is heard at n / 16000 seconds on the file's own time axis. A thread of its own decodes
    ahead, within a bound, so that a file of three hours takes no more memory than one of a minute.
    One reader thread; the constructor raises UsageError when the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.at = 0
        self._chunks: deque[Pcm] = deque()
        self._waiting = 0
        self._over = False
        self._closed = False
        self._failure: UsageError | None = None
        self._changed = threading.Condition()
        if not path.is_file():
            raise UsageError(f"There is no file {path}.", "Check the caller's path.")
        self._thread = threading.Thread(target=self._decode, name="cvi-caller-sound", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over, START_TIMEOUT_S)
        if self._failure is not None:
            raise self._failure

    def read(self, count: int) -> Pcm:
        """The next `count` samples; fewer at the end of the file, none after it.

        Waits for the decoder, which is a hundred times faster than real time and 20 s ahead.
        """
        parts: list[Pcm] = []
        missing = count
        with self._changed:
            while missing:
                self._changed.wait_for(lambda: self._chunks or self._over)
                if not self._chunks:
                    break
                chunk = self._chunks.popleft()
                if len(chunk) > missing:
                    self._chunks.appendleft(chunk[missing:])
                    chunk = chunk[:missing]
                parts.append(chunk)
                missing -= len(chunk)
            self._waiting -= count - missing
            self._changed.notify_all()
        self.at += count - missing
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def skip_to(self, position: int) -> None:
        """Forget what lies before `position`; positions only grow."""
        while self.at < position and len(self.read(min(position - self.at, HEARD_HZ))):
            pass

    @property
    def over(self) -> bool:
        """Everything has been read."""
        with self._changed:
            return self._over and not self._chunks

    def close(self) -> None:
        with self._changed:
            self._closed = self._over = True
            self._chunks.clear()
            self._changed.notify_all()
        self._thread.join(timeout=5)

    def _decode(self) -> None:
        import av

        produced = False
        try:
            with av.open(str(self.path)) as source:
                if not source.streams.audio:
                    self._failure = UsageError(
                        f"{self.path} has no sound in it.", "Give a file in which somebody speaks."
                    )
                    return
                produced = self._decode_stream(source)
                if not produced and not self._closed:
                    self._failure = UsageError(
                        f"No sound could be read from {self.path}.",
                        "The file is empty or damaged: record it again.",
                    )
        except (av.FFmpegError, OSError) as error:
            # After the first sample a damaged rest is the end of the file, as a cut call would be.
            if not self._waiting and not produced:
                self._failure = UsageError(
                    f"{self.path} cannot be read as sound or video ({error.strerror or error}).",
                    "Give a wav, flac, mp3, mp4 or webm file.",
                )
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _decode_stream(self, source: InputContainer) -> bool:
        import av

        resampler = av.AudioResampler(format="s16", layout="mono", rate=HEARD_HZ)
        began_s = source.start_time / 1e6 if source.start_time is not None else 0.0
        produced = 0
        for packet in source.demux(audio=0):
            if self._closed:
                return produced > 0
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue  # one damaged packet; its time is filled below
            for frame in frames:
                if frame.time is not None:
                    hole_s = frame.time - began_s - produced / HEARD_HZ
                    if hole_s > HOLE_S or (produced == 0 and hole_s > 0):
                        produced += self._give(np.zeros(round(hole_s * HEARD_HZ), np.int16))
                frame.pts = None
                produced += self._give_all(resampler.resample(frame))
        produced += self._give_all(resampler.resample(None))
        return produced > 0

    def _give_all(self, frames: list[AudioFrame]) -> int:
        return sum(
            [self._give(frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)) for frame in frames]
        )

    def _give(self, chunk: Pcm) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting < AHEAD_SAMPLES or self._closed)
            if len(chunk) and not self._closed:
                self._chunks.append(chunk)
                self._waiting += len(chunk)
                self._changed.notify_all()
        return len(chunk)
