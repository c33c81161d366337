"""Looks at the participant's shared screen on a thread of its own, and reads what has changed on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cvi.errors import CviError, MissingError
from cvi.media.live_picture import LivePicture
from cvi.perception.text_reader import ScreenText, TextReader
from cvi.perception.watch_thread import WatchThread

LOOK_EVERY_S = 0.5
BUDGET = 0.15
"""Of one core: a screen that changes all the time is read so seldom."""
MOST_SIDE_PX = 1920
_NICENESS = 10


@dataclass(frozen=True, slots=True)
class ScreenState:
    """What a shared screen shows: its `lines` of text from top to bottom, None where nothing can read them;
    `shared` False when sharing has ended."""

    shared: bool
    lines: tuple[str, ...] | None = None


class ScreenWatch:
    """`saw` is called on the watch's thread when what the screen says changes, `failed` once where it cannot
    be read: then it is only known to be shared."""

    def __init__(
        self,
        picture: LivePicture,
        make_reader: Callable[[], TextReader],
        saw: Callable[[ScreenState], None],
        failed: Callable[[CviError], None],
    ) -> None:
        self._picture = picture
        self._make_reader = make_reader
        self._saw = saw
        self._failed = failed
        self._text: ScreenText | None = None
        self._can_read = True
        self._state = ScreenState(False)
        thread = WatchThread("cvi-screen", _NICENESS, self._watch, failed)
        self.start, self.stop = thread.start, thread.stop

    def _watch(self, stopped: threading.Event) -> None:
        wait_s = LOOK_EVERY_S
        while not stopped.wait(wait_s):
            began_s = time.thread_time()
            self._look()
            wait_s = max(LOOK_EVERY_S, (time.thread_time() - began_s) / BUDGET)

    def _look(self) -> None:
        rgb = self._picture.rgb(MOST_SIDE_PX)
        state = ScreenState(rgb is not None, self._state.lines if rgb is not None else None)
        if rgb is None:
            self._text = None
        elif self._can_read:
            try:
                self._text = self._text or ScreenText(self._make_reader())
                for lines in self._text.read(rgb):
                    self._tell(state := ScreenState(True, tuple(lines)))
            except MissingError as error:
                self._can_read = False
                self._failed(error)
            except CviError as error:
                self._failed(error)
        self._tell(state)

    def _tell(self, state: ScreenState) -> None:
        if state != self._state:
            self._state = state
            self._saw(state)
