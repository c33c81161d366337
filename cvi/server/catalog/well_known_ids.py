"""Ids that published clients and examples use for personas, and what they stand for here.

`pipecat0` and the default PAL of LiveKit's plugin stand for personas that only speak what the client sends:
they are personas of this server with those ids. Any other id of the contract's shape that is not known here
stands for the guide. Replicas: `cvi.face.replica_ids`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

DEFAULT_PERSONA = "guide"

ECHO: dict[str, Any] = {"persona_name": "Echo", "pipeline_mode": "echo", "default_replica_id": "june"}

PERSONAS: dict[str, dict[str, Any]] = {"pipecat0": ECHO, "pipecat-stream": ECHO, "pb87e71797da": ECHO}
"""Id -> the persona that has it on every server."""

_SHAPE = re.compile(r"p[0-9a-f]{6,20}")


def persona_stand_in(id: str) -> str | None:
    """The name of the shipped persona that stands for a foreign id; None for what has not an id's shape."""
    return DEFAULT_PERSONA if _SHAPE.fullmatch(id) else None


def substitution(kind: str, sent: str, id: str, name: str) -> Mapping[str, Any]:
    """What an answer says, under `substituted_for`, of an id that something else stands for."""
    return {
        "field": f"{kind}_id",
        "sent": sent,
        "id": id,
        "name": name,
        "why": f"there is no {kind} with this id here; the stock {kind} '{name}' stands for it",
        "remedy": f"Use an id that GET /v2/{kind}s lists, or refuse such ids: cvi serve --strict-ids",
    }
