"""What every language model must do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import cast

from cvi.llm.base import LlmEngine, Message, Sampling

_PROMPT = (
    Message("system", "You are a guide in a museum of clocks. You answer in one short sentence."),
    Message("assistant", "Hello. What would you like to know?"),
)
_SHORT = Sampling(max_tokens=12)
_FORM = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "tickets": {"type": "integer"},
        "days": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "tickets"],
    "additionalProperties": False,
}


async def check_llm(engine: LlmEngine) -> str:
    """The calls of a turn in their order, replies dropped in the middle, and calls that meet.

    Returns one reply. Raises AssertionError. The engine is left open.
    """
    assert engine.name
    await engine.warm(_PROMPT)
    await engine.prefill(_PROMPT, "could you")
    await engine.prefill(_PROMPT, "could you tell me about")
    await _check_completeness(engine)

    asked = (*_PROMPT, Message("user", "Could you tell me about the oldest clock?"))
    reply = await _all(engine, asked)
    assert reply.strip(), "an empty reply"

    dropped = cast(AsyncGenerator[str, None], engine.stream(asked, _SHORT))
    assert await anext(dropped), "an empty piece"
    await dropped.aclose()
    never_started = cast(AsyncGenerator[str, None], engine.stream(asked, _SHORT))
    await never_started.aclose()

    waiting = asyncio.create_task(_all(engine, asked))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled(), "a cancelled reply did not end"

    both = await asyncio.gather(
        _all(engine, asked), engine.prefill(asked[:2], "and then"), engine.completeness(asked[:2], "and then")
    )
    assert both[0].strip(), "an empty reply while other calls were made"
    return reply


async def check_structured(engine: LlmEngine) -> None:
    """JSON that fits a schema, also where there is little room for it, and beside a reply.

    Raises AssertionError. The engine is left open.
    """
    asked = (*_PROMPT, Message("user", "I am Anna, and I would like two tickets for Friday."))
    told = Message("user", "Write down what was asked for as JSON with name, tickets and days.")
    answers = await asyncio.gather(
        engine.structured([*asked, told], _FORM),
        engine.structured([*asked, told], _FORM, max_tokens=4),
        _all(engine, asked),
    )
    for answer in answers[:2]:
        assert isinstance(answer, dict)
        assert set(answer) <= {"name", "tickets", "days"} and {"name", "tickets"} <= set(answer), answer
        assert isinstance(answer["name"], str) and isinstance(answer["tickets"], int), answer
    assert answers[2].strip(), "an empty reply beside JSON"

    dropped = asyncio.create_task(engine.structured(asked, _FORM))
    await asyncio.sleep(0)
    dropped.cancel()
    await asyncio.gather(dropped, return_exceptions=True)
    assert dropped.cancelled(), "a cancelled call did not end"


async def _check_completeness(engine: LlmEngine) -> None:
    complete = await engine.completeness(_PROMPT, "could you tell me about the oldest clock")
    broken = await engine.completeness(_PROMPT, "could you tell me about the")
    assert (complete is None) == (broken is None)
    if complete is not None and broken is not None:
        assert 0 <= broken < complete <= 1


async def _all(engine: LlmEngine, messages: Sequence[Message]) -> str:
    pieces = []
    async for piece in engine.stream(messages, _SHORT):
        assert isinstance(piece, str)
        assert piece, "an empty piece"
        pieces.append(piece)
    return "".join(pieces)
