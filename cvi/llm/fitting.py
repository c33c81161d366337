"""Which messages of a long conversation still fit the model's context."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace

from cvi.llm.base import Message

DROP_MESSAGES = 8
"""Old messages leave this many at a time, because each departure costs the whole KV cache behind the
system prompt: eight at once is four turns without that cost."""


_MOST_CHARACTERS = 16


def fit(
    messages: Sequence[Message], room_tokens: int, tokens_of: Callable[[Sequence[Message]], list[int]]
) -> list[int]:
    """The tokens of as many of `messages` as fit, at most `room_tokens`.

    The system messages and the last message stay; the oldest others go first. If those alone are too
    long, the end of the system prompt and then the beginning of the last message are cut. The same
    messages always give the same answer, so successive prompts of a conversation share their start.
    """
    loose = [i for i, m in enumerate(messages[:-1]) if m.role != "system"]
    drops = [*range(0, len(loose), DROP_MESSAGES), len(loose)]

    def kept_after(drop: int) -> list[Message]:
        gone = set(loose[:drop])
        return [m for i, m in enumerate(messages) if i not in gone]

    def too_long(drop: int) -> bool:
        rest = kept_after(drop)
        # Spares the tokenizer hours of talk: no language spends as many characters on a token.
        if sum(len(m.content) for m in rest) > room_tokens * _MOST_CHARACTERS:
            return True
        return len(tokens_of(rest)) > room_tokens

    if not too_long(0):
        return tokens_of(messages)
    first = bisect_left(drops, True, key=lambda drop: not too_long(drop))
    kept = kept_after(drops[min(first, len(drops) - 1)])
    tokens = tokens_of(kept)
    while len(tokens) > room_tokens:
        shorter = _shorten(kept)
        if shorter == kept:
            break
        kept = shorter
        tokens = tokens_of(kept)
    # The template alone is longer than the room: only its end can prompt a reply.
    return tokens[-room_tokens:]


def _shorten(messages: list[Message]) -> list[Message]:
    """Take an eighth off the longest message: a system prompt loses its end, words their beginning."""
    longest = max(range(len(messages)), key=lambda i: len(messages[i].content))
    message = messages[longest]
    keep = len(message.content) * 7 // 8
    if not keep:
        return [replace(m, content="") for m in messages]
    text = message.content[:keep] if message.role == "system" else message.content[-keep:]
    return [replace(message, content=text) if i == longest else m for i, m in enumerate(messages)]
