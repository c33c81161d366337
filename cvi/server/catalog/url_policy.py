"""What a persona that comes over the wire may reach: nothing of the server's environment, no private network.

A persona's file may say `${NAME}` for a variable of the environment, and name any endpoint: whoever writes it
owns the machine. Whoever calls the API need not, and would have the server send its secrets where they like.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvi.endpoints.outbound import OutboundPolicy
from cvi.persona.section import references
from cvi.server.answers import HttpProblem


def check_references(document: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Raises `HttpProblem` where a layer refers to the environment and is not just as it was."""
    known = _layers(before)
    for name, layer in _layers(document).items():
        if _refers(layer) and layer != known.get(name):
            raise HttpProblem(
                400,
                f"layers.{name}: ${{NAME}} stands for the server's environment, which only a persona's file "
                "may read. Give the value itself.",
            )


async def vet_endpoints(
    document: Mapping[str, Any], before: Mapping[str, Any], policy: OutboundPolicy
) -> None:
    """Raises `RefusedAddressError` where a new endpoint leads into a private network."""
    known = {_address(layer) for layer in _layers(before).values()}
    for layer in _layers(document).values():
        address = _address(layer)
        if address and address not in known:
            await policy.vet(address)


def _layers(document: Mapping[str, Any]) -> Mapping[str, Any]:
    layers = document.get("layers")
    return layers if isinstance(layers, Mapping) else {}


def _address(layer: Any) -> str:
    address = layer.get("base_url") if isinstance(layer, Mapping) else None
    return address if isinstance(address, str) else ""


def _refers(value: Any) -> bool:
    if isinstance(value, str):
        return bool(references(value))
    if isinstance(value, Mapping):
        return any(map(_refers, value.values()))
    return isinstance(value, list) and any(map(_refers, value))
