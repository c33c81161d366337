"""Who said what, read from the journal. Of a reply only what was heard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cvi.conversation.events import (
    Event,
    ReplyFinished,
    ReplyFirstAudio,
    ReplyHeard,
    ReplyInterrupted,
    TurnCommitted,
    TurnReopened,
    TurnTyped,
    TurnUnanswered,
)


@dataclass(frozen=True, slots=True)
class TranscriptEntry:
    """One turn or reply: when it began and ended, seconds on the conversation's clock; whether it was cut.

    `number` is the turn's or the reply's. What was typed took no time.
    """

    role: Literal["user", "assistant"]
    text: str
    start_s: float
    interrupted: bool = False
    end_s: float = 0.0
    number: int = 0


def transcript(events: Iterable[Event]) -> list[TranscriptEntry]:
    """The lines in order of time; works on a journal that ends in the middle."""
    lines: dict[tuple[str, int], TranscriptEntry] = {}
    began: dict[int, float] = {}

    def user(turn: int, text: str, start_s: float, end_s: float) -> None:
        lines["user", turn] = TranscriptEntry("user", text, start_s, False, end_s, turn)

    def assistant(reply: int, text: str, known_s: float, end_s: float, *, interrupted: bool = False) -> None:
        if text:
            start_s = began.get(reply, known_s)
            lines["assistant", reply] = TranscriptEntry("assistant", text, start_s, interrupted, end_s, reply)

    for event in events:
        match event:
            case TurnCommitted():
                user(event.turn, event.text, event.speech_start_s, event.speech_end_s)
            case TurnUnanswered():
                user(event.turn, event.text, event.speech_start_s, event.speech_end_s)
            case TurnTyped():
                user(event.turn, event.text, event.t, event.t)
            case TurnReopened():
                lines.pop(("user", event.turn), None)
            case ReplyFirstAudio():
                began[event.reply] = event.at_s
            case ReplyHeard() | ReplyFinished():
                assistant(event.reply, event.text, event.t, event.t)
            case ReplyInterrupted():
                end_s = event.t if event.silent_s is None else event.silent_s
                assistant(event.reply, event.heard, event.t, end_s, interrupted=True)
    return sorted(lines.values(), key=lambda line: line.start_s)
