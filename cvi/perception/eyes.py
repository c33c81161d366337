"""Blinks, and where the eyes go, from the openness of the eyes and their direction over time."""

from __future__ import annotations

from collections import deque

from cvi.perception.sight import Look

AWAY_DEG, DOWN_DEG, UP_DEG = 11.0, 13.0, 13.0
"""Beyond these the eyes are not on the screen; a laptop's screen at arm's length spans about 10 each way."""
LOOK_BELIEVED_S = 0.12
LEAST_AWAY_S = 0.4
"""Eyes that come back to the screen after less than this were hardly away."""

SHUT, OPEN = 0.55, 0.7
"""Shares of the eyes' usual height: a blink begins under the one and ends above the other."""
LONGEST_BLINK_S = 0.6
_COUNTED_S = 60.0
_LEAST_WATCHED_S = 10.0


class Blinks:
    """Counts blinks; eyes that stay shut for longer are none."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque()
        self.count = 0
        self.shut_s: float | None = None
        """Since when the eyes are shut, None while they are open."""

    def follow(self, openness: float, t_s: float) -> bool:
        """Whether the eyes are shut, with this share of their usual height."""
        if self.shut_s is None:
            if openness < SHUT:
                self.shut_s = t_s
        elif openness > OPEN:
            if t_s - self.shut_s <= LONGEST_BLINK_S:
                self._recent.append(self.shut_s)
                self.count += 1
            self.shut_s = None
        return self.shut_s is not None

    def a_minute(self, t_s: float, since_s: float) -> float:
        """Blinks a minute of somebody watched since `since_s`; 0 for the first ten seconds."""
        while self._recent and t_s - self._recent[0] > _COUNTED_S:
            self._recent.popleft()
        watched_s = min(_COUNTED_S, t_s - since_s)
        return 60.0 * len(self._recent) / watched_s if watched_s > _LEAST_WATCHED_S else 0.0


class Gaze:
    """Where the eyes go: at the screen or away from it, believed after `LOOK_BELIEVED_S`."""

    def __init__(self) -> None:
        self._next: tuple[Look, float] = ("unknown", 0.0)
        self.look: Look = "unknown"
        self.since_s = 0.0
        self.returned_s: float | None = None
        """When the eyes last came back to the screen."""

    def follow(self, yaw: float, pitch: float, t_s: float) -> None:
        """Eyes and head together point so many degrees to the viewer's right and down."""
        look: Look = "screen"
        if abs(yaw) > AWAY_DEG and abs(yaw) >= abs(pitch) - 4.0:
            look = "right" if yaw > 0 else "left"
        elif pitch > DOWN_DEG:
            look = "down"
        elif pitch < -UP_DEG:
            look = "up"
        if look == self.look:
            self._next = (look, t_s)
            return
        if self._next[0] != look:
            self._next = (look, t_s)
        if t_s - self._next[1] >= LOOK_BELIEVED_S or self.look == "unknown":
            if look == "screen" and self.look != "unknown" and self._next[1] - self.since_s >= LEAST_AWAY_S:
                self.returned_s = self._next[1]
            self.look, self.since_s = look, self._next[1]

    def forget(self) -> None:
        """Nobody is there."""
        self.look = "unknown"
