"""State of the conversation -> the rest of the face.

Idle, listening, thinking and speaking are not poses that are switched but targets that every channel
moves towards, so a change of state is never seen as a jump. The mouth is the driver's alone: it
passes through untouched, and the smile added beside it settles and is then exactly still.
"""

from __future__ import annotations

from dataclasses import replace

from cvi.face.base import Activity, Controls
from cvi.face.cues import NO_CUES, Cues
from cvi.face.expression import Expressions
from cvi.face.eyes import Blinks, Gaze
from cvi.face.head import Breath, Head
from cvi.face.mouth import REST, MouthShape
from cvi.face.noise import Dice, mixed

_LONGEST_STEP_S = 1.0
# The eyes turn this far at gaze 1; what the head turns, they turn back to stay on their point.
EYE_YAW_DEG, EYE_PITCH_DEG = 24.0, 19.5
_WIDEST_LID = -0.2


class Behaviour:
    """One face's performance: the same seed and the same inputs give the same, frame by frame.

    ``Behaviour(7).advance(0.04, "idle")`` is the `Controls` of a frame. Not thread-safe.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._last_s: float | None = None
        self._age_s = 0.0
        self._controls = Controls()
        self._before = NO_CUES
        self._activity: Activity = "idle"

    def advance(
        self, t_s: float, activity: Activity, mouth: MouthShape = REST, cues: Cues = NO_CUES
    ) -> Controls:
        """The controls of the frame shown at `t_s`, seconds on the conversation's clock.

        Where time repeats or steps back (a frame drawn again) nothing but the mouth changes; where it
        leaps, at most one second of performance passes.
        """
        if self._last_s is None:
            self._begin(activity)
            self._step(0.0, activity, mouth, cues)
            self._last_s = t_s
        elif t_s > self._last_s:
            self._step(min(_LONGEST_STEP_S, t_s - self._last_s), activity, mouth, cues)
            self._last_s = t_s
        return replace(
            self._controls,
            jaw=mouth.jaw,
            wide=mouth.wide,
            round=mouth.round,
            press=mouth.press,
            tuck=mouth.tuck,
            tongue=mouth.tongue,
        )

    def _begin(self, activity: Activity) -> None:
        seeds = [mixed(self._seed, part) for part in range(6)]
        self._activity = activity
        self._blinks = Blinks(Dice(seeds[0]))
        self._gaze = Gaze(Dice(seeds[1]), activity)
        self._head = Head(Dice(seeds[2]), seeds[3], activity)
        self._breath = Breath(Dice(seeds[4]), activity)
        self._expressions = Expressions(Dice(seeds[5]), activity)

    def _step(self, dt_s: float, activity: Activity, mouth: MouthShape, cues: Cues) -> None:
        self._age_s += dt_s
        now_s = self._age_s
        phrase_ended = cues.phrase_end and not self._before.phrase_end
        paused = cues.user_pause and not self._before.user_pause
        looks = self._gaze.advance(now_s, activity, phrase_ended)
        yaw, pitch, roll = self._head.advance(
            now_s, dt_s, activity, cues, aim=self._gaze.aim, opening=mouth.jaw, paused=paused
        )
        gaze_x = _within(looks[0] - yaw / EYE_YAW_DEG)
        gaze_y = _within(looks[1] + pitch / EYE_PITCH_DEG)
        shut = self._blinks.advance(now_s, activity, self._urge(activity, phrase_ended, paused))
        face = self._expressions.advance(now_s, dt_s, activity, cues)
        lid = _lid(face.lid, gaze_y, shut)
        self._controls = Controls(
            smile=face.smile,
            lid_left=lid,
            lid_right=lid,
            gaze_x=gaze_x,
            gaze_y=gaze_y,
            brow_left=face.brow_left,
            brow_right=face.brow_right,
            furrow=face.furrow,
            worry=face.worry,
            cheek=face.cheek,
            yaw=yaw,
            pitch=pitch,
            roll=roll,
            breath=self._breath.advance(dt_s, activity),
            moment_s=now_s,
            activity=activity,
        )
        self._before, self._activity = cues, activity

    def _urge(self, activity: Activity, phrase_ended: bool, paused: bool) -> float:
        """The chance of a blink now: at the ends of phrases, own or the other's, and with wide looks."""
        urge = 0.0
        if phrase_ended:
            urge = 0.7
        elif paused:
            urge = 0.4
        elif activity != self._activity:
            urge = 0.35
        if self._gaze.leapt > 0.25:
            urge = max(urge, 0.3)
        return urge


def _lid(set_: float, gaze_y: float, shut: float) -> float:
    """Lids follow the eyes down, a little up, and a blink covers what is left open."""
    open_ = max(_WIDEST_LID, set_ + (-0.22 * gaze_y if gaze_y < 0.0 else -0.06 * gaze_y))
    return min(1.0, open_ + (1.0 - open_) * shut)


def _within(value: float) -> float:
    return min(1.0, max(-1.0, value))
