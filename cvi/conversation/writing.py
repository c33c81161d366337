"""From the language model's stream to clauses fit to be spoken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from cvi.llm.base import LlmEngine, Message, Sampling
from cvi.llm.clauses import Clause, ClauseSplitter


async def write_reply(
    llm: LlmEngine,
    messages: Sequence[Message],
    sampling: Sampling,
    speakable: ClauseSplitter,
    *,
    on_first_token: Callable[[], object],
) -> AsyncIterator[Clause]:
    """Clauses as soon as they can be spoken. Closing the iterator aborts the model.

    Raises EngineError when the model fails, also in the middle.
    """
    stream = llm.stream(messages, sampling)
    first = True
    try:
        async for piece in stream:
            if first:
                on_first_token()
                first = False
            for clause in speakable.push(piece):
                yield clause
            if speakable.done:
                return
        for clause in speakable.finish():
            yield clause
    finally:
        await stream.aclose()  # type: ignore[attr-defined]


async def in_one_piece(clauses: AsyncIterator[Clause]) -> AsyncIterator[Clause]:
    """All clauses as one, once the last is written."""
    written = [clause async for clause in clauses]
    if written:
        emotion = next((clause.emotion for clause in written if clause.emotion), None)
        yield Clause(" ".join(clause.text for clause in written), ends_sentence=True, emotion=emotion)
