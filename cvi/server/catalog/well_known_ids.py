"""Ids that published clients and examples use, and what they stand for here.

`pipecat0` and the default PAL of LiveKit's plugin stand for personas that only speak what the client sends.
The others are examples of the contract's documentation.
"""

from __future__ import annotations

from typing import Any

ECHO: dict[str, Any] = {"persona_name": "Echo", "pipeline_mode": "echo", "default_replica_id": "june"}

PERSONAS: dict[str, str | dict[str, Any]] = {
    "pipecat0": ECHO,
    "pipecat-stream": ECHO,
    "pb87e71797da": ECHO,
    "p9a95912": "guide",
    "p48fdf065d6b": "guide",
    "pdced222244b": "guide",
    "pcb7a34da5fe": "guide",
}
"""Id -> a shipped persona's name, or a persona."""

REPLICAS: dict[str, str] = {
    "r79e1c033f": "june",
    "rfe12d8b9597": "june",
    "rf4e9d9790f0": "marcus",
    "r90bbd427f71": "marcus",
}
"""Id -> a shipped replica's name."""

DEFAULT_PERSONA = "guide"
