"""Who said what, read from the journal. Of a reply only what was heard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cvi.conversation.journal import Event


@dataclass(frozen=True, slots=True)
class Line:
    """One turn or reply: when it began and ended, seconds on the conversation's clock; whether it was cut.

    `number` is the turn's or the reply's. What was typed took no time.
    """

    role: Literal["user", "assistant"]
    text: str
    start_s: float
    interrupted: bool = False
    end_s: float = 0.0
    number: int = 0


def transcript(events: Iterable[Event]) -> list[Line]:
    """The lines in order of time; works on a journal that ends in the middle."""
    lines: dict[tuple[str, int], Line] = {}
    began: dict[int, float] = {}
    for event in events:
        data = event.data
        match event.type:
            case "turn_committed":
                start_s, end_s = data["speech_start_s"], data["speech_end_s"]
                lines["user", data["turn"]] = Line("user", data["text"], start_s, False, end_s, data["turn"])
            case "turn_typed":
                lines["user", data["turn"]] = Line(
                    "user", data["text"], event.t, False, event.t, data["turn"]
                )
            case "turn_reopened":
                lines.pop(("user", data["turn"]), None)
            case "reply_first_audio":
                began[data["reply"]] = data["at_s"]
            case "reply_heard" | "reply_finished" | "reply_interrupted":
                text = data["heard"] if event.type == "reply_interrupted" else data["text"]
                if text:
                    start_s = began.get(data["reply"], event.t)
                    cut, end_s = event.type == "reply_interrupted", data.get("silent_s", event.t)
                    number = data["reply"]
                    lines["assistant", number] = Line("assistant", text, start_s, cut, end_s, number)
    return sorted(lines.values(), key=lambda line: line.start_s)
