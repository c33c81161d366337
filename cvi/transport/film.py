"""The picture of a video file, frame by frame as its time comes."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cvi.errors import UsageError
from cvi.face.base import Frame

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

AHEAD_FRAMES = 12
START_TIMEOUT_S = 20.0


def has_picture(path: Path) -> bool:
    """Whether a file holds moving picture (the cover of an mp3 is none). False when unreadable."""
    import av

    try:
        with av.open(str(path)) as source:
            return bool(_moving(source.streams.video))
    except (av.FFmpegError, OSError):
        return False


def fit(width: int, height: int, room_w: int, room_h: int) -> tuple[int, int]:
    """The largest even size with the shape of width x height inside room_w x room_h, pixels."""
    scale = min(room_w / width, room_h / height)
    return max(int(width * scale) // 2 * 2, 2), max(int(height * scale) // 2 * 2, 2)


class Film:
    """Frames of a file as I420, BT.709 limited range, fitted into `room` (width, height) in pixels.

    A thread decodes a dozen frames ahead. `at` is called with times that never go back, from one
    thread. The constructor raises UsageError.
    """

    def __init__(self, path: Path, room: tuple[int, int]) -> None:
        self.path = path
        self.size = (0, 0)
        self._room = room
        self._frames: deque[tuple[float, Frame]] = deque()
        self._wanted_s = 0.0
        self._shown: Frame | None = None
        self._over = False
        self._closed = False
        self._failure: UsageError | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._decode, name="cvi-film", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._over, START_TIMEOUT_S)
        if self._failure is not None:
            raise self._failure

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

    @property
    def over(self) -> bool:
        with self._changed:
            return self._over and not self._frames

    def close(self) -> None:
        with self._changed:
            self._closed = self._over = True
            self._frames.clear()
            self._changed.notify_all()
        self._thread.join(timeout=5)

    def _has_after(self, time_s: float) -> bool:
        return bool(self._frames) and self._frames[-1][0] > time_s

    def _full(self) -> bool:
        return len(self._frames) >= AHEAD_FRAMES

    def _decode(self) -> None:
        import av
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        try:
            with av.open(str(self.path)) as source:
                streams = _moving(source.streams.video)
                if not streams:
                    self._failure = UsageError(f"{self.path} has no picture in it.", "Give a video file.")
                    return
                began_s = source.start_time / 1e6 if source.start_time is not None else 0.0
                streams[0].codec_context.thread_count = 1
                for image in source.decode(streams[0]):
                    if self._closed:
                        return
                    self._give((image.time or 0.0) - began_s, image)
        except (av.FFmpegError, OSError) as error:
            # After the first frame a damaged rest is the end of the film.
            if self._shown is None and not self._frames:
                self._failure = UsageError(
                    f"The picture of {self.path} cannot be read ({error.strerror or error}).",
                    "Give an mp4 or webm file.",
                )
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _give(self, time_s: float, image: VideoFrame) -> None:
        from av.video.reformatter import ColorRange, Colorspace

        with self._changed:
            # Behind the wanted time only the newest frame counts; the rest is not worth scaling.
            if time_s < self._wanted_s - 0.2 and self._shown is not None:
                return
        if self.size == (0, 0):
            self.size = fit(image.width, image.height, *self._room)
        width, height = self.size
        small = self._reformatter.reformat(
            image, width, height, "yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame = small.to_ndarray().astype(np.uint8, copy=False)
        with self._changed:
            self._changed.wait_for(lambda: not self._full() or self._closed)
            self._frames.append((time_s, frame))
            self._changed.notify_all()


def _moving(streams: Sequence[VideoStream]) -> list[VideoStream]:
    from av.stream import Disposition

    return [stream for stream in streams if not stream.disposition & Disposition.attached_pic]
