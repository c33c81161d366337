"""What the language model is told of the participant for one turn, in few words: a note and a hint.

The note stands before the turn's words: `<user_appearance>`, `<user_emotions>`, `<user_screenshare>`, or one
`VISUAL_SCENE`. The hint stands behind them and says how to answer, where that matters: a model of one or two
billion parameters takes a note as something to know and leaves it unused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from cvi.perception.fusion import NO_MISMATCH, Mismatch
from cvi.perception.hearing import VoiceSummary, describe_voice
from cvi.perception.screen_watch import ScreenState
from cvi.perception.wording import PLAIN

Form = Literal["tags", "scene"]
MOST_SCREEN_CHARACTERS = 500
LEAST_RATE_S = 2.0
"""Of speech; how fast fewer syllables came tells little of a person, and a note costs the reply time."""
DOUBT = (
    'Their face and voice do not fit these words. Begin your answer with "You {doubt} unsure." '
    'Then ask one short question about it, such as: "Shall I go over it again?"'
)
ASKED_SCREEN = "Their screen says: {lines}. Answer from that, in the order of the screen."
ASKED_SIGHT = "They ask what you see. Answer from this alone: {seen}"
ASKED_UNSEEN = "They ask what you see. Tell them that you can't see them: no camera picture reaches you."
"""Chosen with Qwen2.5-Coder-1.5B on the turns of `scripts/measure_hints`, which measures them again."""

_RATES = ("rushed", "slow")
_ABOUT_SIGHT = re.compile(
    r"\b(see|look|looks|looking|watch|wear|wearing|hold|holding|show|showing|camera|face|smil\w*|picture|light)\b",
    re.IGNORECASE,
)
_ABOUT_SCREEN = re.compile(
    r"\b(screen|read|says?|written|slide|page|document|share|sharing|window|code|text|number)\b",
    re.IGNORECASE,
)
_ASKS_SIGHT = re.compile(
    r"\b(do|can) you see\b|\bsee me\b|\b(do|how) i look\b|\blook at (me|my)\b|\bmy face\b|"
    r"\bam i (wearing|holding|showing|doing|smiling)\b",
    re.IGNORECASE,
)
_ASKS_SCREEN = re.compile(
    r"\b(read|see|look at|tell|what|which)\b.*\b(screen|slide|page|document|window)\b|"
    r"\b(screen|slide|page|document|window)\b.*\b(says?|shows?|reads?)\b",
    re.IGNORECASE,
)


def asks_about_sight(text: str) -> bool:
    """Whether words may be about what the camera shows."""
    return _ABOUT_SIGHT.search(text) is not None


class Briefing:
    """What is known of the participant now, and what of it the model was told already. Event loop only.

    `seen` is how they look, `named` a named expression, `caption` what a vision-language model found in the
    picture, `screen` what they share; `manner`, `voice` and `mismatch` are of the turn under way.
    """

    def __init__(self, form: Form) -> None:
        self._form = form
        self.seen = ""
        self.named = ""
        self.caption = ""
        self.screen = ScreenState(False)
        self.manner: Sequence[str] = ()
        self.voice = VoiceSummary()
        self.mismatch = NO_MISMATCH
        self._told = ("", "")
        self._ended = ("", "")
        """How they looked and what their screen showed when the model was told last; and in this turn."""
        self._asked = False
        """The turn before was answered with a question about how they come across."""

    def turn_began(self) -> None:
        """A voice began: what was told for the turn before is not told again."""
        self._told = self._ended
        self._asked = bool(self.mismatch.doubt) and not self._asked
        self.manner, self.voice, self.mismatch = (), VoiceSummary(), NO_MISMATCH

    def turn_paused(self, manner: Sequence[str], voice: VoiceSummary, mismatch: Mismatch) -> None:
        """How the turn sounded so far."""
        self.manner, self.voice, self.mismatch = manner, voice, mismatch

    def turn_ended(self) -> None:
        """The turn was committed."""
        self._ended = (self.seen, self._shared() or self._told[1])

    def note(self, text: str) -> str:
        """What to know of the participant; "" where there is nothing to tell: they look at the screen and
        speak as always, and nobody asks."""
        seen = self.seen
        if seen in (PLAIN, self._told[0]) and not asks_about_sight(text):
            seen = ""
        elif seen:
            seen = self._looks()
        manner = [each for each in self.manner if each not in _RATES or self.voice.voiced_s >= LEAST_RATE_S]
        heard = " ".join(filter(None, (describe_voice(manner, self.voice), self.mismatch.text)))
        if self._form == "scene":
            scene = " ".join(filter(None, (seen, self.named, heard)))
            return f"USER_SPEECH: {text} VISUAL_SCENE: {scene}" if scene else ""
        shared = self._shared()
        if shared == self._told[1] and not _ABOUT_SCREEN.search(text):
            shared = ""
        tagged = (
            ("user_appearance", seen),
            ("user_emotions", " ".join(filter(None, (self.named, heard)))),
            ("user_screenshare", shared),
        )
        return "\n".join(f"<{tag}>{words}</{tag}>" for tag, words in tagged if words)

    def hint(self, text: str) -> str:
        """To answer from what is seen where they ask for that; to ask back where somebody says that all is
        well and does not look or sound like it, but not twice in a row. Else ""."""
        if self.screen.lines and _ASKS_SCREEN.search(text):
            return ASKED_SCREEN.format(lines=self._lines())
        if _ASKS_SIGHT.search(text):
            return ASKED_SIGHT.format(seen=self._looks()) if self.seen else ASKED_UNSEEN
        doubt = self.mismatch.doubt
        return DOUBT.format(doubt=doubt) if doubt and not self._asked else ""

    def _looks(self) -> str:
        caption = f"In the picture: {self.caption}" if self.caption else ""
        return " ".join(filter(None, (self.seen, self.named, caption)))

    def _shared(self) -> str:
        if not self.screen.shared:
            return ""
        if self.screen.lines is None:
            return "They share their screen."
        text = f"Text on it: {self._lines()}" if self.screen.lines else "There is no text on it."
        return f"They share their screen. {text}"

    def _lines(self) -> str:
        return " / ".join(self.screen.lines or ())[:MOST_SCREEN_CHARACTERS]
