"""Whether a turn is complete, judged from its words alone.

Used where a language model's `completeness` is None. English; in other languages nothing matches, and the
answer stays near the middle, so that silence decides.
"""

from __future__ import annotations

import re

# A turn that stops on one of these goes on.
_OPEN = frozenset(
    # articles, possessives, determiners
    "a an the my your his her its our their every some any no each another "
    # conjunctions
    "and or but because so if when while although unless until than whether since as nor "
    # prepositions that seldom end a sentence
    "of to from with without between about into onto at by for during against among through toward "
    "towards before after near under behind beside despite like "
    # auxiliaries and pronoun openings
    "is are was were am be been being has have had will would could should can may might must do does did "
    "i'm i've i'd i'll you're we're they're he's she's it's that's there's what's who's let's "
    "i we they he she who which whose where why how "
    # degree words that want another
    "very really quite too such more most less just also even only kind sort never nearest other rather "
    # fillers
    "um uh er erm hmm well actually basically".split()
)
# Complete although the last word is in the list above: "yes i do", "i think so", "what is it about".
_CLOSED = re.compile(
    r"^(?:(?:yes|no|yeah|sure|and|but|so) )*(?:i|you|we|they|he|she|it|that|there) "
    r"(?:do|does|did|can|could|will|would|should|am|are|is|was|were|have|has|had|might|must|may)$"
    r"|\b(?:think|hope|guess|believe|suppose|said|told me|or) so$|\b(?:not really|as well|quite well)$"
    r"|^(?:and |so |but )?(?:what|who|where)\b.* (?:about|for|with|from|like|at)$"
    r"|\b(?:no more|any more|once more|excuse me|tell me more|i know (?:how|why|who))$"
    r"|\b(?:what|who|where|how) (?:is|are) (?:that|they|he|she|we)$"
    r"|\b(?:like|do|see|mean|want|about|for|with|understand|know|is) that$"
)
# "what time do you", "could we": the verb is still to come.
_HANGING = re.compile(r"\b(?:do|does|did|can|could|would|will|should|may|must) (?:i|you|we|they|he|she|it)$")
# One or two words that are a whole turn.
_WHOLE = frozenset(
    "yes yeah yep no nope ok okay sure right exactly please thanks hello hi hey bye goodbye stop wait why "
    "how what who where when really maybe perhaps never always correct fine great good cool nothing".split()
)
_WHOLE_PHRASES = re.compile(
    r"^(?:yes please|no thanks|no thank you|thank you(?: very much| so much)?|go (?:on|ahead)"
    r"|tell me more|not really|of course|good (?:morning|evening|afternoon|night|bye)|hold on|i see|i know"
    r"|i agree|never mind|why not|sounds good|that's (?:all|it|right|fine|great)"
    r"|what about you|how about you|excuse me|i don't know)$"
)
_QUESTION = re.compile(
    r"^(?:(?:and|so|but|well|okay|ok|please|hi|hello|um|uh)\s+)*"
    r"(?:what|who|whom|whose|where|when|why|how|which|is|are|was|were|am|do|does|did|can|could|would|will|should|may"
    r"|have|has|isn't|aren't|don't|doesn't|didn't|can't|couldn't|wouldn't|won't|what's|who's|where's|how's)\b"
)

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def text_completeness(text: str) -> float:
    """How complete the turn `text` is, 0 to 1; 0 for "".

    0.05 to 0.15 when the last word demands another, about 0.5 to 0.9 otherwise: higher for whole
    short turns, questions and longer sentences, lower for fragments. Case is ignored, and so is
    punctuation, except for a comma, a dash or dots that trail off.

    >>> text_completeness("could you tell me about the") < 0.2 < text_completeness("could you tell me")
    True
    """
    words = [match.group().lower().replace("’", "'") for match in _WORD.finditer(text)]
    if not words:
        return 0.0
    line = " ".join(words)
    if text.rstrip().endswith((",", "-", "–", "—", "...", "…")):
        return 0.1
    if _WHOLE_PHRASES.match(line) or (len(words) == 1 and words[0] in _WHOLE):
        return 0.85
    if _HANGING.search(line):
        return 0.1
    if words[-1] in _OPEN and not _CLOSED.search(line):
        return 0.05 if len(words) > 1 else 0.15
    if len(words) >= 2 and words[-1] == words[-2]:
        return 0.3
    question = bool(_QUESTION.match(line))
    score = 0.5 + 0.05 * min(len(words), 6)
    if question:
        score += 0.1 if len(words) >= 4 else -0.15
    return min(score, 0.9)
