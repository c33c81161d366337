"""What every engine that understands pictures must do."""

from __future__ import annotations

import asyncio

import numpy as np

from cvi.errors import CviError
from cvi.perception.vision import VisionEngine, jpeg

_QUESTION = "What does the person do, hold or show to the camera?"


async def check_vision(engine: VisionEngine) -> None:
    """Raise `AssertionError` unless `engine` keeps the Protocol's promises. The engine is closed.

    An answer is only looked at for being short text: a model of random weights keeps these promises too.
    """
    await engine.warm()
    picture = np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 3, (48, 1, 3))
    one, other = jpeg(picture), jpeg(255 - picture)
    for jpegs in ([one], [one, other], [jpeg(np.zeros((900, 1600, 3), np.uint8))]):
        answering = asyncio.create_task(engine.ask(jpegs, _QUESTION))
        await asyncio.sleep(0)
        assert not answering.done(), "the event loop was blocked by a question"
        answer = await answering
        assert isinstance(answer, str) and len(answer) < 2000
        assert answer == answer.strip()
    both = await asyncio.gather(engine.ask([one], _QUESTION), engine.ask([other], ""))
    assert all(isinstance(answer, str) for answer in both), "two questions at once were not both answered"
    asking = asyncio.create_task(engine.ask([one], _QUESTION))
    await asyncio.sleep(0)
    asking.cancel()
    assert isinstance(await engine.ask([other], _QUESTION), str), "a question given up broke the next one"
    await engine.close()
    await engine.close()
    try:
        await engine.ask([one], _QUESTION)
    except CviError:
        return
    raise AssertionError("a closed engine answered")
