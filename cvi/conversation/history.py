"""What has been said, as the language model sees it. Only what was heard is history."""

from __future__ import annotations

from cvi.llm.base import Message


class History:
    """The messages of one conversation, system message first.

    Invariant: after the system message, user and assistant alternate in any order of calls: two
    turns of one side in a row are joined, so that no chat template refuses them.
    """

    def __init__(self, system: str) -> None:
        self._messages: list[Message] = [Message("system", system)] if system else []
        self._before_user = list(self._messages)

    @property
    def messages(self) -> tuple[Message, ...]:
        return tuple(self._messages)

    def with_user(self, text: str) -> tuple[Message, ...]:
        """The messages as they would be if the user's turn were `text`; nothing is changed."""
        return (*self._messages[:-1], Message("user", f"{self._messages[-1].content} {text}")) if (
            self._messages and self._messages[-1].role == "user"
        ) else (*self._messages, Message("user", text))

    def add_user(self, text: str) -> None:
        self._before_user = list(self._messages)
        self._messages = list(self.with_user(text))

    def take_back_user(self) -> None:
        """Forget the last user turn: they went on before anything of the reply was heard."""
        if self._messages and self._messages[-1].role == "user":
            self._messages = self._before_user

    def add_heard(self, text: str, interrupted: bool) -> None:
        """What the participant heard of a reply. A reply of which nothing was heard leaves no trace."""
        if not text:
            return
        said = text.rstrip(" ,;:") + "…" if interrupted else text
        if self._messages and self._messages[-1].role == "assistant":
            said = f"{self._messages.pop().content} {said}"
        self._messages.append(Message("assistant", said))

    def append_context(self, text: str) -> None:
        """Add to the system message, for context that arrives during the conversation."""
        system = self._messages[0].content if self._messages and self._messages[0].role == "system" else ""
        rest = self._messages[1:] if system else self._messages
        self._messages = [Message("system", f"{system}\n{text}".strip()), *rest]
