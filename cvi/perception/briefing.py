"""What the language model is told of the participant for one turn, in few words: a note and a hint.

The note stands before the turn's words: `<user_appearance>` and `<user_screenshare>`, or one `VISUAL_SCENE`.
It is settled when the words end, so that a model has read note and words by then. The hint stands behind
them: how they were said (`<user_emotions>`), which is known no sooner, and how to answer, where that matters:
a model of one or two billion parameters takes a note as something to know and leaves it unused.
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
        """How they looked and what their screen showed in the last note before this turn; in this one's."""
        self._asked = False
        """The turn before was answered with a question about how they come across."""
        self._note: str | None = None
        """The latest note of this turn."""
        self._paused = False

    def turn_began(self) -> None:
        """A voice began: what was told for the turn before is not told again."""
        self._told = self._ended
        self._note, self._paused = None, False
        self._asked = bool(self.mismatch.doubt) and not self._asked
        self.manner, self.voice, self.mismatch = (), VoiceSummary(), NO_MISMATCH

    def turn_paused(self, manner: Sequence[str], voice: VoiceSummary, mismatch: Mismatch) -> None:
        """How the turn sounded so far. The note stays as it is until speech goes on."""
        self.manner, self.voice, self.mismatch = manner, voice, mismatch
        self._paused = True

    def turn_resumed(self) -> None:
        """The turn goes on."""
        self._paused = False

    def note(self, text: str) -> str:
        """What to know of the participant; "" where there is nothing to tell: they look at the screen, and
        nobody asks. From the turn's pause on it is the one before it."""
        if self._form == "scene":
            self._noted()
            scene = " ".join(filter(None, (self._appearance(text), self.named, self._heard())))
            return f"USER_SPEECH: {text} VISUAL_SCENE: {scene}" if scene else ""
        if self._note is None or not self._paused:
            self._noted()
            self._note = _tagged(
                ("user_appearance", self._appearance(text)), ("user_screenshare", self._screen(text))
            )
        return self._note

    def hint(self, text: str) -> str:
        """How the words were said, and how to answer: from what is seen where they ask for that; by asking
        back where somebody says that all is well and does not look or sound like it, but not twice in a row.
        Else ""."""
        doubt = self.mismatch.doubt
        answer = DOUBT.format(doubt=doubt) if doubt and not self._asked else ""
        asks_screen = bool(self.screen.lines and _ASKS_SCREEN.search(text))
        asks_sight = not asks_screen and _ASKS_SIGHT.search(text) is not None
        said = "" if self._form == "scene" else self._said(text, screen=not asks_screen, sight=not asks_sight)
        if asks_screen:
            answer = ASKED_SCREEN.format(lines=self._lines())
        elif asks_sight:
            answer = ASKED_SIGHT.format(seen=self._looks()) if self.seen else ASKED_UNSEEN
        return "\n".join(filter(None, (said, answer)))

    def _noted(self) -> None:
        self._ended = (self.seen, self._shared() or self._told[1])

    def _said(self, text: str, *, screen: bool, sight: bool) -> str:
        """How the words were said; and, with `screen` and `sight`, what they turned out to be about at their
        end."""
        note = self._note or ""
        sight = sight and asks_about_sight(text) and "<user_appearance>" not in note
        screen = screen and "<user_screenshare>" not in note
        return _tagged(
            ("user_appearance", self._appearance(text) if sight else ""),
            ("user_emotions", " ".join(filter(None, (self.named, self._heard())))),
            ("user_screenshare", self._screen(text) if screen else ""),
        )

    def _appearance(self, text: str) -> str:
        if self.seen in (PLAIN, self._told[0]) and not asks_about_sight(text):
            return ""
        return self._looks() if self.seen else ""

    def _screen(self, text: str) -> str:
        shared = self._shared()
        return "" if shared == self._told[1] and not _ABOUT_SCREEN.search(text) else shared

    def _heard(self) -> str:
        manner = [each for each in self.manner if each not in _RATES or self.voice.voiced_s >= LEAST_RATE_S]
        return " ".join(filter(None, (describe_voice(manner, self.voice), self.mismatch.text)))

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


def _tagged(*parts: tuple[str, str]) -> str:
    return "\n".join(f"<{tag}>{words}</{tag}>" for tag, words in parts if words)
