"""Tools that run at the participant's client: the call goes out as an event, the answer comes back as one."""

from __future__ import annotations

import asyncio
from typing import Any

from cvi.errors import UsageError
from cvi.tools.base import ToolAnswer, ToolCall, ToolError

NOT_WAITING = "No tool call waits for a result."
_SHOWN = 160


class ClientDelivery:
    """Waits for the client's answer, as long as it takes: the event `ToolCalled` is what the client is sent.

    Without a client to answer (`connected` False: a conversation in a terminal), a call fails at once.
    """

    name = "app_message"

    def __init__(self, connected: bool) -> None:
        self._connected = connected
        self._waiting: dict[str, asyncio.Future[ToolAnswer]] = {}
        self._answered: set[str] = set()

    async def call(self, call: ToolCall) -> ToolAnswer:
        """The client's answer. Raises ToolError for one that says it failed."""
        if not self._connected:
            raise ToolError(
                f"Nobody answers '{call.name}': this conversation has no client.", "Hold it with `cvi serve`."
            )
        waiting: asyncio.Future[ToolAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[call.id] = waiting
        try:
            return await waiting
        finally:
            del self._waiting[call.id]

    def answer(self, call_id: str, output: Any, ok: bool) -> None:
        """An answer has come. Raises UsageError where no such call waits, or it was answered before."""
        waiting = self._waiting.get(call_id)
        if waiting is None or waiting.done():
            twice = call_id in self._answered
            raise UsageError("This tool call was answered before." if twice else NOT_WAITING)
        self._answered.add(call_id)
        if ok:
            waiting.set_result(ToolAnswer(output))
        else:
            waiting.set_exception(ToolError(f"The client says that it failed: {str(output)[:_SHOWN]}"))

    async def close(self) -> None:
        """Nobody waits any more."""
        for waiting in self._waiting.values():
            waiting.cancel()
