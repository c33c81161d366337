"""Head and breath: slow drift, posture, nods, and beats with one's own speech."""

from __future__ import annotations

from math import cos, hypot, pi

from cvi.face.base import Activity
from cvi.face.cues import Cues
from cvi.face.mouth import ease
from cvi.face.noise import Dice, drift
from cvi.face.spring import Spring

_RESTLESSNESS: dict[Activity, float] = {"idle": 0.9, "listening": 0.7, "thinking": 0.7, "speaking": 1.1}
_PITCH_DEG: dict[Activity, float] = {"idle": 0.0, "listening": 0.8, "thinking": -1.6, "speaking": 0.0}
_TILT_DEG: dict[Activity, float] = {"idle": 0.3, "listening": 1.8, "thinking": 1.2, "speaking": 0.2}
_BREATHS_HZ: dict[Activity, float] = {"idle": 0.24, "listening": 0.25, "thinking": 0.23, "speaking": 0.20}
_FASTEST_DEG_S = 24.0
"""Of all turns together. Faster, and a face leaps by more than 2 % of its width between frames at 25 fps."""
_NOD_CHANCE = 0.65
_NOD_REFRACTORY_S = 2.2


class Nods:
    """Nods at the participant's pauses: one dip or two, the second smaller."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._start_s = -10.0
        self._depth_deg = 0.0
        self._dip_s = 0.5
        self._dips = 0

    def advance(self, now_s: float, invited: bool) -> float:
        """Pitch in degrees, down is positive; `invited` at the moment a nod would be polite."""
        dice = self._dice
        if invited and now_s - self._start_s > _NOD_REFRACTORY_S and dice.happens(_NOD_CHANCE):
            # People need a moment to hear that it was a pause.
            self._start_s = now_s + dice.between(0.08, 0.22)
            self._depth_deg = dice.between(2.2, 4.2)
            self._dip_s = dice.between(0.48, 0.64)
            self._dips = 2 if dice.happens(0.45) else 1
        dip, part = divmod((now_s - self._start_s) / self._dip_s, 1.0)
        if not 0 <= dip < self._dips:
            return 0.0
        return self._depth_deg * (0.5 if dip == 0 else 0.28) * (1.0 - cos(2.0 * pi * part))


class Breath:
    """0..1 of a breath; in for two fifths of it. Its pace changes, its phase never leaps."""

    def __init__(self, dice: Dice, activity: Activity) -> None:
        self._phase = dice.roll()
        self._pace = Spring(_BREATHS_HZ[activity], 0.5)

    def advance(self, dt_s: float, activity: Activity) -> float:
        self._phase = (self._phase + dt_s * self._pace.follow(_BREATHS_HZ[activity], dt_s)) % 1.0
        return ease(self._phase / 0.4) if self._phase < 0.4 else 1.0 - ease((self._phase - 0.4) / 0.6)


class Head:
    """yaw, pitch, roll in degrees, as in `Controls`; stays within about 9, 7 and 4."""

    def __init__(self, dice: Dice, seed: int, activity: Activity) -> None:
        self._seed = seed
        self._nods = Nods(dice)
        self._side = dice.side()
        self._restless = Spring(_RESTLESSNESS[activity], 0.4)
        self._posture = Spring(_PITCH_DEG[activity], 0.3)
        self._tilt = Spring(self._side * _TILT_DEG[activity], 0.4)
        self._turn = Spring(0.0, 0.2)
        self._lift = Spring(0.0, 0.2)
        self._beat = Spring(0.0, 0.07)
        self._talk = Spring(0.0, 0.3)
        self._shown: tuple[float, float, float] | None = None

    def advance(
        self, now_s: float, dt_s: float, activity: Activity, cues: Cues, *,
        aim: tuple[float, float], opening: float, paused: bool,
    ) -> tuple[float, float, float]:  # fmt: skip
        """The pose now.

        `aim`: where the eyes are heading, the head goes part of the way; `opening`: the own jaw, 0..1;
        `paused`: the participant's pause began with this frame.
        """
        restless = self._restless.follow(_RESTLESSNESS[activity], dt_s)
        talk = self._talk.follow(opening, dt_s)
        beat = self._beat.follow(min(1.0, max(0.0, cues.emphasis)), dt_s)
        nod = self._nods.advance(now_s, paused and activity == "listening")
        wander = [self._wander(channel, now_s) for channel in range(3)]
        sway = talk * drift(self._seed + 4, now_s, 1.1)
        yaw = restless * 1.9 * wander[0] + 3.0 * sway + self._turn.follow(5.0 * aim[0], dt_s)
        pitch = (
            restless * 1.1 * wander[1] + 1.7 * beat + nod
            + self._posture.follow(_PITCH_DEG[activity], dt_s)
            + self._lift.follow(-2.5 * aim[1], dt_s)
        )  # fmt: skip
        roll = restless * 0.9 * wander[2] + 0.8 * sway
        roll += self._tilt.follow(self._side * _TILT_DEG[activity], dt_s)
        self._shown = _within(self._shown or (yaw, pitch, roll), (yaw, pitch, roll), _FASTEST_DEG_S * dt_s)
        return self._shown

    def _wander(self, channel: int, now_s: float) -> float:
        slow = drift(self._seed + channel, now_s, (0.23, 0.19, 0.17)[channel])
        return slow + 0.35 * drift(self._seed + channel + 8, now_s, 0.6)


def _within(
    start: tuple[float, float, float], goal: tuple[float, float, float], most: float
) -> tuple[float, float, float]:
    """The goal, or the point `most` on the way to it."""
    step = [b - a for a, b in zip(start, goal, strict=True)]
    length = hypot(*step)
    if length <= most:
        return goal
    yaw, pitch, roll = (a + most / length * along for a, along in zip(start, step, strict=True))
    return (yaw, pitch, roll)
