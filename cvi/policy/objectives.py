"""Objectives as a state machine: which one is open, what is known, what follows. No model, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cvi.persona.policy import Objective

State = Literal["waiting", "active", "pending", "completed", "skipped"]
"""`pending` waits for a confirmation; `skipped` was on the way of another condition."""


@dataclass(slots=True)
class ObjectiveProgress:
    """One objective and how far it is. `found` holds its output variables that are known."""

    objective: Objective
    state: State = "waiting"
    found: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The objective's name."""
        return self.objective.objective_name

    @property
    def missing(self) -> list[str]:
        """The output variables that are not known yet."""
        return [name for name in self.objective.output_variables if name not in self.found]


class ObjectiveMachine:
    """A persona's objectives. Exactly one is `active` or `pending` until the last is completed.

    Those that name no follower anywhere in the set follow each other in the order of the list.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._progress = {item.objective_name: ObjectiveProgress(item) for item in objectives}
        self._in_order = [item.objective_name for item in objectives]
        self._linked = any(item.followers for item in objectives)
        led_to = {name for item in objectives for name in item.followers}
        starts = [name for name in self._in_order if name not in led_to]
        self._current: str | None = next(iter(starts or self._in_order), None)
        if self._current is not None:
            self._progress[self._current].state = "active"

    @property
    def current(self) -> ObjectiveProgress | None:
        """The one that is active or pending; None when all is done."""
        return None if self._current is None else self._progress[self._current]

    @property
    def progress(self) -> list[ObjectiveProgress]:
        """All of them, in order."""
        return [self._progress[name] for name in self._in_order]

    def ahead(self) -> list[ObjectiveProgress]:
        """The current one, those that surely follow, and the ways on from the last: people tell things
        before they are asked."""
        found: list[ObjectiveProgress] = []
        name = self._current
        while name is not None and all(each.name != name for each in found):
            found.append(self._progress[name])
            name = self._required_after(name)
        ways = found[-1].objective.next_conditional_objectives if found else ()
        return [*found, *(self._progress[way] for way in ways if self._progress[way] not in found)]

    def fill(self, values: Mapping[str, str]) -> list[ObjectiveProgress]:
        """Take down values by variable, wherever they are asked for; returns the objectives that changed."""
        changed = []
        for progress in self.ahead():
            new = {
                name: value
                for name, value in values.items()
                if name in progress.objective.output_variables and progress.found.get(name) != value
            }
            if new:
                progress.found.update(new)
                changed.append(progress)
        return changed

    def hold(self) -> None:
        """The current objective waits for its confirmation."""
        assert self.current is not None
        self.current.state = "pending"

    def reopen(self) -> None:
        """It was not confirmed."""
        assert self.current is not None
        self.current.state = "active"

    def complete(self, follower: str | None = None) -> ObjectiveProgress | None:
        """Complete the current one; returns the next. `follower`: which of the conditional ones follows."""
        done = self.current
        assert done is not None
        done.state = "completed"
        name = follower if follower in done.objective.next_conditional_objectives else None
        name = name or self._required_after(done.name)
        for other in done.objective.next_conditional_objectives:
            if other != name and self._progress[other].state == "waiting":
                self._progress[other].state = "skipped"
        self._current = name
        following = self.current
        if following is not None:
            if following.state == "completed":  # a set that may loop
                following.found = {}
            following.state = "active"
        return following

    def _required_after(self, name: str) -> str | None:
        if self._linked:
            return self._progress[name].objective.next_required_objective
        at = self._in_order.index(name) + 1
        return self._in_order[at] if at < len(self._in_order) else None

    def results(self) -> list[dict[str, object]]:
        """Every objective with its state and what is known, as JSON values."""
        return [
            {"objective_name": each.name, "status": each.state, "output_variables": dict(each.found)}
            for each in self.progress
        ]
