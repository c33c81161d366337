"""Brows, smile, cheeks and lids: emotion, activity, interest in the participant, stress in the persona's own
speech."""

from __future__ import annotations

from dataclasses import dataclass

from cvi.face.base import Activity, Cues
from cvi.face.motion import SeededRandom, Spring


@dataclass(frozen=True, slots=True)
class Expression:
    """Fields of `Controls` that show emotion, in the same units; `lid` is added to both lids: negative is
    wide."""

    smile: float = 0.0
    brow_left: float = 0.0
    brow_right: float = 0.0
    furrow: float = 0.0
    lid: float = 0.0
    worry: float = 0.0
    cheek: float = 0.0


_NEUTRAL = Expression()
_HAPPY = Expression(smile=0.8, brow_left=0.18, brow_right=0.18, lid=0.06, cheek=0.75)
_EXCITED = Expression(smile=1.0, brow_left=0.5, brow_right=0.5, lid=-0.08, cheek=0.6)
_CONTENT = Expression(smile=0.45, brow_left=0.06, brow_right=0.06, lid=0.06, cheek=0.35)
_SAD = Expression(smile=-0.6, brow_left=-0.05, brow_right=-0.05, furrow=0.3, lid=0.18, worry=0.95)
_CONCERNED = Expression(smile=-0.12, brow_left=0.05, brow_right=0.05, furrow=0.4, worry=0.65)
_ANGRY = Expression(smile=-0.4, brow_left=-0.9, brow_right=-0.9, furrow=1.0, lid=0.06, cheek=0.35)
_SURPRISED = Expression(smile=0.05, brow_left=1.0, brow_right=1.0, lid=-0.18)
_SCARED = Expression(smile=-0.3, brow_left=0.6, brow_right=0.6, furrow=0.45, lid=-0.18, worry=0.8)
_DISGUSTED = Expression(smile=-0.45, brow_left=-0.55, brow_right=-0.4, furrow=0.6, lid=0.1, cheek=0.7)
_CONTEMPT = Expression(smile=-0.1, brow_left=0.25, brow_right=-0.1, lid=0.15)
_SERIOUS = Expression(smile=-0.05, brow_left=-0.08, brow_right=-0.08, furrow=0.2)
_CURIOUS = Expression(smile=0.15, brow_left=0.5, brow_right=0.25)

EMOTIONS: dict[str, Expression] = {
    "neutral": _NEUTRAL, "calm": _CONTENT, "content": _CONTENT, "warm": _CONTENT, "friendly": _CONTENT,
    "happy": _HAPPY, "joy": _HAPPY, "amused": _HAPPY, "proud": _HAPPY, "excited": _EXCITED,
    "elated": _EXCITED, "enthusiastic": _EXCITED, "sad": _SAD, "dejected": _SAD, "sorry": _SAD,
    "disappointed": _SAD, "concerned": _CONCERNED, "worried": _CONCERNED, "sympathetic": _CONCERNED,
    "empathetic": _CONCERNED, "serious": _SERIOUS,
    "angry": _ANGRY, "frustrated": _ANGRY, "surprised": _SURPRISED, "amazed": _SURPRISED,
    "scared": _SCARED, "fearful": _SCARED, "anxious": _SCARED, "disgusted": _DISGUSTED,
    "contempt": _CONTEMPT, "skeptical": _CONTEMPT, "curious": _CURIOUS, "interested": _CURIOUS,
    "confused": Expression(brow_left=0.35, brow_right=-0.15, furrow=0.4),
}  # fmt: skip

# Share of the participant's smile that is mirrored, and how much of that the cheeks rise.
_MIRRORED, _CHEEK_OF_MIRRORED = 0.55, 0.6
# The part of a concerned look that answers brows drawn together.
_ANSWERED_FURROW, _ANSWERED_WORRY = 0.2, 0.45

# The same for every activity, so that a mouth at rest moves only with an emotion.
_SMILE = 0.10

_BY_ACTIVITY: dict[Activity, Expression] = {
    "idle": Expression(smile=_SMILE, lid=0.05),
    "listening": Expression(smile=_SMILE, brow_left=0.05, brow_right=0.05, lid=-0.01),
    "thinking": Expression(smile=_SMILE, brow_left=0.20, brow_right=0.08, furrow=0.15, lid=0.06),
    "speaking": Expression(smile=_SMILE, brow_left=0.03, brow_right=0.03, lid=0.02),
}

_RAISE_ABOVE = 0.55
_RAISE_CHANCE = 0.45
_RAISE_REFRACTORY_S = 1.3


class Expressions:
    """The expression at each moment, approached smoothly. The smile has no drift: it settles and is then
    still."""

    def __init__(self, rng: SeededRandom, activity: Activity) -> None:
        self._rng = rng
        start = _BY_ACTIVITY[activity]
        self._smile = Spring(start.smile, 0.25)
        self._left = Spring(start.brow_left, 0.14)
        self._right = Spring(start.brow_right, 0.14)
        self._furrow = Spring(start.furrow, 0.2)
        self._lid = Spring(start.lid, 0.15)
        self._worry = Spring(0.0, 0.2)
        self._cheek = Spring(0.0, 0.22)
        # Slower than the persona's own smile: an answer, not an echo.
        self._mirrored = Spring(0.0, 0.4)
        self._concern = Spring(0.0, 0.4)
        self._raise = Spring(0.0, 0.07)
        self._interest = Spring(0.0, 0.3)
        self._raised_s = -10.0
        self._height = 0.0
        self._stressed = False

    def advance(self, now_s: float, dt_s: float, activity: Activity, cues: Cues) -> Expression:
        """The expression after another `dt_s`; `now_s` is the time of the performance, seconds."""
        emotion = EMOTIONS.get(cues.emotion.strip().lower(), _NEUTRAL)
        level = 0.0 if emotion is _NEUTRAL else min(1.0, max(0.0, cues.emotion_level))
        base = _BY_ACTIVITY[activity]
        raised = self._raise.follow(self._raise_target(now_s, activity, cues), dt_s)
        attentive = activity == "listening" and cues.user_speaking
        interest = self._interest.follow(
            0.06 + 0.12 * min(1.0, max(0.0, cues.user_level)) if attentive else 0.0, dt_s
        )
        up = raised + interest
        left = self._left.follow(base.brow_left + level * emotion.brow_left, dt_s) + up
        right = self._right.follow(base.brow_right + level * emotion.brow_right, dt_s) + 0.9 * up
        smile = self._smile.follow(_limited(base.smile * (1.0 - level) + level * emotion.smile, -1.0), dt_s)
        mirrored = self._mirrored.follow(_MIRRORED * _limited(cues.user_smile, 0.0), dt_s)
        # Added in full to a friendly face and hardly to a grave one.
        mirrored *= min(1.0, max(0.15, 1.0 + 2.0 * smile)) * (1.0 - max(0.0, smile))
        concern = self._concern.follow(_limited(cues.user_concern, 0.0), dt_s) * (1.0 - max(0.0, smile))
        furrow = self._furrow.follow(_limited(base.furrow + level * emotion.furrow, 0.0), dt_s)
        lid = self._lid.follow(base.lid + level * emotion.lid, dt_s)
        worry = self._worry.follow(_limited(base.worry + level * emotion.worry, 0.0), dt_s)
        cheek = self._cheek.follow(_limited(base.cheek + level * emotion.cheek, 0.0), dt_s)
        return Expression(
            smile=_limited(smile + mirrored, -1.0),
            brow_left=_limited(left, -1.0),
            brow_right=_limited(right, -1.0),
            furrow=_limited(furrow + _ANSWERED_FURROW * concern, 0.0),
            lid=lid,
            worry=_limited(worry + _ANSWERED_WORRY * concern, 0.0),
            cheek=_limited(cheek + _CHEEK_OF_MIRRORED * mirrored, 0.0),
        )

    def _raise_target(self, now_s: float, activity: Activity, cues: Cues) -> float:
        """How far the brows are raised now: with some of the stressed words, not with each."""
        stressed = activity == "speaking" and cues.emphasis > _RAISE_ABOVE
        begins = stressed and not self._stressed
        self._stressed = stressed
        if begins and now_s - self._raised_s > _RAISE_REFRACTORY_S and self._rng.chance(_RAISE_CHANCE):
            self._raised_s = now_s
            self._height = self._rng.between(0.22, 0.42)
        return self._height if now_s - self._raised_s < 0.22 else 0.0


def _limited(value: float, low: float) -> float:
    return min(1.0, max(low, value))
