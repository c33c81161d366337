"""What happens in the conversation -> every control but the mouth.

An activity (idle, listening, thinking, speaking) is a target that every channel moves towards, so no change
of activity shows as a jump. The mouth comes from the driver and passes through unchanged; the smile beside it
settles and is then exactly still.
"""

from __future__ import annotations

from dataclasses import asdict, replace

from cvi.face.base import NO_CUES, REST, Activity, Controls, Cues, MouthShape
from cvi.face.expression import Expressions
from cvi.face.motion import SeededRandom, hashed
from cvi.face.movement import Blinks, Breath, Gaze, Head

_LONGEST_STEP_S = 1.0
EYE_YAW_DEG, EYE_PITCH_DEG = 24.0, 19.5
"""How far the eyes turn at a gaze of 1, by which they compensate turns of the head."""
_WIDEST_LID = -0.2


class Behaviour:
    """The performance of one face: the same seed and the same inputs give the same controls, frame by frame.

    ``Behaviour(7).advance(0.04, "idle")`` returns the `Controls` of a frame. Not thread-safe.
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

        When `t_s` repeats or steps back (a frame drawn again), only the mouth changes; when it jumps ahead,
        the performance advances by at most one second.
        """
        if self._last_s is None:
            self._begin(activity)
            self._step(0.0, activity, mouth, cues)
            self._last_s = t_s
        elif t_s > self._last_s:
            self._step(min(_LONGEST_STEP_S, t_s - self._last_s), activity, mouth, cues)
            self._last_s = t_s
        return replace(self._controls, **asdict(mouth))

    def _begin(self, activity: Activity) -> None:
        seeds = [hashed(self._seed, part) for part in range(6)]
        self._activity = activity
        self._blinks = Blinks(SeededRandom(seeds[0]))
        self._gaze = Gaze(SeededRandom(seeds[1]), activity)
        self._head = Head(SeededRandom(seeds[2]), seeds[3], activity)
        self._breath = Breath(SeededRandom(seeds[4]), activity)
        self._expressions = Expressions(SeededRandom(seeds[5]), activity)

    def _step(self, dt_s: float, activity: Activity, mouth: MouthShape, cues: Cues) -> None:
        self._age_s += dt_s
        now_s = self._age_s
        phrase_ended = cues.phrase_end and not self._before.phrase_end
        paused = cues.user_pause and not self._before.user_pause
        point = self._gaze.advance(now_s, activity, phrase_ended)
        yaw, pitch, roll = self._head.advance(
            now_s, dt_s, activity, cues, aim=self._gaze.aim, opening=mouth.jaw, paused=paused
        )
        gaze_x = _limited(point[0] - yaw / EYE_YAW_DEG)
        gaze_y = _limited(point[1] + pitch / EYE_PITCH_DEG)
        shut = self._blinks.advance(now_s, activity, self._urge(activity, phrase_ended, paused))
        expression = self._expressions.advance(now_s, dt_s, activity, cues)
        lid = _lid(expression.lid, gaze_y, shut)
        self._controls = Controls(
            smile=expression.smile,
            lid_left=lid,
            lid_right=lid,
            gaze_x=gaze_x,
            gaze_y=gaze_y,
            brow_left=expression.brow_left,
            brow_right=expression.brow_right,
            furrow=expression.furrow,
            worry=expression.worry,
            cheek=expression.cheek,
            yaw=yaw,
            pitch=pitch,
            roll=roll,
            breath=self._breath.advance(dt_s, activity),
            moment_s=now_s,
            activity=activity,
        )
        self._before, self._activity = cues, activity

    def _urge(self, activity: Activity, phrase_ended: bool, paused: bool) -> float:
        """The probability of a blink now: at the ends of the persona's or the participant's phrases, with
        large saccades."""
        urge = 0.0
        if phrase_ended:
            urge = 0.7
        elif paused:
            urge = 0.4
        elif activity != self._activity:
            urge = 0.35
        if self._gaze.saccade > 0.25:
            urge = max(urge, 0.3)
        return urge


def _lid(offset: float, gaze_y: float, shut: float) -> float:
    """Lids follow the eyes down, and a little up; a blink closes what is left open."""
    open_ = max(_WIDEST_LID, offset + (-0.22 * gaze_y if gaze_y < 0.0 else -0.06 * gaze_y))
    return min(1.0, open_ + (1.0 - open_) * shut)


def _limited(value: float) -> float:
    return min(1.0, max(-1.0, value))
