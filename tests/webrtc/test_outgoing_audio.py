"""The way out, in virtual time: when slices leave, and what a cut takes back."""

from __future__ import annotations

import asyncio
from typing import Any

import av
import numpy as np
import pytest

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.testing.virtual_time import run_virtual
from cvi.transport.webrtc.outgoing_audio import MOST_WAITING_S, PersonaAudioTrack

UNIT_S = 1 / 25


def tone(units: int) -> Pcm:
    at = np.arange(units * PLAYED_HZ // 25)
    return (8000 * np.sin(at * 0.1)).astype(np.int16)


async def collect(track: PersonaAudioTrack, into: list[tuple[float, Any]]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        packet = await track.recv()
        into.append((loop.time(), packet))


def decoded(packets: list[tuple[float, Any]]) -> Pcm:
    decoder: Any = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.format, decoder.layout = 48_000, "s16", "mono"
    parts = [frame.to_ndarray()[0] for _, packet in packets for frame in decoder.decode(av.Packet(bytes(packet)))]
    return np.concatenate(parts)


def test_slices_leave_when_they_are_due_with_their_own_times() -> None:
    async def play() -> list[tuple[float, Any]]:
        loop = asyncio.get_running_loop()
        track, sent = PersonaAudioTrack(loop.time), []  # type: ignore[var-annotated]
        task = asyncio.create_task(collect(track, sent))
        for unit in range(25):
            await asyncio.sleep(max(unit * UNIT_S - loop.time(), 0))
            track.play(tone(1), unit * UNIT_S)
        await asyncio.sleep(0.2)
        task.cancel()
        return sent

    sent = run_virtual(play())
    assert len(sent) == 50
    assert [packet.pts for _, packet in sent] == [number * 960 for number in range(50)]
    assert max(abs(at - number * 0.02) for number, (at, _) in enumerate(sent)) <= 0.0015


def test_a_cut_is_silent_after_what_was_sent() -> None:
    async def play() -> tuple[list[tuple[float, Any]], float]:
        loop = asyncio.get_running_loop()
        track, sent = PersonaAudioTrack(loop.time), []  # type: ignore[var-annotated]
        task = asyncio.create_task(collect(track, sent))
        track.play(tone(4), 0.0)
        await asyncio.sleep(0.05)
        track.flush()
        sent_s = track.sent_s
        await asyncio.sleep(0.3)
        task.cancel()
        return sent, sent_s

    sent, sent_s = run_virtual(play())
    assert sent_s == pytest.approx(0.06)
    sound = decoded(sent)
    assert np.abs(sound[: round(0.06 * 48_000)]).max() > 4000
    # Opus itself is 6.5 ms late, and the fade takes 5.
    assert np.abs(sound[round(0.095 * 48_000) :]).max() < 300


def test_never_more_than_a_little_waits() -> None:
    async def play() -> tuple[int, float]:
        loop = asyncio.get_running_loop()
        track = PersonaAudioTrack(loop.time)
        track.play(tone(20), 0.0)
        return track.dropped, track.sent_s

    dropped, sent_s = run_virtual(play())
    assert dropped == round((0.8 - MOST_WAITING_S) * PLAYED_HZ)
    assert sent_s == pytest.approx(0.8 - MOST_WAITING_S), "the oldest is lost, the newest keeps its time"


@pytest.mark.parametrize("pause_s", [0.1, 3.0])
def test_a_pause_keeps_times_true(pause_s: float) -> None:
    async def play() -> list[tuple[float, Any]]:
        loop = asyncio.get_running_loop()
        track, sent = PersonaAudioTrack(loop.time), []  # type: ignore[var-annotated]
        task = asyncio.create_task(collect(track, sent))
        track.play(tone(1), 0.0)
        await asyncio.sleep(UNIT_S + pause_s)
        track.play(tone(1), UNIT_S + pause_s)
        await asyncio.sleep(0.3)
        task.cancel()
        return sent

    sent = run_virtual(play())
    assert sent[-1][1].pts == round((UNIT_S + pause_s + 0.02) * 48_000)
