"""The way in: order, holes, silence and time, in virtual time with real Opus."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ, HOP_S, PLAYED_HZ, Pcm
from cvi.testing.virtual_time import run_virtual
from cvi.transport.webrtc.incoming_audio import IncomingAudio
from cvi.transport.webrtc.outgoing_audio import SLICE, OpusEncoder

FIRST = (1 << 32) - 30 * 960  # the timestamp wraps within the first second


def tone(seconds: float) -> Pcm:
    at = np.arange(round(seconds * PLAYED_HZ))
    return (8000 * np.sin(at * 2 * np.pi * 400 / PLAYED_HZ)).astype(np.int16)


def packets(sound: Pcm) -> Iterator[tuple[int, bytes]]:
    encoder = OpusEncoder()
    for number in range(len(sound) // SLICE):
        packet = encoder.encode(sound[number * SLICE : (number + 1) * SLICE], number * 960)
        yield (FIRST + number * 960) % (1 << 32), bytes(packet)


class Result:
    def __init__(self, hearing: IncomingAudio) -> None:
        self.hearing = hearing
        self.blocks: list[tuple[float, float, Pcm]] = []
        """(given at, start, samples)"""

    @property
    def loud(self) -> list[float]:
        """The start times of blocks that hold the tone."""
        return [start for _, start, pcm in self.blocks if np.abs(pcm).max() > 2000]


def hear(
    sound: Pcm, arrival: Callable[[int], float | None], *, until_s: float, garbage: int = -1
) -> Result:
    """Packet n arrives at `arrival(n)`, never for None."""

    async def play() -> Result:
        loop = asyncio.get_running_loop()
        hearing = IncomingAudio(loop.time)
        result = Result(hearing)
        for number, (timestamp, payload) in enumerate(packets(sound)):
            at = arrival(number)
            if at is not None:
                data = b"\xff\xff\xff\xff" if number == garbage else payload
                loop.call_at(at, hearing.arrived, timestamp, data)

        async def listen() -> None:
            async for pcm, start_s in hearing.blocks():
                result.blocks.append((loop.time(), start_s, pcm))

        listening = asyncio.create_task(listen())
        await asyncio.sleep(until_s)
        hearing.close()
        await listening
        return result

    return run_virtual(play())


def check(result: Result) -> None:
    """What must hold on any network."""
    assert all(pcm.dtype == np.int16 and pcm.shape == (160,) for _, _, pcm in result.blocks)
    starts = [start for _, start, _ in result.blocks]
    steps = np.diff(starts)
    assert steps.min() >= HOP_S - 0.005, "times go back"
    given = np.array([at for at, _, _ in result.blocks])
    assert (given - np.array(starts)).min() >= HOP_S - 0.032, "given before it was spoken"


def test_a_good_network_costs_no_delay() -> None:
    sound = np.concatenate([np.zeros(PLAYED_HZ, np.int16), tone(1.0)])
    result = hear(sound, lambda n: 1.0 + n * 0.02, until_s=4.0)
    check(result)
    assert result.hearing.lost == result.hearing.late == 0
    # Packet n holds what was spoken in the 20 ms before it came.
    assert result.loud[0] == pytest.approx(2.0 - 0.02, abs=0.012)
    assert len(result.loud) == pytest.approx(100, abs=2)
    held = [at - start for at, start, pcm in result.blocks if np.abs(pcm).max() > 2000]
    assert max(held[:-3]) <= 0.021, "a block waits for its own packet, never for the next one"


def test_silence_while_nobody_is_there_keeps_time_going() -> None:
    result = hear(tone(0.0), lambda n: None, until_s=3.0)
    check(result)
    assert len(result.blocks) * HOP_S == pytest.approx(3.0 - 0.27, abs=0.05)
    assert not any(pcm.any() for _, _, pcm in result.blocks)


@pytest.mark.parametrize("seed", range(4))
def test_jitter_and_reordering_lose_nothing_once_known(seed: int) -> None:
    rng = random.Random(seed)
    sound = np.concatenate([np.zeros(3 * PLAYED_HZ, np.int16), tone(2.0)])
    result = hear(sound, lambda n: 1.0 + n * 0.02 + rng.random() * 0.1, until_s=7.5)
    check(result)
    assert len(result.loud) == pytest.approx(200, abs=6)
    assert result.loud[-1] - result.loud[0] == pytest.approx(2.0, abs=0.06)


def test_lost_packets_are_made_up_without_shifting_what_follows() -> None:
    sound = np.concatenate([tone(1.0), np.zeros(PLAYED_HZ, np.int16), tone(1.0)])
    result = hear(sound, lambda n: None if n % 10 == 7 else n * 0.02, until_s=4.0)
    check(result)
    assert result.hearing.lost == 15
    second = [start for start in result.loud if start > 1.5]
    assert second[0] == pytest.approx(2.0 - 0.02, abs=0.03)


def test_a_broken_packet_is_a_lost_one() -> None:
    result = hear(tone(1.0), lambda n: n * 0.02, until_s=2.0, garbage=20)
    check(result)
    assert result.hearing.broken == 1
    assert len(result.loud) >= 96


def test_a_busy_moment_of_ours_is_no_loss() -> None:
    """All packets of 200 ms come at once, after them everything is as before."""
    result = hear(tone(3.0), lambda n: 1.2 if 50 <= n < 60 else 0.02 * n, until_s=4.0)
    check(result)
    assert result.hearing.lost == result.hearing.late == 0
    assert len(result.loud) == pytest.approx(300, abs=3)


async def test_what_came_while_the_loop_stood_still_is_heard() -> None:
    """The end of waiting is learnt first, then one packet at a time: none of them is lost."""
    loop = asyncio.get_running_loop()
    hearing = IncomingAudio(loop.time)
    made = list(packets(tone(0.8)))
    loud: list[bool] = []

    def arrive(numbers: list[int]) -> None:
        hearing.arrived(*made[numbers[0]])
        if numbers[1:]:
            loop.call_soon(arrive, numbers[1:])

    async def listen() -> None:
        async for pcm, _ in hearing.blocks():
            loud.append(bool(np.abs(pcm).max() > 2000))
            if sum(loud) > 75:
                hearing.close()

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    arrive(list(range(10)))
    await asyncio.sleep(0.01)
    time.sleep(0.6)
    loop.call_soon(loop.call_soon, arrive, list(range(10, 40)))
    async with asyncio.timeout(20):
        await listening
    assert hearing.lost == hearing.late == 0


@pytest.mark.parametrize("pause_s", [0.6, 5.0])
def test_a_sender_whose_time_stood_still_is_heard_again(pause_s: float) -> None:
    """Another microphone: packets stop, and go on with the timestamp after the last one."""
    result = hear(tone(4.0), lambda n: n * 0.02 + (pause_s if n >= 100 else 0.0), until_s=6.0 + pause_s)
    check(result)
    assert len(result.loud) >= 400 - 45, "at most what it takes to notice is lost"
    assert result.loud[-1] == pytest.approx(4.0 + pause_s, abs=0.1)


def test_a_new_connection_begins_anew() -> None:
    async def play() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        hearing = IncomingAudio(loop.time)
        heard = 0

        async def listen() -> None:
            nonlocal heard
            async for pcm, _ in hearing.blocks():
                heard += bool(np.abs(pcm).max() > 2000)

        listening = asyncio.create_task(listen())
        for offset in (0, 123_456_789):
            for timestamp, payload in packets(tone(0.5)):
                hearing.arrived((timestamp + offset) % (1 << 32), payload)
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)
            hearing.restart()
        hearing.close()
        await listening
        return heard, hearing.late

    heard, late = run_virtual(play())
    assert heard == pytest.approx(100, abs=4) and late == 0


@pytest.mark.parametrize("ppm", [-300, 300])
def test_a_sender_with_another_clock_is_followed(ppm: int) -> None:
    """300 millionths in 40 s are 12 ms."""
    sound = np.concatenate([np.zeros(39 * PLAYED_HZ, np.int16), tone(1.0)])
    result = hear(sound, lambda n: n * 0.02 * (1 + ppm / 1e6), until_s=42.0)
    check(result)
    assert result.loud[0] == pytest.approx(39.0 * (1 + ppm / 1e6) - 0.02, abs=0.015)
    assert result.hearing.late == 0


def test_rates() -> None:
    assert HEARD_HZ * HOP_S == 160
