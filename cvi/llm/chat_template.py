"""From messages to the prompt a model was trained on, by the chat template in its GGUF file.

The prompt of a turn grows in one direction: system, history, `<user>` words so far, end of turn,
`<assistant>`. Wherever the template allows, each prompt is a prefix of the later ones, so that the KV cache
can be reused. `fit` chooses the messages of a long conversation that still fit the model's context.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from cvi.errors import UsageError
from cvi.llm.base import Message

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""For models that carry no template: the commonest one."""

DROP_MESSAGES = 8
"""Old messages are dropped this many at a time, since each change costs the KV cache of all that follows the
system prompt: eight at once are four turns without that cost."""

_WORDS_MARK = "§WORDS§"
_MOST_CHARACTERS_PER_TOKEN = 16


class ChatPrompt:
    """One model's template. Pure: the same messages give the same text.

    `control_texts` are the spellings of the model's control tokens. They are taken out of every
    message, because a participant who types one must not be able to end their own turn.
    """

    def __init__(self, template: str | None, bos: str, eos: str, control_texts: Sequence[str] = ()) -> None:
        """`template` is Jinja, None for `CHATML`. Raises UsageError for one that cannot be parsed."""
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        def make(generate: bool) -> Any:
            return Jinja2ChatFormatter(template or CHATML, eos, bos, add_generation_prompt=generate)

        try:
            self._closed, self._open = make(True), make(False)
        except Exception as error:  # whatever Jinja raises for a template it cannot parse
            raise UsageError(
                f"The model's chat template cannot be read: {error}.", "Use another conversion of this model."
            ) from error
        self._control = re.compile("|".join(map(re.escape, control_texts))) if control_texts else None

    def reply(self, messages: Sequence[Message]) -> str:
        """The prompt after which the model writes the assistant's next message."""
        return self._render(self._closed, messages)

    @cached_property
    def opens_reasoning(self) -> bool:
        """Whether the prompt itself ends in `<think>`, so that the model writes only the closing tag."""
        return self.reply([Message("user", "Hello.")]).rstrip().endswith("<think>")

    def unfinished(self, messages: Sequence[Message], words: str) -> str:
        """The prompt that ends inside the user's message, after `words`."""
        return self._parts_around_words(messages)[0] + self.clean(words)

    def turn_end(self) -> str:
        """What the template puts after a user's words: usually the end-of-turn token."""
        return self._parts_around_words(())[1]

    def history(self, messages: Sequence[Message]) -> str:
        """Everything up to where the next user message's words begin."""
        return self._parts_around_words(messages)[0]

    def clean(self, text: str) -> str:
        """Message text without control tokens or outer blanks."""
        count = 1 if self._control is not None else 0
        while count and self._control is not None:  # what remains may join into another one
            text, count = self._control.subn("", text)
        return text.strip()

    def _parts_around_words(self, messages: Sequence[Message]) -> tuple[str, str]:
        text = self._render(self._open, [*messages, Message("user", _WORDS_MARK)])
        before, _, after = text.rpartition(_WORDS_MARK)
        return before, after

    def _render(self, formatter: Any, messages: Sequence[Message]) -> str:
        cleaned = [Message(m.role, self.clean(m.content)) for m in messages]
        # Templates raise errors for what their model never saw (a system role, two messages of one role in a
        # row, an assistant who speaks first, a system message in the middle) or leave it out; then the same
        # messages are tried in plainer forms.
        notes = [m.content for m in cleaned[1:] if m.role == "system"]
        shapes: list[Callable[[Sequence[Message]], list[Message]]] = [list, _alternating, _without_system]
        problem: Exception | None = None
        for shape in shapes:
            try:
                wire = [{"role": m.role, "content": m.content} for m in shape(cleaned)]
                text: str = formatter(messages=wire, enable_thinking=False).prompt
            except Exception as error:  # templates raise ValueError, Jinja errors, TypeError
                problem = error
                continue
            if shape is not list or all(note in text for note in notes):
                return text
        raise UsageError(
            f"The model's chat template fails on this conversation: {problem}.",
            "Use another conversion of this model.",
        )


def with_notes_folded(messages: Sequence[Message]) -> list[Message]:
    """The messages with each later system message at the head of the user message after it.

    For templates and endpoints that know a system message at the beginning alone. Those at the end go behind
    the last message if that is a user's, and become one otherwise.
    """
    out: list[Message] = []
    notes: list[str] = []
    for index, message in enumerate(messages):
        if message.role == "system" and index > 0:
            notes.append(f"({message.content})")
        elif message.role == "user" and notes:
            out.append(Message("user", "\n".join([*notes, message.content])))
            notes = []
        else:
            out.append(message)
    if notes and out[-1].role == "user":
        notes.insert(0, out.pop().content)
    return [*out, Message("user", "\n".join(notes))] if notes else out


def _alternating(messages: Sequence[Message]) -> list[Message]:
    """System first, then user and assistant by turns, starting with the user."""
    out: list[Message] = []
    for message in with_notes_folded(messages):
        role = "user" if message.role == "tool" else message.role
        if role == "assistant" and (not out or out[-1].role == "system"):
            out.append(Message("user", "Hello."))
        if out and out[-1].role == role:
            message = Message(role, f"{out.pop().content}\n{message.content}")
        out.append(Message(role, message.content))
    return out


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """The same with the system prompt at the head of the first user message."""
    turns = _alternating(messages)
    if len(turns) > 1 and turns[0].role == "system":
        turns[:2] = [Message("user", f"{turns[0].content}\n\n{turns[1].content}")]
    elif turns and turns[0].role == "system":
        turns[0] = Message("user", turns[0].content)
    return turns


def fit(
    messages: Sequence[Message], room_tokens: int, tokens_of: Callable[[Sequence[Message]], list[int]]
) -> list[int]:
    """The tokens of as many of `messages` as fit, at most `room_tokens`.

    The system messages and the last of the others stay; the oldest others go first. If those alone are too
    long, the end of the system prompt and then the beginning of the last message are cut. The same
    messages always give the same answer, so successive prompts of a conversation share their start.
    """
    loose = [i for i, m in enumerate(messages) if m.role != "system"][:-1]
    drops = [*range(0, len(loose), DROP_MESSAGES), len(loose)]

    def without(drop: int) -> list[Message]:
        dropped = set(loose[:drop])
        return [m for i, m in enumerate(messages) if i not in dropped]

    def too_long(drop: int) -> bool:
        rest = without(drop)
        # Not worth tokenizing: no language has as many characters in a token.
        if sum(len(m.content) for m in rest) > room_tokens * _MOST_CHARACTERS_PER_TOKEN:
            return True
        return len(tokens_of(rest)) > room_tokens

    if not too_long(0):
        return tokens_of(messages)
    first = bisect_left(drops, True, key=lambda drop: not too_long(drop))
    rest = without(drops[min(first, len(drops) - 1)])
    tokens = tokens_of(rest)
    while len(tokens) > room_tokens:
        shorter = _shorten(rest)
        if shorter == rest:
            break
        rest = shorter
        tokens = tokens_of(rest)
    # Where the template alone is too long, its end is what prompts a reply.
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
