"""Calls of tools while they run: carried out once, journaled, cancelled or let finish.

Event loop only. What must always hold: a call that a reply asked for which nobody heard to its end is not
carried out a second time; the reply that takes its place gets the first one's answer.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from cvi.conversation.events import (
    ContextAppended,
    HumanRequested,
    ToolCalled,
    ToolCancelled,
    ToolFailed,
    ToolResolved,
    ToolReused,
)
from cvi.conversation.settings import SessionContext
from cvi.errors import CviError, UsageError
from cvi.llm.base import ToolRequest
from cvi.tools.base import (
    MOST_ANSWER_CHARACTERS,
    ToolAnswer,
    Toolbox,
    ToolCall,
    ToolDefinition,
    ToolError,
    argument_key,
)
from cvi.tools.builtin import HAND_OVER

CLOSE_WITHIN_S = 2.0
"""How long calls that may finish are waited for after the conversation's end."""
REUSE_WITHIN_S = 60.0
"""For so long a call of a reply that was cut answers the same request again."""
_JOURNALED_CHARACTERS = 2_000


@dataclass(slots=True, eq=False)
class ToolRun:
    """One call under way or done. `reply` is the one that waits for it, None once nobody does."""

    call: ToolCall
    tool: ToolDefinition
    reply: int | None
    began_s: float
    heard: bool = False
    """The reply that it was made for was heard to its end."""
    answer: ToolAnswer | None = None
    error: ToolError | None = None
    task: asyncio.Task[None] | None = None

    @property
    def done(self) -> bool:
        """Whether it has an answer, or failed."""
        return self.answer is not None or self.error is not None


class ToolRuns:
    """All calls of one conversation."""

    def __init__(self, context: SessionContext, toolbox: Toolbox) -> None:
        self._context = context
        self._toolbox = toolbox
        self._runs: dict[str, ToolRun] = {}
        self._latest: dict[str, ToolRun] = {}
        self._number = 0
        self._over = False

    def start(self, tool: ToolDefinition, request: ToolRequest, reply: int, turn: int | None) -> ToolRun:
        """Carry out a call for a reply, or join the same call of a reply that was not heard."""
        key = argument_key(tool.name, request.arguments)
        now_s = self._context.clock.now()
        earlier = self._latest.get(key)
        if earlier is not None and (earlier.heard or now_s - earlier.began_s > REUSE_WITHIN_S):
            earlier = None
        if earlier is not None and earlier.error is None:
            if earlier.reply != reply:
                self._context.journal.write(ToolReused(call=earlier.call.id, reply=reply))
            earlier.reply = reply
            return earlier
        self._number += 1
        conversation_id = self._context.settings.conversation_id
        id = f"call_{self._number}"
        # One that was cancelled may have been carried out: its receiver knows the next one by its key.
        attempt = earlier.call.key if earlier is not None else f"{conversation_id}-{id}"
        call = ToolCall(id, tool.name, dict(request.arguments), attempt, conversation_id)
        run = self._runs[id] = self._latest[key] = ToolRun(call, tool, reply, now_s)
        self._context.journal.write(
            ToolCalled(
                call=id,
                reply=reply,
                turn=turn,
                name=tool.name,
                arguments=dict(call.arguments),
                delivery=tool.delivery.name,
            )
        )
        if tool.name == HAND_OVER:
            self._context.journal.write(HumanRequested(source="tool", call=id))
        run.task = asyncio.create_task(self._carry_out(run), name=id)
        run.task.add_done_callback(self._done)
        return run

    def _done(self, task: asyncio.Task[None]) -> None:
        """A fault of this program in a call ends the conversation."""
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._context.fail(fault)

    async def wait(self, run: ToolRun) -> None:
        """Return when the call is done; being cancelled does not cancel it."""
        if run.task is not None and not run.done:
            await asyncio.wait({run.task})

    def let_go(self, reply: int, *, heard: bool) -> None:
        """A reply is over. Calls that go on without it become context when they are answered."""
        for run in self._runs.values():
            if run.reply != reply:
                continue
            run.heard = heard
            run.reply = None
            if heard or run.done or run.task is None or run.tool.on_interrupt == "finish":
                continue
            run.error = ToolError(f"'{run.call.name}' was cancelled.")
            run.task.cancel()
            self._context.journal.write(
                ToolCancelled(call=run.call.id, name=run.call.name, reason="interrupted")
            )

    def answer(self, call_id: str, output: object, ok: bool) -> None:
        """The client's answer to a call. Raises UsageError where no such call waits."""
        if self._over:
            raise UsageError("The conversation has ended; the result of the tool is not used.")
        client = self._toolbox.client
        run = self._runs.get(call_id)
        if client is None or run is None or run.tool.delivery.name != "app_message":
            raise UsageError("No tool call waits for a result.")
        client.answer(call_id, output, ok)

    async def close(self) -> None:
        """Wait a moment for calls that may finish, cancel the rest, close the deliveries."""
        self._over = True
        running = {run.task for run in self._runs.values() if run.task is not None and not run.task.done()}
        finishing = {
            run.task
            for run in self._runs.values()
            if run.task in running
            and run.tool.delivery.name != "app_message"
            and run.tool.on_interrupt == "finish"
        }
        if finishing:
            await asyncio.wait(finishing, timeout=CLOSE_WITHIN_S)
        for run in self._runs.values():
            if run.task is not None and not run.task.done():
                run.error = ToolError("The conversation ended before it answered.")
                run.task.cancel()
                self._context.journal.write(
                    ToolFailed(call=run.call.id, name=run.call.name, message=run.error.message)
                )
        await asyncio.gather(*(task for task in running if task is not None), return_exceptions=True)
        await self._toolbox.close()

    async def _carry_out(self, run: ToolRun) -> None:
        began_s = self._context.clock.now()
        try:
            answer = await run.tool.delivery.call(run.call)
            if len(answer.text) > MOST_ANSWER_CHARACTERS:
                raise ToolError(
                    f"'{run.call.name}' answered {len(answer.text)} characters; at most "
                    f"{MOST_ANSWER_CHARACTERS} are read.",
                    "Let it answer less.",
                )
        except ToolError as error:
            self._failed(run, error)
            return
        except (CviError, TypeError, ValueError) as error:  # an answer that is no JSON value
            self._failed(run, ToolError(f"'{run.call.name}' failed: {error}"))
            return
        run.answer = answer
        took_s = round(self._context.clock.now() - began_s, 3)
        output = answer.text[:_JOURNALED_CHARACTERS]
        self._context.journal.write(
            ToolResolved(call=run.call.id, name=run.call.name, output=output, took_s=took_s)
        )
        silent = run.tool.on_resolve == "fire_and_forget" or run.tool.delivery.name == "builtin"
        if run.reply is None and not silent:
            self._append(run, f"answered meanwhile: {as_data(answer.text)}")
        elif run.tool.on_resolve == "add_to_context":
            self._append(run, f"answered: {as_data(answer.text)}")

    def _failed(self, run: ToolRun, error: ToolError) -> None:
        run.error = error
        self._context.journal.write(ToolFailed(call=run.call.id, name=run.call.name, message=str(error)))
        if run.reply is None or run.tool.on_resolve == "add_to_context":
            self._append(run, "failed")

    def _append(self, run: ToolRun, what: str) -> None:
        if self._over:
            return
        text = f"{described(run)} {what}"
        self._context.history.append_context(text)
        self._context.journal.write(ContextAppended(text=text))


def described(run: ToolRun) -> str:
    """A call in words: "The tool get_weather (city: Oslo)"."""
    values = ", ".join(f"{name}: {value}" for name, value in run.call.arguments.items())
    return f"The tool {run.call.name}{f' ({values})' if values else ''}"


def as_data(text: str) -> str:
    """An answer as the model is given it: marked as data, since it may hold instructions of strangers."""
    return f"<answer>{in_words(text).replace('</answer>', '')}</answer>"


def in_words(text: str) -> str:
    """JSON of names and plain values as "open: eight to six; anonymous: yes", which small models say on as it
    is; other text unchanged."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if not isinstance(value, dict) or any(isinstance(each, dict | list) for each in value.values()):
        return text
    said = {True: "yes", False: "no", None: "unknown"}
    pairs = (
        (name.replace("_", " "), said[each] if each is None or isinstance(each, bool) else each)
        for name, each in value.items()
    )
    return "; ".join(f"{name}: {each}" for name, each in pairs)
