"""An overloaded machine says so: in one line, once for each kind of shortage in a conversation."""

from __future__ import annotations

from collections import deque

from cvi.conversation.events import (
    Event,
    Overloaded,
    Shortage,
    SpeechGap,
    TranscriptFinal,
    UserPaused,
)
from cvi.conversation.settings import SessionContext

WINDOW_S = 5.0
"""Frames are counted over so long."""
LATE_SHARE = 0.02
FINAL_LATE_S = 1.0
"""A final transcript later than this after the pause keeps everybody waiting."""
GAP_UNITS = 5
"""So many silent units in the middle of replies: a fifth of a second at 25 frames a second."""
_HELP = "Close other programs, or choose"
_MESSAGES: dict[Shortage, str] = {
    "face": f"The machine is too slow for this picture, so the face moves less often. {_HELP} a smaller "
    "picture or fewer frames a second.",
    "recognition": f"The machine is too slow for this recognizer: it lags behind speech. {_HELP} a smaller "
    "recognition model.",
    "voice": f"The machine is too slow for these models: the voice has gaps. {_HELP} a smaller language "
    "model or another voice.",
}


class OverloadMonitor:
    """Watches the journal and the frames of one conversation and reports what is short. Event loop only."""

    def __init__(self, context: SessionContext) -> None:
        self._journal = context.journal
        self._transport = context.transport
        self._frames: deque[tuple[float, bool]] = deque()
        self._late = 0
        self._paused: tuple[int, float] | None = None
        self._gaps = 0
        self._reported: set[Shortage] = set()
        self._journal.subscribe(self._read)

    def frame(self, at_s: float, late: bool) -> None:
        """A frame was shown at `at_s` seconds: `late`, if not in time or not its own."""
        self._frames.append((at_s, late))
        self._late += late
        while at_s - self._frames[0][0] > WINDOW_S:
            self._late -= self._frames.popleft()[1]
        if self.frames_late:
            self._report("face")

    @property
    def frames_late(self) -> bool:
        """Whether more than LATE_SHARE of the last WINDOW_S of frames came late."""
        return self._window_full and self._late > LATE_SHARE * len(self._frames)

    @property
    def frames_in_time(self) -> bool:
        """Whether no frame of the last WINDOW_S came late."""
        return self._window_full and self._late == 0

    def forget_frames(self) -> None:
        """Count anew: what was counted so far was drawn at another rate."""
        self._frames.clear()
        self._late = 0

    @property
    def _window_full(self) -> bool:
        return bool(self._frames) and self._frames[-1][0] - self._frames[0][0] > 0.95 * WINDOW_S

    def _read(self, event: Event) -> None:
        match event:
            case UserPaused():
                self._paused = (event.turn, event.t)
            case TranscriptFinal() if self._paused is not None and self._paused[0] == event.turn:
                if event.t - self._paused[1] > FINAL_LATE_S:
                    self._report("recognition")
                self._paused = None
            case SpeechGap():
                self._gaps += 1
                if self._gaps >= GAP_UNITS:
                    self._report("voice")

    def _report(self, short: Shortage) -> None:
        if short not in self._reported:
            self._reported.add(short)
            message = _MESSAGES[short]
            self._journal.write(Overloaded(short=short, message=message))
            self._transport.notify("notice", message)
