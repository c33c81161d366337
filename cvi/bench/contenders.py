"""Who takes turns in one session of measuring: each policy over each way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cvi.bench.session import Way
from cvi.bench.variants import Policy

_OVER = {"webrtc": "over WebRTC to another process"}


@dataclass(frozen=True, slots=True)
class Contender:
    """One side of a run. `about` says in a sentence what it is."""

    name: str
    about: str
    policy: Policy
    way: Way


def contenders(policies: Sequence[Policy], ways: Sequence[Way]) -> list[Contender]:
    """All of them, in the order they are told of. Over the first way they go by their policy's name, over
    another one by that and the way's: "cvi", "cvi-webrtc"."""
    made: list[Contender] = []
    for number, way in enumerate(ways):
        for policy in policies:
            about = ", ".join(part for part in (policy.about, _OVER.get(way.transport)) if part)
            name = over(policy.name, way.transport) if number else policy.name
            made.append(Contender(name, about, policy, way))
    return made


def over(name: str, transport: str) -> str:
    """What a side is called over another way than the run's first."""
    return f"{name}-{transport}"
