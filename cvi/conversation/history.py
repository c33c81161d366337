"""What has been said, as the language model sees it. Only what was heard is history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cvi.llm.base import Message


def with_notes(messages: Sequence[Message], notes: Iterable[str]) -> tuple[Message, ...]:
    """The messages with notes as system messages right before the turn's words, the last of the others."""
    at = max((index for index, message in enumerate(messages) if message.role != "system"), default=0)
    return (*messages[:at], *(Message("system", note) for note in notes), *messages[at:])


class History:
    """The messages of one conversation, system message first.

    Invariant: after the system message, user and assistant alternate in any order of calls: two
    turns of one side in a row are joined, so that no chat template refuses them. The first message is the
    persona's and never changes. Context is a system message of its own where it arrived, behind an answer and
    before the next turn: everything before it stays as it was, and with it a model's cache of it.
    """

    def __init__(self, system: str, recent_turns: int | None = None, prelude: Sequence[Message] = ()) -> None:
        """`prelude` are exchanges that were never said but show the model how to answer.

        `recent_turns` limits what the model is given: system message, prelude, and the last so many of
        the user's turns with their answers. A small model repeats its own words, so it is given few.
        """
        self._recent_turns = recent_turns
        self._prelude = tuple(prelude)
        self._system = [Message("system", system)] if system else []
        self._messages: list[Message] = list(self._system)
        self._before_user = list(self._messages)

    @property
    def messages(self) -> tuple[Message, ...]:
        """Everything that was said and heard."""
        return tuple(self._messages)

    @property
    def unanswered(self) -> str:
        """The participant's turn that nothing was heard in answer to; "" when there is none."""
        turns, _ = _split(self._messages)
        return turns[-1].content if turns and turns[-1].role == "user" else ""

    @property
    def recent(self) -> tuple[Message, ...]:
        """What the model is given before the user's next turn."""
        return self._window(self._messages)

    def with_user(self, text: str) -> tuple[Message, ...]:
        """What the model would be given if the user's turn were `text`; nothing is changed."""
        joined = self._joined(text)
        return (*self._window(joined[:-1]), joined[-1])

    def recent_with(self, notes: Iterable[str]) -> tuple[Message, ...]:
        """What the model is given before the user's next turn, with what it should know for that turn:
        system messages right before it."""
        return (*self._window(self._messages), *(Message("system", note) for note in notes))

    def add_user(self, text: str) -> None:
        """Add the participant's turn, typed or spoken."""
        self._before_user = list(self._messages)
        self._messages = self._joined(text)

    def _joined(self, text: str) -> list[Message]:
        turns, notes = _split(self._messages)
        if turns and turns[-1].role == "user":
            text = f"{turns.pop().content} {text}"
        return [*turns, *notes, Message("user", text)]

    def _window(self, messages: list[Message]) -> tuple[Message, ...]:
        exchanges = messages[len(self._system) :]
        turns = [index for index, message in enumerate(exchanges) if message.role == "user"]
        if self._recent_turns is not None and len(turns) >= self._recent_turns:
            first = turns[-self._recent_turns] if self._recent_turns else len(exchanges)
            notes = [message for message in exchanges[:first] if message.role == "system"]
            exchanges = [*notes, *exchanges[first:]]
        return (*self._system, *self._prelude, *exchanges)

    def take_back_user(self) -> None:
        """Forget the last user turn: the participant went on before anything of the reply was heard."""
        turns, notes = _split(self._messages)
        if turns and turns[-1].role == "user":
            self._messages = [*self._before_user, *notes]

    def add_heard(self, text: str, interrupted: bool) -> None:
        """Add what the participant heard of a reply; an interrupted one ends in "…". Nothing for ""."""
        if not text:
            return
        heard = text.rstrip(" ,;:") + "…" if interrupted else text
        turns, notes = _split(self._messages)
        if len(turns) == len(self._system):  # the greeting: what was known before it stays before it
            turns, notes = [*turns, *notes], []
        if turns and turns[-1].role == "assistant":
            heard = f"{turns.pop().content} {heard}"
        self._messages = [*turns, Message("assistant", heard), *notes]

    def replace_context(self, text: str) -> None:
        """Drop all context that arrived so far and add this one, "" for none. The persona's message stays."""

        def without_context(messages: list[Message]) -> list[Message]:
            head = len(self._system)
            return [*messages[:head], *(message for message in messages[head:] if message.role != "system")]

        self._messages = without_context(self._messages)
        self._before_user = without_context(self._before_user)
        self.append_context(text)

    def append_context(self, text: str) -> None:
        """Add a system message behind what was said so far, for context that arrives meanwhile."""
        if text.strip():
            self._messages.append(Message("system", text.strip()))


def _split(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """What was said, with the first system message, and the context that arrived after it."""
    end = len(messages)
    while end > 1 and messages[end - 1].role == "system":
        end -= 1
    return list(messages[:end]), list(messages[end:])
