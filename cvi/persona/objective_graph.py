"""What is wrong in how objectives follow each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Followed(Protocol):
    """An objective as far as its followers go."""

    objective_name: str

    @property
    def followers(self) -> tuple[str, ...]:
        """The names of all that may follow."""


def graph_fault(objectives: Sequence[Followed], *, may_loop: bool = False) -> tuple[int, str, str] | None:
    """The first fault: the index of the objective, what is wrong, how to mend it. None for a sound set.

    Where any objective names a follower, exactly one is nobody's follower: there it begins. Without a loop,
    unless the set may have one. Names that do not exist are left to others.
    """
    names = [item.objective_name for item in objectives]
    followers = {
        item.objective_name: [name for name in item.followers if name in names] for item in objectives
    }
    if not any(followers.values()):
        return None
    if not may_loop and (loop := _loop(followers)):
        return (
            names.index(loop[0]),
            f"objectives follow each other in a circle: {' -> '.join(loop)}",
            ("Take one of them out, or allow loops."),
        )
    led_to = {name for each in followers.values() for name in each}
    starts = [name for name in names if name not in led_to]
    if len(starts) > 1:
        both = f"'{starts[0]}' and '{starts[1]}'"
        return (
            names.index(starts[1]),
            f"nothing leads to {both}, and only one can be the start",
            ("Name one of them as a follower of another objective."),
        )
    return None


def _loop(followers: dict[str, list[str]]) -> list[str]:
    """The names of a circle, its first one again at the end; [] for none."""
    done: set[str] = set()
    for start in followers:
        path, waiting = [start], [iter(followers[start])]
        while waiting:
            follower = next(waiting[-1], None)
            if follower is None:
                done.add(path.pop())
                waiting.pop()
            elif follower in path:
                return [*path[path.index(follower) :], follower]
            elif follower not in done:
                path.append(follower)
                waiting.append(iter(followers[follower]))
    return []
