"""Looks at the participant's shared screen on a thread of its own, and reads it when it has changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cvi.errors import CviError, MissingError
from cvi.media.live_picture import LivePicture, Rgb
from cvi.perception.text_reader import TextReader
from cvi.threads import step_back

LOOK_EVERY_S = 1.5
LEAST_BETWEEN_S = 5.0
"""Between two readings: each takes a second of a core."""
MOST_SIDE_PX = 1920
CHANGED = 1.5
"""Mean difference of two thumbnails, 0..255, from which on a screen shows something else: a cursor or a
clock changes less, a scrolled page more."""
_THUMBNAIL = (96, 54)
_NICENESS = 10
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class ScreenState:
    """What a shared screen shows: its `lines` of text from top to bottom, None where nothing can read them;
    `shared` False when sharing has ended."""

    shared: bool
    lines: tuple[str, ...] | None = None
    rgb: Rgb | None = None


class ScreenWatch:
    """`saw` is called on the watch's thread when the screen changes, `failed` once where it cannot be read:
    then it is only known to be shared."""

    def __init__(
        self,
        picture: LivePicture,
        make_reader: Callable[[], TextReader],
        now_s: Callable[[], float],
        saw: Callable[[ScreenState], None],
        failed: Callable[[CviError], None],
    ) -> None:
        self._picture = picture
        self._make_reader = make_reader
        self._now_s = now_s
        self._saw = saw
        self._failed = failed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cvi-screen", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking. Blocks for a reading at most."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        step_back(_NICENESS)
        reader: TextReader | None = None
        last: np.ndarray | None = None
        read_s, shared, can_read = -LEAST_BETWEEN_S, False, True
        while not self._stopped.wait(LOOK_EVERY_S):
            rgb = self._picture.rgb(MOST_SIDE_PX)
            if rgb is None:
                if shared:
                    shared, last = False, None
                    self._saw(ScreenState(False))
                continue
            small = _thumbnail(rgb)
            same = last is not None and float(np.abs(small - last).mean()) < CHANGED
            if shared and (same or self._now_s() - read_s < LEAST_BETWEEN_S):
                continue
            shared, last, read_s = True, small, self._now_s()
            lines: tuple[str, ...] | None = None
            if can_read:
                try:
                    reader = reader or self._make_reader()
                    lines = tuple(reader.read(rgb))
                except MissingError as error:
                    can_read = False
                    self._failed(error)
                except CviError as error:
                    self._failed(error)
            self._saw(ScreenState(True, lines, rgb))


def _thumbnail(rgb: Rgb) -> np.ndarray:
    import cv2

    return np.asarray(cv2.resize(rgb, _THUMBNAIL, interpolation=cv2.INTER_AREA), np.float32)
