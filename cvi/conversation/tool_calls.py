"""Which tools were called, read from the journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from cvi.conversation.events import Event, ToolCalled, ToolCancelled, ToolFailed, ToolResolved


@dataclass(frozen=True, slots=True)
class ToolCallEntry:
    """One call: when it began, seconds on the conversation's clock; what came of it, and after how long.

    `state` is `open` where the journal ends before its answer.
    """

    call: str
    name: str
    arguments: dict[str, Any]
    delivery: str
    start_s: float
    state: str = "open"
    output: str = ""
    took_s: float | None = None


def tool_calls(events: Iterable[Event]) -> list[ToolCallEntry]:
    """The calls in order; works on a journal that ends in the middle."""
    calls: dict[str, ToolCallEntry] = {}
    for event in events:
        match event:
            case ToolCalled():
                calls[event.call] = ToolCallEntry(
                    event.call, event.name, event.arguments, event.delivery, event.t
                )
            case ToolResolved() if event.call in calls:
                calls[event.call] = replace(
                    calls[event.call], state="resolved", output=event.output, took_s=event.took_s
                )
            case ToolFailed() if event.call in calls:
                calls[event.call] = replace(calls[event.call], state="failed", output=event.message)
            case ToolCancelled() if event.call in calls:
                calls[event.call] = replace(calls[event.call], state="cancelled")
    return list(calls.values())
