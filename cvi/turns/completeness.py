"""How likely a turn is over: the text's probability and the voice's, blended into one."""

from __future__ import annotations

import math

# Log-odds that the turn is over = WORDS * those of the words + VOICE * those of the voice + OFFSET.
# Not fitted but chosen: on the 52 labelled silences of 15 clips of read speech (ten-vad's test set) with the
# embedded recognizer, `cvi bench turns FOLDER --fit` finds no gain in Smart Turn v3.2 (log loss on unseen
# recordings 0.591 with it, 0.562 without). Read speech is not what it was made for; on eot-bench's real
# calls it is published to cut off 35 % where silence alone cuts off 56 %. So it has a small weight.
WORDS_WEIGHT = 1.0
VOICE_WEIGHT = 0.3
OFFSET = 0.0
# Neither probability may be so extreme that the other does not count.
_MAX_PROBABILITY = 0.98


def blend(words: float, voice: float | None) -> float:
    """The probability, 0 to 1, that a turn is over, from that of its `words` and that of its `voice`.

    `voice` is the turn model's, None without one; then `words` is returned as it is.

    >>> blend(0.9, None)
    0.9
    >>> blend(0.5, 0.1) < 0.5 < blend(0.5, 0.95)
    True
    """
    if voice is None:
        return words
    odds = WORDS_WEIGHT * log_odds(words) + VOICE_WEIGHT * log_odds(voice) + OFFSET
    return 1.0 / (1.0 + math.exp(-odds))


def log_odds(probability: float) -> float:
    """The log-odds of a probability, which is clipped to 0.02 to 0.98."""
    p = min(max(probability, 1.0 - _MAX_PROBABILITY), _MAX_PROBABILITY)
    return math.log(p / (1.0 - p))
