"""Who said what, read from the journal. Of a reply only what was heard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cvi.conversation.journal import Event


@dataclass(frozen=True, slots=True)
class Line:
    """One turn or reply: when it began, seconds on the conversation's clock, and whether it was cut."""

    role: Literal["user", "assistant"]
    text: str
    start_s: float
    interrupted: bool = False


def transcript(events: Iterable[Event]) -> list[Line]:
    """The lines in order of time; works on a journal that ends in the middle."""
    lines: dict[tuple[str, int], Line] = {}
    began: dict[int, float] = {}
    for event in events:
        data = event.data
        match event.type:
            case "turn_committed":
                lines["user", data["turn"]] = Line("user", data["text"], data["speech_start_s"])
            case "turn_typed":
                lines["user", data["turn"]] = Line("user", data["text"], event.t)
            case "turn_reopened":
                lines.pop(("user", data["turn"]), None)
            case "reply_first_audio":
                began[data["reply"]] = data["at_s"]
            case "reply_heard" | "reply_finished" | "reply_interrupted":
                text = data["heard"] if event.type == "reply_interrupted" else data["text"]
                if text:
                    start_s = began.get(data["reply"], event.t)
                    cut = event.type == "reply_interrupted"
                    lines["assistant", data["reply"]] = Line("assistant", text, start_s, cut)
    return sorted(lines.values(), key=lambda line: line.start_s)
