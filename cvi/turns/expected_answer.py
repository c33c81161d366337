"""What the persona asked last, as far as it bears on pauses in the answer.

"Could you spell your name?" is answered with pauses between letters, "What is your address?" with pauses
between groups, "Take your time" with long ones; "Do you like tea?" is answered in a word. English patterns;
in other languages nothing matches and no answer is expected to differ.
"""

from __future__ import annotations

import re
from typing import Literal

Expected = Literal["any", "short", "long"]
"""`long`: an answer with pauses in it; `short`: a word or two."""

_LONG = re.compile(
    r"\b(?:spell|spelling|phone|telephone|e-?mail|address|post ?code|zip|number|digits?|date of birth|serial"
    r"|reference|code|dictate|list|steps?|describe|explain|walk me through|tell me (?:about|more|a|what|how)"
    r"|what happened|take your time|think about|how would you|why|in your own words|story|example)\b"
)
_SHORT = re.compile(
    r"^(?:and |but |so |well |okay |great )*(?:is|are|was|were|do|does|did|can|could|will|would|shall|should"
    r"|may|has|have|had|isn't|aren't|don't|doesn't|won't|which|when|how (?:many|old|much|long|often))\b"
)


def expected_answer(said: str) -> Expected:
    """What kind of answer the persona's last words ask for.

    >>> expected_answer("Nice. Could you spell your name for me?"), expected_answer("Do you like tea?")
    ('long', 'short')
    """
    sentences = re.split(r"(?<=[.!?])\s+", said.strip().lower())
    last = sentences[-1] if sentences else ""
    asks = last.endswith("?")
    invites = asks or "take your time" in last or last.startswith(("tell", "please", "spell"))
    if invites and _LONG.search(last):
        return "long"
    return "short" if asks and _SHORT.match(last) else "any"
