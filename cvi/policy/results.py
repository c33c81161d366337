"""The results of a conversation's objectives, read from its journal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cvi.conversation.events import (
    Event,
    ObjectiveActivated,
    ObjectiveCompleted,
    ObjectivePending,
    ObjectiveResults,
    ObjectiveUpdated,
)


def objective_results(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Every objective with `objective_name`, `status`, `output_variables`; as far as it went."""
    found: dict[str, dict[str, Any]] = {}

    def note(name: str, status: str | None, values: dict[str, str]) -> None:
        row = found.setdefault(name, {"objective_name": name, "status": "", "output_variables": {}})
        row["status"] = status or row["status"]
        row["output_variables"] = values or row["output_variables"]

    for event in events:
        match event:
            case ObjectiveResults():
                return event.results
            case ObjectiveActivated():
                note(event.objective, "active", {})
            case ObjectiveUpdated():
                note(event.objective, None, event.output_variables)
            case ObjectivePending():
                note(event.objective, "pending", event.output_variables)
            case ObjectiveCompleted():
                note(event.objective, "completed", event.output_variables)
    return list(found.values())
