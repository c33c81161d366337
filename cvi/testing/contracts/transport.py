"""What every transport must do, checked with a short conversation of its own."""

from __future__ import annotations

import asyncio
import inspect

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_S, HOP_SAMPLES, PLAYED_HZ, AudioBlock
from cvi.media.frames import AVUnit
from cvi.transport.base import Transport

MOST_WAITING_S = 0.2


async def check_transport(
    transport: Transport, *, width: int = 320, height: int = 180, seconds: float = 1.0
) -> list[AudioBlock]:
    """Open it, play `seconds` of a quiet tone, cut it, close it twice; returns the blocks heard.

    AssertionError names what is wrong. Takes about `seconds` of the transport's own clock.
    """
    await transport.open()
    blocks: list[AudioBlock] = []

    async def listen() -> None:
        async for block in transport.microphone():
            blocks.append(block)  # noqa: PERF401 - what came before a cancel counts

    listening = asyncio.create_task(listen())
    try:
        await _play(transport, width, height, round(seconds * transport.fps))
    finally:
        listening.cancel()
        await asyncio.wait([listening])
        await transport.close()
        await transport.close()
    assert blocks, "no block came from the microphone"
    for before, block in zip([None, *blocks], blocks, strict=False):
        assert block.pcm.dtype == np.int16 and block.pcm.shape == (HOP_SAMPLES,), (
            "blocks are 160 samples of int16"
        )
        assert before is None or block.start_s >= before.end_s - HOP_S / 2, "blocks go forward in time"
    return blocks


async def _play(transport: Transport, width: int, height: int, units: int) -> None:
    frame = np.full((height * 3 // 2, width), 128, np.uint8)
    samples = PLAYED_HZ // transport.fps
    heard_before = 0.0
    for event in ("state", "caption", "heard", "notice", "something new"):
        transport.notify(event, "listening")
    for index in range(units):
        waiting = transport.due(index)
        assert inspect.isawaitable(waiting)
        await waiting
        position = np.arange(index * samples, (index + 1) * samples)
        pcm = (600 * np.sin(position / PLAYED_HZ * 2 * np.pi * 220)).astype(np.int16)
        transport.present(AVUnit(index, index / transport.fps, frame.copy(), pcm, generation=1))
        presented_s = (index + 1) / transport.fps
        heard_s = transport.heard_s()
        assert heard_before <= heard_s <= presented_s + 1 / HEARD_HZ, (
            "heard only grows, up to what was presented"
        )
        assert presented_s - heard_s <= MOST_WAITING_S + 0.3, "too much waits behind the transport"
        heard_before = heard_s
        await asyncio.sleep(0)  # on a busy machine every unit may be due at once
    transport.flush()
    cut_s = transport.heard_s()
    assert heard_before <= cut_s <= units / transport.fps, "a cut leaves what was heard as it was"
    await transport.due(units)
    assert transport.heard_s() <= max(cut_s + MOST_WAITING_S, units / transport.fps)
