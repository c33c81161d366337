"""When the participant speaks while the persona does: carry on, duck, or yield.

Duration alone cannot tell an interruption from a "mhm" (docs/architecture.md, Turn-taking), so the
words decide where there are any: a command to stop yields at once, a pure backchannel never before
`decide_by_s`, anything else after `yield_after_s` of voice. A voice that is fading away by then is not
yielded to: most signs of listening are over, while who wants the floor speaks on.
"""

from __future__ import annotations

import re
from typing import Literal

from cvi.turns.thresholds import TurnThresholds

Verdict = Literal["carry_on", "duck", "yield"]

_STOP = re.compile(
    r"\b(stop|wait|no no|hold on|hang on|excuse me|one moment|pause|shut up|be quiet|let me|sorry but"
    r"|actually)\b"
)
_BACKCHANNEL_WORDS = frozenset(
    "mhm mm hmm hm mmm uh huh ah oh aha yeah yep yes yup ok okay right sure i see got it good great nice "
    "cool really wow exactly true indeed of course alright totally um".split()
)
_BACKCHANNEL_MAX_WORDS = 3


def is_stop(text: str) -> bool:
    """The participant asks for the floor in so many words."""
    return _STOP.search(_plain(text)) is not None


def is_backchannel(text: str) -> bool:
    """Only a token of listening: "mhm", "yeah right", "i see". Empty text is not one."""
    words = _plain(text).split()
    return 0 < len(words) <= _BACKCHANNEL_MAX_WORDS and all(word in _BACKCHANNEL_WORDS for word in words)


def judge(voice_s: float, text: str, thresholds: TurnThresholds, fallen_db: float = 0.0) -> Verdict:
    """While the overlap lasts: `voice_s` seconds of voice so far, `text` the words so far, perhaps "", and
    how much quieter the voice is now than at its loudest.

    >>> judge(0.2, "stop", TurnThresholds())
    'yield'
    """
    if is_stop(text):
        return "yield"
    listens = is_backchannel(text) or fallen_db > thresholds.fading_db
    patience = thresholds.decide_by_s if listens else thresholds.yield_after_s
    if voice_s >= patience:
        return "yield"
    return "duck" if voice_s >= thresholds.duck_after_s else "carry_on"


def judge_ended(voice_s: float, text: str, thresholds: TurnThresholds) -> Verdict:
    """When the overlapping voice has ended by itself before a verdict: was it a bid for the floor?"""
    if is_stop(text):
        return "yield"
    is_bid = len(_plain(text).split()) >= 2 and not is_backchannel(text)
    return "yield" if is_bid and voice_s >= thresholds.duck_after_s else "carry_on"


def _plain(text: str) -> str:
    return re.sub(r"[^a-z' ]+", " ", text.lower()).strip()
