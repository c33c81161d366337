"""Python functions as tools, which run only where the operator allowed the module."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Callable
from typing import Any

from cvi.errors import MissingError, UsageError
from cvi.tools.base import ToolAnswer, ToolCall, ToolError

TIMEOUT_S = 30.0


class PythonDelivery:
    """Calls `module:function` with the arguments as keywords: a coroutine on the event loop, any other
    function on a thread of its own, which cannot be stopped in the middle."""

    name = "python"

    def __init__(self, target: str) -> None:
        """Raises UsageError for another form, MissingError for what is not there."""
        self._target = target
        self._function = _load(target)

    async def call(self, call: ToolCall) -> ToolAnswer:
        """What the function returns. Raises ToolError for whatever it raises."""
        function = self._function
        try:
            async with asyncio.timeout(TIMEOUT_S) as limit:
                if inspect.iscoroutinefunction(function):
                    value = await function(**call.arguments)
                else:
                    value = await asyncio.to_thread(function, **call.arguments)
        except TimeoutError as error:
            if limit.expired():
                raise ToolError(f"'{call.name}' gave no answer within {TIMEOUT_S:g} s.") from error
            raise ToolError(f"'{call.name}' failed: {type(error).__name__}.") from error
        except Exception as error:  # the user's own code may raise anything
            raise ToolError(f"'{call.name}' failed: {type(error).__name__}: {str(error)[:160]}") from error
        return ToolAnswer("done" if value is None else value)

    async def close(self) -> None:
        """Nothing: it holds no resource."""


def _load(target: str) -> Callable[..., Any]:
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise UsageError(f"'{target}' names no Python function.", "Write it as module:function.")
    try:
        function = getattr(importlib.import_module(module_name), name, None)
    except Exception as error:  # whatever importing the user's module raises
        raise MissingError(
            f"The module of the tool function '{target}' cannot be imported: {error}.",
            "Install it, or put its folder into PYTHONPATH.",
        ) from error
    if not callable(function):
        raise MissingError(f"There is no function '{name}' in {module_name}.", "Check its name.")
    return function  # type: ignore[no-any-return]
