"""A recorded caller's sound, read in order as what a microphone would have given."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.audio.files import stream_audio
from cvi.errors import UsageError

# Decoded this far ahead of what has been read, so that a slow disk is never heard.
AHEAD_SAMPLES = 20 * HEARD_HZ
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
        try:
            for piece in stream_audio(self.path):
                if not self._give(piece):
                    return
        except UsageError as error:
            self._failure = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _give(self, piece: Pcm) -> bool:
        """Hand over a piece when there is room; False when nobody wants more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting < AHEAD_SAMPLES or self._closed)
            if not self._closed:
                self._chunks.append(piece)
                self._waiting += len(piece)
                self._changed.notify_all()
            return not self._closed
