"""Blinks and gaze.

Rates and times are those of people in conversation: 12 to 20 blinks a minute that gather at the ends
of phrases, lids down faster than up; gaze that rests and leaps (a saccade of 20 to 80 ms, longer for
a longer way), that stays with the other while listening and leaves them while thinking.
"""

from __future__ import annotations

from cvi.face.base import Activity
from cvi.face.mouth import ease
from cvi.face.noise import Dice

# Without cues; ends of phrases add to it.
_BLINKS_A_MINUTE: dict[Activity, float] = {
    "idle": 15.0,
    "listening": 13.0,
    "thinking": 13.0,
    "speaking": 13.5,
}
_MOST_BLINKS_A_MINUTE = 20.0
_REFRACTORY_S = 0.9

# Chance that the gaze stays with the viewer at its next leap, and how long it rests there and away, seconds.
_CONTACT: dict[Activity, float] = {"idle": 0.75, "listening": 0.9, "thinking": 0.2, "speaking": 0.72}
_REST_WITH_S: dict[Activity, tuple[float, float]] = {
    "idle": (1.0, 3.0),
    "listening": (0.8, 2.6),
    "thinking": (0.3, 0.6),
    "speaking": (0.8, 2.2),
}
_REST_AWAY_S: dict[Activity, tuple[float, float]] = {
    "idle": (0.6, 1.4),
    "listening": (0.25, 0.5),
    "thinking": (0.6, 1.5),
    "speaking": (0.4, 0.9),
}


class Blinks:
    """When the lids shut, and how far they are at each moment."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._start_s = -10.0
        self._close_s = self._hold_s = self._open_s = 0.1
        self._next_s = dice.between(0.8, 3.5)
        # A leaky count of the last blinks, in blinks a minute, that keeps cues from adding too many.
        self._recent = 14.0
        self._counted_s = 0.0

    def advance(self, now_s: float, activity: Activity, urge: float) -> float:
        """How shut the lids are, 0..1. `urge`: the chance that something now calls for a blink."""
        self._recent *= 2.0 ** ((self._counted_s - now_s) / 20.0)
        self._counted_s = now_s
        rested = now_s - self._start_s > _REFRACTORY_S
        allowed = min(1.0, max(0.0, (_MOST_BLINKS_A_MINUTE - self._recent) / 6.0))
        called = urge > 0.0 and rested and self._dice.happens(urge * allowed)
        if called or now_s >= self._next_s:
            self._begin(now_s, activity)
        return self._shut(now_s - self._start_s)

    def _begin(self, now_s: float, activity: Activity) -> None:
        dice = self._dice
        self._start_s = now_s
        self._close_s = dice.between(0.065, 0.085)
        self._hold_s = dice.between(0.020, 0.045)
        self._open_s = dice.between(0.100, 0.160)
        # One blink in a half-life of 20 s: with a steady rate r the count settles at r.
        self._recent += 60.0 / 20.0 * 0.693
        if dice.happens(0.05):
            self._next_s = now_s + dice.between(0.40, 0.55)
        else:
            self._next_s = now_s + 60.0 / _BLINKS_A_MINUTE[activity] * 2.0 ** dice.between(-0.9, 0.9)

    def _shut(self, since_s: float) -> float:
        if since_s <= self._close_s:
            return ease(since_s / self._close_s)
        return 1.0 - ease((since_s - self._close_s - self._hold_s) / self._open_s)


class Gaze:
    """Where the eyes rest: 0, 0 is the viewer's eyes; units of `Controls.gaze_x` and `gaze_y`."""

    def __init__(self, dice: Dice, activity: Activity) -> None:
        self._dice = dice
        self._activity = activity
        self._from = self._to = (0.0, 0.0)
        self._start_s = 0.0
        self._length_s = 0.02
        self._next_s = dice.between(0.5, 1.5)
        self._side = dice.side()
        self._pending_contact: bool | None = None
        self.leapt = 0.0
        """How far the leap that began at the last step goes; 0 if none began."""

    @property
    def aim(self) -> tuple[float, float]:
        """Where the eyes are heading, or rest."""
        return self._to

    def advance(self, now_s: float, activity: Activity, phrase_ended: bool) -> tuple[float, float]:
        """The point looked at now."""
        if activity != self._activity:
            self._activity = activity
            self._next_s = min(self._next_s, now_s + self._dice.between(0.06, 0.22))
            # A thought starts by looking away, and every other state by looking at the viewer.
            self._pending_contact = activity != "thinking"
        elif phrase_ended and self._away:
            self._next_s = min(self._next_s, now_s + 0.1)
            self._pending_contact = True
        self.leapt = 0.0
        if now_s >= self._next_s:
            self._leap(now_s)
        return self._at(now_s)

    def _at(self, now_s: float) -> tuple[float, float]:
        x = _minimum_jerk((now_s - self._start_s) / self._length_s)
        return (
            self._from[0] + x * (self._to[0] - self._from[0]),
            self._from[1] + x * (self._to[1] - self._from[1]),
        )

    @property
    def _away(self) -> bool:
        return abs(self._to[0]) > 0.08 or abs(self._to[1]) > 0.08

    def _leap(self, now_s: float) -> None:
        dice = self._dice
        contact = self._pending_contact
        if contact is None:
            # Nobody looks away twice running while they speak or listen.
            returns = self._away and self._activity != "thinking"
            contact = dice.happens(_CONTACT[self._activity]) or returns
        self._pending_contact = None
        self._from = self._at(now_s)
        self._to = (dice.between(-0.03, 0.03), dice.between(-0.02, 0.02)) if contact else self._elsewhere()
        rest = (_REST_WITH_S if contact else _REST_AWAY_S)[self._activity]
        self.leapt = max(abs(self._to[0] - self._from[0]), abs(self._to[1] - self._from[1]))
        self._start_s = now_s
        self._length_s = min(0.080, 0.020 + 0.09 * self.leapt)
        self._next_s = now_s + self._length_s + dice.between(*rest)

    def _elsewhere(self) -> tuple[float, float]:
        dice = self._dice
        if dice.happens(0.25):
            self._side = -self._side
        if self._activity == "thinking":
            return (self._side * dice.between(0.28, 0.52), dice.between(0.12, 0.38))
        if self._activity == "listening":
            return (self._side * dice.between(0.12, 0.25), dice.between(-0.12, 0.05))
        return (self._side * dice.between(0.18, 0.42), dice.between(-0.18, 0.15))


def _minimum_jerk(x: float) -> float:
    x = min(1.0, max(0.0, x))
    return x * x * x * (x * (x * 6.0 - 15.0) + 10.0)
