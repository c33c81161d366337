"""Files decoded ahead on a thread of their own, so that a conversation never waits for a disk or a codec."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections import deque
from pathlib import Path

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.errors import UsageError
from cvi.media.decode import log, stream_audio
from cvi.media.frames import Frame
from cvi.media.video import UprightConverter, decoded_frames, upright_size

# Sound decoded this far ahead of what has been read, so that a slow disk is never heard.
AHEAD_SAMPLES = 20 * HEARD_HZ
AHEAD_FRAMES = 12
START_TIMEOUT_S = 20.0
# Frames further behind the wanted time than this are not worth scaling.
_BEHIND_S = 0.2


class _Reader:
    """A thread that decodes into a bounded queue. The constructor waits for the first piece, or raises."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self._over = False
        self._closed = False
        self._failure: UsageError | None = None
        self._begun = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._queued() or self._over, START_TIMEOUT_S)
            self._begun = self._failure is None
        if self._failure is not None:
            raise self._failure

    @property
    def over(self) -> bool:
        """Everything has been read."""
        with self._changed:
            return self._over and not self._queued()

    def close(self) -> None:
        """End the thread; what is queued is dropped."""
        with self._changed:
            self._closed = self._over = True
            self._clear()
            self._changed.notify_all()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            self._decode()
        except UsageError as error:
            self._fail(error)
        except Exception as error:  # whatever a library makes of a file: the reader hears of it, not a thread
            message = f"{self.path} cannot be read to its end: {error}."
            self._fail(UsageError(message, "Give another file, or repair this one."))
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _fail(self, error: UsageError) -> None:
        with self._changed:
            self._failure = error
            if self._begun:  # too late for the constructor to raise it
                log.warning("%s", error.message)

    @abstractmethod
    def _decode(self) -> None:
        """Fill the queue; runs on the thread."""

    @abstractmethod
    def _queued(self) -> bool:
        """Whether something can be read now."""

    @abstractmethod
    def _clear(self) -> None:
        """Empty the queue."""


class AudioReader(_Reader):
    """The sound of an audio or video file as 16 kHz mono, whatever it was recorded in.

    Sample n is heard at n / 16000 seconds on the file's own time axis; `at` is the next one. `read` and
    `skip_to` are called from one thread. The constructor raises UsageError when the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.at = 0
        self._chunks: deque[Pcm] = deque()
        self._waiting = 0
        super().__init__(path, "cvi-caller-sound")

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
                self._waiting -= len(chunk)
                self._changed.notify_all()
        self.at += count - missing
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)

    def skip_to(self, position: int) -> None:
        """Forget what lies before `position`; positions only grow."""
        while self.at < position and len(self.read(min(position - self.at, HEARD_HZ))):
            pass

    def _decode(self) -> None:
        for piece in stream_audio(self.path):
            with self._changed:
                self._changed.wait_for(lambda: self._waiting < AHEAD_SAMPLES or self._closed)
                if self._closed:
                    return
                self._chunks.append(piece)
                self._waiting += len(piece)
                self._changed.notify_all()

    def _queued(self) -> bool:
        return bool(self._chunks)

    def _clear(self) -> None:
        self._chunks.clear()


class VideoReader(_Reader):
    """The frames of a film as I420, upright, BT.709 limited range, fitted into `room` (width, height) in
    pixels.

    `size` is the (width, height) they have. `at` is called with times that never go back, from one
    thread. The constructor raises UsageError.
    """

    def __init__(self, path: Path, room: tuple[int, int]) -> None:
        self.size = (0, 0)
        self._room = room
        self._frames: deque[tuple[float, Frame]] = deque()
        self._wanted_s = 0.0
        self._shown: Frame | None = None
        super().__init__(path, "cvi-film")

    def at(self, time_s: float, *, patience_s: float = 0.0) -> Frame | None:
        """The frame seen at `time_s` of the file, the last one after its end.

        Waits up to `patience_s` for a decoder that is behind, then gives the newest there is.
        """
        with self._changed:
            self._wanted_s = time_s
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._over or self._full() or self._has_after(time_s), patience_s)
            while self._frames and self._frames[0][0] <= time_s + 1e-6:
                self._shown = self._frames.popleft()[1]
            self._changed.notify_all()
            return self._shown

    def _decode(self) -> None:
        converter: UprightConverter | None = None
        for image, time_s, pixel_aspect in decoded_frames(self.path):
            if self._closed:
                return
            if converter is None:
                width, height = upright_size(image, pixel_aspect)
                self.size = fit(width, height, *self._room)
                converter = UprightConverter(*self.size)
            elif time_s < self._wanted_s - _BEHIND_S and self._shown is not None:
                continue
            frame = converter.i420(image)
            with self._changed:
                self._changed.wait_for(lambda: not self._full() or self._closed)
                self._frames.append((time_s, frame))
                self._changed.notify_all()
        if converter is None:
            raise UsageError(f"The picture of {self.path} cannot be read.", "Give an mp4 or webm file.")

    def _has_after(self, time_s: float) -> bool:
        return bool(self._frames) and self._frames[-1][0] > time_s

    def _full(self) -> bool:
        return len(self._frames) >= AHEAD_FRAMES

    def _queued(self) -> bool:
        return bool(self._frames)

    def _clear(self) -> None:
        self._frames.clear()


def fit(width: float, height: float, room_w: int, room_h: int) -> tuple[int, int]:
    """The largest even size with the shape of width x height inside room_w x room_h, pixels."""
    scale = min(room_w / width, room_h / height)
    return max(int(width * scale) // 2 * 2, 2), max(int(height * scale) // 2 * 2, 2)
