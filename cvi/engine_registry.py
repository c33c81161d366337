"""Engines by name.

An engine is one implementation of a layer. It announces itself through the entry-point group
`cvi.engines` as `layer.name = module:factory`, so another package can add one without a line
changed here. A factory takes its layer's frozen settings and returns the engine; it may block
(weights are read there), so call `build` on a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from cvi.errors import MissingError, UsageError

GROUP = "cvi.engines"
LAYERS = ("vad", "turns", "stt", "llm", "tts", "face", "embeddings", "perception")


def names(layer: str) -> list[str]:
    """The engines installed for a layer, sorted."""
    return sorted({point.name.split(".", 1)[1] for point in _points(layer)})


def factory(layer: str, name: str) -> Callable[[Any], Any]:
    """The factory of one engine.

    Raises `UsageError` for a name that no package announces, `MissingError` when a package that the engine
    imports is not installed.
    """
    for point in _points(layer):
        if point.name == f"{layer}.{name}":
            try:
                return point.load()  # type: ignore[no-any-return]
            except ImportError as error:
                package = (error.name or name).split(".")[0]
                raise MissingError(
                    f"The {layer} engine '{name}' needs the package {package}, which is not installed.",
                    f"Install it with: pip install {package}",
                ) from error
    known = names(layer)
    near = get_close_matches(name, known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"Installed: {', '.join(known) or 'none'}."
    raise UsageError(f"There is no {layer} engine named '{name}'.", hint)


def build(layer: str, name: str, settings: Any) -> Any:
    """Build an engine from its layer's settings; blocks while its weights are read. Raises as `factory`."""
    return factory(layer, name)(settings)


def _points(layer: str) -> list[EntryPoint]:
    return [point for point in entry_points(group=GROUP) if point.name.startswith(f"{layer}.")]
