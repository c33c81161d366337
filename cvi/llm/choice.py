"""Which of a few given answers a local model would begin with, from the probabilities of their tokens.

Works on one context of the model, on the model's thread. A choice costs one decode of what is new in the
prompt, and one more for each token that two likely answers share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cvi.errors import EngineError
from cvi.llm.gguf import Gguf

READ_CHUNK_TOKENS = 32
_NEGLIGIBLE = 0.02


def choose(
    model: Gguf, prompt: Sequence[int], options: Sequence[Sequence[int]], stopped: Callable[[], bool]
) -> list[float]:
    """The probability of each option (its tokens) behind `prompt`, of all options together 1.

    Options that begin alike are told apart where they are likely. Raises EngineError once `stopped` is true.
    """
    odds = np.zeros(len(options))
    _share(model, list(prompt), {i: list(tokens) for i, tokens in enumerate(options)}, 1.0, odds, stopped)
    total = odds.sum()
    return [float(value) for value in (odds / total if total > 0 else odds + 1 / max(len(odds), 1))]


def read(model: Gguf, tokens: Sequence[int], stopped: Callable[[], bool]) -> None:
    """Make the cache hold the tokens. Raises EngineError once `stopped` is true."""
    if not model.evaluate(tokens, stopped, READ_CHUNK_TOKENS):
        raise EngineError("The question to the language model was given up.")


def _share(
    model: Gguf,
    prompt: list[int],
    left: dict[int, list[int]],
    whole: float,
    odds: np.ndarray,
    stopped: Callable[[], bool],
) -> None:
    """Share the probability `whole` among the options that go on with `left` behind `prompt`."""
    read(model, prompt, stopped)
    probabilities = model.probabilities()
    groups: dict[int, dict[int, list[int]]] = {}
    for index, tokens in left.items():
        groups.setdefault(tokens[0] if tokens else -1, {})[index] = tokens[1:]
    share = {token: float(probabilities[token]) if token >= 0 else 0.0 for token in groups}
    if -1 in groups:  # one option is the beginning of others: it ends here
        share[-1] = float(probabilities[model.end_tokens].sum())
    total = sum(share.values()) or 1.0
    for token, group in groups.items():
        part = whole * share[token] / total
        if len(group) == 1 or part < _NEGLIGIBLE:
            for index in group:
                odds[index] = part / len(group)
        else:
            _share(model, [*prompt, token], group, part, odds, stopped)
