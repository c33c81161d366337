"""A conversation that goes on after its process was lost: what its journal tells of the part before.

>>> past = Past(list(read_journal(path)), resumed_at_s)
>>> conversation = Conversation(settings, engines, render, transport, journal, clock, past=past)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cvi.conversation.events import (
    ContextAppended,
    ContextReplaced,
    Event,
    ReplyFinished,
    ReplyHeard,
    ReplyInterrupted,
    SensitivityChanged,
    TurnCommitted,
    TurnReopened,
    TurnTyped,
)
from cvi.conversation.history import History
from cvi.turns.thresholds import Level


@dataclass(frozen=True, slots=True)
class Past:
    """What a journal holds of a conversation; `resumed_at_s`: when it goes on, on its own clock."""

    events: Sequence[Event]
    resumed_at_s: float

    @property
    def turns(self) -> int:
        """The highest number that a turn had."""
        return self._highest("turn")

    @property
    def replies(self) -> int:
        """The highest number that a reply had."""
        return self._highest("reply")

    @property
    def greeted(self) -> bool:
        """Whether the participant heard anything, or said something."""
        kinds = ReplyHeard | ReplyFinished | TurnCommitted | TurnTyped
        return any(isinstance(event, kinds) for event in self.events)

    @property
    def sensitivity(self) -> tuple[Level, Level] | None:
        """Patience and interruptibility as an application set them last; None where it never did."""
        found = [event for event in self.events if isinstance(event, SensitivityChanged)]
        return (found[-1].patience, found[-1].interruptibility) if found else None

    def tell(self, history: History) -> None:
        """Put what was said and heard, and the context that arrived, into a history that holds neither.

        What was being said when the process was lost counts as far as the journal knows that it was heard.
        """
        heard: dict[int, str] = {}
        for event in self.events:
            match event:
                case TurnCommitted() | TurnTyped():
                    _cut_off(history, heard)
                    history.add_user(event.text)
                case TurnReopened():
                    history.take_back_user()
                case ReplyHeard():
                    heard[event.reply] = event.text
                case ReplyFinished():
                    heard.pop(event.reply, None)
                    history.add_heard(event.text, interrupted=False)
                case ReplyInterrupted():
                    heard.pop(event.reply, None)
                    history.add_heard(event.heard, interrupted=True)
                case ContextReplaced():
                    history.replace_context(event.text)
                case ContextAppended():
                    history.append_context(event.text)
        _cut_off(history, heard)

    def _highest(self, field: str) -> int:
        numbers = [getattr(event, field, None) for event in self.events]
        return max((number for number in numbers if isinstance(number, int)), default=0)


def _cut_off(history: History, heard: dict[int, str]) -> None:
    for text in heard.values():
        history.add_heard(text, interrupted=True)
    heard.clear()
