"""What happens in the conversation -> every control but the mouth: eyes, head, breath and expression.

An activity (idle, listening, thinking, speaking) is a target that every channel moves towards, so no change
of activity shows as a jump. The mouth comes from the driver and passes through unchanged; the smile beside it
settles and is then exactly still.

Rates and times are those of people in conversation: 12 to 20 blinks a minute, most of them at the ends of
phrases, lids closing faster than they open; saccades of 20 to 80 ms, longer for a larger angle; gaze that
stays with the viewer while listening and turns away while thinking. Each channel is stepped once a frame by
`advance`, with `now_s` and `dt_s` in seconds of the performance.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from math import cos, hypot, pi

from cvi.face.base import NO_CUES, REST, Activity, Controls, Cues, MouthShape
from cvi.face.expression import Expressions
from cvi.face.motion import SeededRandom, Spring, drift, ease, hashed, minimum_jerk

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
        self._blinks = BlinkBehaviour(SeededRandom(seeds[0]))
        self._gaze = GazeBehaviour(SeededRandom(seeds[1]), activity)
        self._head = Head(SeededRandom(seeds[2]), seeds[3], activity)
        self._breath = Breath(SeededRandom(seeds[4]), activity)
        self._expressions = Expressions(SeededRandom(seeds[5]), activity)

    def _step(self, dt_s: float, activity: Activity, mouth: MouthShape, cues: Cues) -> None:
        self._age_s += dt_s
        now_s = self._age_s
        phrase_ended = cues.phrase_end and not self._before.phrase_end
        nodded = cues.user_nod and not self._before.user_nod
        paused = nodded or (cues.user_pause and not self._before.user_pause)
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


# Spontaneous blinks; those at the ends of phrases come on top.
_BLINKS_A_MIN: dict[Activity, float] = {"idle": 15.0, "listening": 13.0, "thinking": 13.0, "speaking": 13.5}
_MOST_BLINKS_A_MINUTE = 20.0
_REFRACTORY_S = 0.9

# Chance that the next saccade goes to the viewer, and how long the gaze rests there and elsewhere, seconds.
_CONTACT: dict[Activity, float] = {"idle": 0.75, "listening": 0.9, "thinking": 0.2, "speaking": 0.72}
_REST_ON_VIEWER_S: dict[Activity, tuple[float, float]] = {
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


class BlinkBehaviour:
    """When the eyes blink, and how far the lids are shut at each moment."""

    def __init__(self, rng: SeededRandom) -> None:
        self._rng = rng
        self._start_s = -10.0
        self._close_s = self._hold_s = self._open_s = 0.1
        self._next_s = rng.between(0.8, 3.5)
        # A leaky count of the last blinks, in blinks a minute, which limits the blinks that cues may add.
        self._recent = 14.0
        self._counted_s = 0.0

    def advance(self, now_s: float, activity: Activity, urge: float) -> float:
        """How far the lids are shut, 0..1. `urge`: the probability, 0..1, that an event at this frame starts
        a blink."""
        self._recent *= 2.0 ** ((self._counted_s - now_s) / 20.0)
        self._counted_s = now_s
        recovered = now_s - self._start_s > _REFRACTORY_S
        allowed = min(1.0, max(0.0, (_MOST_BLINKS_A_MINUTE - self._recent) / 6.0))
        called = urge > 0.0 and recovered and self._rng.chance(urge * allowed)
        if called or now_s >= self._next_s:
            self._begin(now_s, activity)
        return self._shut(now_s - self._start_s)

    def _begin(self, now_s: float, activity: Activity) -> None:
        rng = self._rng
        self._start_s = now_s
        self._close_s = rng.between(0.065, 0.085)
        self._hold_s = rng.between(0.020, 0.045)
        self._open_s = rng.between(0.100, 0.160)
        # One blink in a half-life of 20 s: with a steady rate r the count settles at r.
        self._recent += 60.0 / 20.0 * 0.693
        if rng.chance(0.05):
            self._next_s = now_s + rng.between(0.40, 0.55)
        else:
            self._next_s = now_s + 60.0 / _BLINKS_A_MIN[activity] * 2.0 ** rng.between(-0.9, 0.9)

    def _shut(self, since_s: float) -> float:
        if since_s <= self._close_s:
            return ease(since_s / self._close_s)
        return 1.0 - ease((since_s - self._close_s - self._hold_s) / self._open_s)


class GazeBehaviour:
    """The point looked at, in units of `Controls.gaze_x` and `gaze_y`; (0, 0) is the viewer's eyes."""

    def __init__(self, rng: SeededRandom, activity: Activity) -> None:
        self._rng = rng
        self._activity = activity
        self._from = self._to = (0.0, 0.0)
        self._start_s = 0.0
        self._length_s = 0.02
        self._next_s = rng.between(0.5, 1.5)
        self._side = rng.sign()
        self._pending_contact: bool | None = None
        self.saccade = 0.0
        """Size of the saccade that began at the last step; 0 if none began."""

    @property
    def aim(self) -> tuple[float, float]:
        """The end point of the current saccade, or of the last one."""
        return self._to

    def advance(self, now_s: float, activity: Activity, phrase_ended: bool) -> tuple[float, float]:
        """The point looked at now."""
        if activity != self._activity:
            self._activity = activity
            self._next_s = min(self._next_s, now_s + self._rng.between(0.06, 0.22))
            # Thinking starts by looking away, every other activity by looking at the viewer.
            self._pending_contact = activity != "thinking"
        elif phrase_ended and self._away:
            self._next_s = min(self._next_s, now_s + 0.1)
            self._pending_contact = True
        self.saccade = 0.0
        if now_s >= self._next_s:
            self._begin_saccade(now_s)
        return self._at(now_s)

    def _at(self, now_s: float) -> tuple[float, float]:
        x = minimum_jerk((now_s - self._start_s) / self._length_s)
        return (
            self._from[0] + x * (self._to[0] - self._from[0]),
            self._from[1] + x * (self._to[1] - self._from[1]),
        )

    @property
    def _away(self) -> bool:
        return abs(self._to[0]) > 0.08 or abs(self._to[1]) > 0.08

    def _begin_saccade(self, now_s: float) -> None:
        rng = self._rng
        contact = self._pending_contact
        if contact is None:
            # Speakers and listeners return to the viewer after each look away.
            returns = self._away and self._activity != "thinking"
            contact = rng.chance(_CONTACT[self._activity]) or returns
        self._pending_contact = None
        self._from = self._at(now_s)
        self._to = (rng.between(-0.03, 0.03), rng.between(-0.02, 0.02)) if contact else self._elsewhere()
        pause_s = (_REST_ON_VIEWER_S if contact else _REST_AWAY_S)[self._activity]
        self.saccade = max(abs(self._to[0] - self._from[0]), abs(self._to[1] - self._from[1]))
        self._start_s = now_s
        self._length_s = min(0.080, 0.020 + 0.09 * self.saccade)
        self._next_s = now_s + self._length_s + rng.between(*pause_s)

    def _elsewhere(self) -> tuple[float, float]:
        rng = self._rng
        if rng.chance(0.25):
            self._side = -self._side
        if self._activity == "thinking":
            return (self._side * rng.between(0.28, 0.52), rng.between(0.12, 0.38))
        if self._activity == "listening":
            return (self._side * rng.between(0.12, 0.25), rng.between(-0.12, 0.05))
        return (self._side * rng.between(0.18, 0.42), rng.between(-0.18, 0.15))


_RESTLESSNESS: dict[Activity, float] = {"idle": 0.9, "listening": 0.7, "thinking": 0.7, "speaking": 1.1}
_PITCH_DEG: dict[Activity, float] = {"idle": 0.0, "listening": 0.8, "thinking": -1.6, "speaking": 0.0}
_TILT_DEG: dict[Activity, float] = {"idle": 0.3, "listening": 1.8, "thinking": 1.2, "speaking": 0.2}
_BREATHS_HZ: dict[Activity, float] = {"idle": 0.24, "listening": 0.25, "thinking": 0.23, "speaking": 0.20}
_FASTEST_DEG_S = 24.0
"""Of yaw, pitch and roll together. Beyond it a face moves by more than 2 % of its width between frames at 25
fps."""
_NOD_CHANCE = 0.65
_NOD_REFRACTORY_S = 2.2


class Nods:
    """Nods at the participant's pauses: one dip or two, the second one smaller."""

    def __init__(self, rng: SeededRandom) -> None:
        self._rng = rng
        self._start_s = -10.0
        self._depth_deg = 0.0
        self._dip_s = 0.5
        self._dips = 0

    def advance(self, now_s: float, invited: bool) -> float:
        """Pitch in degrees, down is positive. `invited`: a pause began at this frame."""
        rng = self._rng
        if invited and now_s - self._start_s > _NOD_REFRACTORY_S and rng.chance(_NOD_CHANCE):
            # A listener needs 80 to 220 ms to hear that it is a pause.
            self._start_s = now_s + rng.between(0.08, 0.22)
            self._depth_deg = rng.between(2.2, 4.2)
            self._dip_s = rng.between(0.48, 0.64)
            self._dips = 2 if rng.chance(0.45) else 1
        dip, part = divmod((now_s - self._start_s) / self._dip_s, 1.0)
        if not 0 <= dip < self._dips:
            return 0.0
        return self._depth_deg * (0.5 if dip == 0 else 0.28) * (1.0 - cos(2.0 * pi * part))


class Breath:
    """The breath, in for two fifths of its cycle. Its rate depends on the activity; its phase is
    continuous."""

    def __init__(self, rng: SeededRandom, activity: Activity) -> None:
        self._phase = rng.random()
        self._pace = Spring(_BREATHS_HZ[activity], 0.5)

    def advance(self, dt_s: float, activity: Activity) -> float:
        """`Controls.breath` after another `dt_s`."""
        self._phase = (self._phase + dt_s * self._pace.follow(_BREATHS_HZ[activity], dt_s)) % 1.0
        return ease(self._phase / 0.4) if self._phase < 0.4 else 1.0 - ease((self._phase - 0.4) / 0.6)


class Head:
    """The pose of the head. Yaw, pitch and roll stay within about 9, 7 and 4 degrees."""

    def __init__(self, rng: SeededRandom, seed: int, activity: Activity) -> None:
        self._seed = seed
        self._nods = Nods(rng)
        self._side = rng.sign()
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
        """Yaw, pitch and roll, degrees, as in `Controls`.

        `aim`: `GazeBehaviour.aim`, towards which the head turns part of the way; `opening`: the persona's own
        jaw, 0..1; `paused`: a pause of the participant began at this frame.
        """
        restlessness = self._restless.follow(_RESTLESSNESS[activity], dt_s)
        talk = self._talk.follow(opening, dt_s)
        beat = self._beat.follow(min(1.0, max(0.0, cues.emphasis)), dt_s)
        nod = self._nods.advance(now_s, paused and activity == "listening")
        noise = [self._wander(channel, now_s) for channel in range(3)]
        sway = talk * drift(self._seed + 4, now_s, 1.1)
        yaw = restlessness * 1.9 * noise[0] + 3.0 * sway + self._turn.follow(5.0 * aim[0], dt_s)
        pitch = (
            restlessness * 1.1 * noise[1] + 1.7 * beat + nod
            + self._posture.follow(_PITCH_DEG[activity], dt_s)
            + self._lift.follow(-2.5 * aim[1], dt_s)
        )  # fmt: skip
        roll = restlessness * 0.9 * noise[2] + 0.8 * sway
        roll += self._tilt.follow(self._side * _TILT_DEG[activity], dt_s)
        self._shown = _towards(self._shown or (yaw, pitch, roll), (yaw, pitch, roll), _FASTEST_DEG_S * dt_s)
        return self._shown

    def _wander(self, channel: int, now_s: float) -> float:
        slow = drift(self._seed + channel, now_s, (0.23, 0.19, 0.17)[channel])
        return slow + 0.35 * drift(self._seed + channel + 8, now_s, 0.6)


def _towards(
    start: tuple[float, float, float], goal: tuple[float, float, float], most: float
) -> tuple[float, float, float]:
    """The goal, or the point at distance `most` on the line to it."""
    step = [b - a for a, b in zip(start, goal, strict=True)]
    length = hypot(*step)
    if length <= most:
        return goal
    yaw, pitch, roll = (a + most / length * along for a, along in zip(start, step, strict=True))
    return (yaw, pitch, roll)
