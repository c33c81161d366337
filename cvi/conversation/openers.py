"""Neutral openers: "Hmm," or "Well," is heard at once where the reply's own first words are long in coming.

An opener is no part of the reply's text and claims nothing. Its sound is made once for each voice. Openers
forced into the model's own text steered a small model into refusals, so they stay outside it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from cvi.conversation.phrases import phrases
from cvi.errors import EngineError
from cvi.tts.base import Speech, TtsEngine

LEAST_WAIT_S = 0.5
"""A shorter wait, from the end of the participant's speech to the reply's own words, has no opener."""
HEARD_AFTER_S = 0.03
"""A reply's first sound waits for the next frame: at the median so long, at 25 frames a second."""
MOST_DELAY_S = 0.25
"""An opener ends at most so long after the moment for which the reply's own words are predicted."""
GOES_ON_AFTER_S = 0.2
"""Where the reply's own words are not written so long after the end of an opener, another one follows it."""
AMONG_REPLIES, MOST_AMONG = 5, 2
"""At most so many of so many replies in a row have one."""
_RECENT_WAITS = 7
_UNLIKE_LATEST = 2
"""An opener differs from so many before it, if there is another."""
_ASKS_YES_OR_NO = re.compile(
    r"(?:and |but |so |well )?(?:is|are|was|were|am|do|does|did|can|could|will|would|shall|should|may|might|"
    r"has|have|had|isn't|aren't|wasn't|don't|doesn't|didn't|can't|couldn't|won't|wouldn't|shouldn't|haven't|"
    r"hasn't)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Opener:
    """Words and their sound; `like_yes` if they would sound like an answer to a question of yes or no."""

    text: str
    speech: Speech
    like_yes: bool = False

    @property
    def is_sentence(self) -> bool:
        """Whether it is a sentence, as "Let me think.", and not the beginning of one, as "Well,"."""
        return self.text.endswith(".")


async def make_openers(voice: TtsEngine, language: str) -> tuple[Opener, ...]:
    """The openers of `language` in this voice; none for a language without, or where the voice fails."""
    stock, made = phrases(language), list[Opener]()
    try:
        for text in stock.openers:
            pieces = [piece async for piece in voice.speak(text)]
            if len(pieces) == 1:
                made.append(Opener(text, pieces[0], text in stock.like_yes))
    except EngineError:
        return ()
    return tuple(made)


class OpenerPolicy:
    """Decides before each answer whether it begins with an opener, and predicts how long it is waited for."""

    def __init__(self, openers: Sequence[Opener], first_wait_s: float | None = None) -> None:
        """`first_wait_s` is how long a reply took at warm-up from its start to its first sound."""
        self._openers = tuple(openers)
        self._first_wait_s = first_wait_s
        self._waits: deque[float] = deque(maxlen=_RECENT_WAITS)
        self._used: deque[bool] = deque(maxlen=AMONG_REPLIES - 1)
        self._texts: deque[str] = deque(maxlen=_UNLIKE_LATEST)

    def note(self, wait_s: float) -> None:
        """A reply took so long from its start to its first own sound."""
        self._waits.append(wait_s)

    def predicted_s(self, age_s: float) -> float:
        """How much longer a reply that was started `age_s` ago will take until it is heard; 0 if unknown."""
        usual_s = median(self._waits) if self._waits else self._first_wait_s
        return 0.0 if usual_s is None else max(usual_s + HEARD_AFTER_S - age_s, 0.0)

    def choose(self, question: str, waited_s: float, left_s: float) -> Opener | None:
        """The opener of the answer to `question`, if it is to have one. Called once for each answer.

        The participant has waited `waited_s` seconds since the end of their speech, and the reply's own words
        are predicted in `left_s`.
        """
        allowed = (
            waited_s + left_s > LEAST_WAIT_S
            and not (self._used and self._used[-1])
            and sum(self._used) < MOST_AMONG
        )
        opener = self._nearest(question, left_s) if allowed else None
        self._used.append(opener is not None)
        return opener

    def follow_up(self, opener: Opener) -> Opener | None:
        """What may follow `opener` where the reply's own words are late: "Let me think." after "Well,"."""
        others = (each for each in self._openers if each.is_sentence != opener.is_sentence)
        return next((each for each in others if not each.like_yes), None)

    def _nearest(self, question: str, left_s: float) -> Opener | None:
        """The opener that lasts about `left_s` seconds and was not heard lately."""
        last_sentence = re.split(r"[.!?]\s+", question.strip())[-1]
        yes_or_no = _ASKS_YES_OR_NO.match(last_sentence) is not None
        fitting = [
            opener
            for opener in self._openers
            if opener.speech.duration_s <= left_s + MOST_DELAY_S and not (yes_or_no and opener.like_yes)
        ]
        if not fitting:
            return None
        nearest = min(
            fitting, key=lambda each: (each.text in self._texts, abs(each.speech.duration_s - left_s))
        )
        self._texts.append(nearest.text)
        return nearest
