"""Messages -> the text a model was trained to read, by the chat template its GGUF carries.

The prompt of a turn grows in one direction: system, history, `<user>` words so far, end of turn,
`<assistant>`. Every text made here is a prefix of the later ones wherever the template allows it,
and that is what keeps the KV cache warm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from cvi.errors import UsageError
from cvi.llm.base import Message

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] }}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""For models that carry no template: the commonest one."""

_MARK = "§WORDS§"


class ChatPrompt:
    """One model's template. Pure: the same messages give the same text.

    `control_texts` are the spellings of the model's control tokens. They are taken out of every
    message, because a participant who types one must not be able to end their own turn.
    """

    def __init__(self, template: str | None, bos: str, eos: str, control_texts: Sequence[str] = ()) -> None:
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

    def unfinished(self, messages: Sequence[Message], words: str) -> str:
        """The prompt that ends inside the user's message, after `words`."""
        return self._around(messages)[0] + self.clean(words)

    def turn_end(self) -> str:
        """What the template writes after a user's words: the end-of-turn token, usually."""
        return self._around(())[1]

    def history(self, messages: Sequence[Message]) -> str:
        """Everything up to where the next user message's words begin."""
        return self._around(messages)[0]

    def clean(self, text: str) -> str:
        """Message text without control tokens or outer blanks."""
        count = 1 if self._control is not None else 0
        while count and self._control is not None:  # what remains may join into another one
            text, count = self._control.subn("", text)
        return text.strip()

    def _around(self, messages: Sequence[Message]) -> tuple[str, str]:
        text = self._render(self._open, [*messages, Message("user", _MARK)])
        before, _, after = text.rpartition(_MARK)
        return before, after

    def _render(self, formatter: Any, messages: Sequence[Message]) -> str:
        cleaned = [Message(m.role, self.clean(m.content)) for m in messages]
        # Templates refuse what their model never saw (a system role, two messages of one role in a
        # row, an assistant who speaks first) by raising; the plainer shapes then say the same.
        shapes: list[Callable[[Sequence[Message]], list[Message]]] = [list, _alternating, _without_system]
        problem: Exception | None = None
        for shape in shapes:
            try:
                wire = [{"role": m.role, "content": m.content} for m in shape(cleaned)]
                text: str = formatter(messages=wire, enable_thinking=False).prompt
            except Exception as error:  # templates raise ValueError, Jinja errors, TypeError
                problem = error
            else:
                return text
        raise UsageError(
            f"The model's chat template fails on this conversation: {problem}.",
            "Use another conversion of this model.",
        )


def _alternating(messages: Sequence[Message]) -> list[Message]:
    """System first, then user and assistant by turns, starting with the user."""
    out: list[Message] = []
    for message in messages:
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
