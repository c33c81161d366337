"""What every recognizer must do."""

from __future__ import annotations

import asyncio
import re

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.stt.base import SttEngine

_STEP = HEARD_HZ // 50


async def check_stt(engine: SttEngine, spoken: Pcm, *, silence_is_empty: bool = True) -> str:
    """Turns can be opened, asked for text again and again, dropped in the middle, and overlap.

    `spoken` is one utterance of 16 kHz int16 in which the engine finds some words; its text is
    returned. `silence_is_empty` False is for models too small to know silence. Raises AssertionError.
    """
    assert engine.name
    await engine.warm()

    turn = engine.open()
    assert await turn.partial() == ""
    assert await turn.final() == "", "text out of nothing"
    for start in range(0, len(spoken), _STEP):
        turn.feed(spoken[start : start + _STEP])
        await asyncio.sleep(0)
    text = await turn.final()
    _check_plain(text)
    assert text, "nothing was recognized"
    assert await turn.final() == text, "the same sound has two texts"

    pause = np.random.default_rng(1).integers(-4, 5, HEARD_HZ // 2).astype(np.int16)
    turn.feed(pause)
    turn.feed(spoken)
    turn.feed(pause)
    longer = await turn.final()
    _check_plain(longer)
    assert len(longer.split()) > len(text.split()), "a later final does not cover the whole turn"
    turn.close()
    turn.close()

    dropped = engine.open()
    dropped.feed(spoken)
    under_way = asyncio.create_task(dropped.partial())
    dropped.close()
    await asyncio.gather(under_way, return_exceptions=True)
    after = engine.open()
    after.feed(spoken)
    assert await after.final(), "a turn opened while another closes hears nothing"
    after.close()

    if silence_is_empty:
        quiet = engine.open()
        quiet.feed(np.zeros(HEARD_HZ, np.int16))
        assert await quiet.final() == "", "words were heard in silence"
        quiet.close()
    return text


def _check_plain(text: str) -> None:
    assert text == " ".join(text.split()), "spaces are not single"
    assert not re.search(r"<|>|\[|\]|\(\d", text), f"markers are left in {text!r}"
