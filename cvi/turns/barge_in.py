"""When the participant speaks while the persona does: carry on, duck, or yield.

Duration alone cannot tell an interruption from a "mhm" (docs/architecture.md, Turn-taking), so the
words decide where there are any: a command to stop yields at once, a pure backchannel not before
`decide_by_s`, anything else after `yield_after_s` of voice. A voice that is fading by then is not yielded
to either: most backchannels are over at that time, while somebody who interrupts speaks on.
"""

from __future__ import annotations

import re
from typing import Literal

from cvi.turns.thresholds import TurnThresholds

Verdict = Literal["carry_on", "duck", "yield"]
"""What the reply does: goes on, goes on more quietly, or ends."""

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
    """Whether the words ask the persona to stop: "wait", "hold on", "excuse me"."""
    return _STOP.search(_plain(text)) is not None


def is_backchannel(text: str) -> bool:
    """Whether the words only show listening: "mhm", "yeah right", "i see". False for empty text."""
    words = _plain(text).split()
    return 0 < len(words) <= _BACKCHANNEL_MAX_WORDS and all(word in _BACKCHANNEL_WORDS for word in words)


def judge(voice_s: float, text: str, thresholds: TurnThresholds, fallen_db: float = 0.0) -> Verdict:
    """What a reply does while the participant speaks over it.

    `voice_s` is the voice so far in seconds, `text` the words so far, perhaps "", `fallen_db` how much
    quieter the voice is now than at its loudest.

    >>> judge(0.2, "stop", TurnThresholds())
    'yield'
    """
    if is_stop(text):
        return "yield"
    may_be_listening = is_backchannel(text) or fallen_db > thresholds.fading_db
    patience_s = thresholds.decide_by_s if may_be_listening else thresholds.yield_after_s
    if voice_s >= patience_s:
        return "yield"
    return "duck" if voice_s >= thresholds.duck_after_s else "carry_on"


def judge_ended(voice_s: float, text: str, thresholds: TurnThresholds) -> Verdict:
    """What a reply does when the voice over it has ended by itself: "yield" if it was an interruption.

    That is a command to stop, or at least two words that are no backchannel. Arguments as for `judge`.
    """
    if is_stop(text):
        return "yield"
    interrupts = len(_plain(text).split()) >= 2 and not is_backchannel(text)
    return "yield" if interrupts and voice_s >= thresholds.duck_after_s else "carry_on"


def _plain(text: str) -> str:
    return re.sub(r"[^a-z' ]+", " ", text.lower()).strip()
