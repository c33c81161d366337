"""A whole call: a real far end in a process of its own, over this machine's own network."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("aiortc", reason="WebRTC comes with the extra 'server'")

from cvi.audio.block import HEARD_HZ, PLAYED_HZ
from cvi.bench.probe.session_measurement import measure, route_figures
from cvi.bench.probe.tap import MemorySink, MouthBox, Tap
from cvi.bench.recordings.caller_blocks import CallerTurn
from cvi.bench.remote_peer.call import RemotePeerCall, RemotePeerSpec
from cvi.clock import Clock
from cvi.errors import CviError
from cvi.media.decode import read_audio, write_wav
from cvi.media.frames import AVUnit
from cvi.transport.scenario import Scenario, Segment

WIDTH, HEIGHT, FPS = 320, 180, 25
SAMPLES = PLAYED_HZ // FPS
ANSWER_S = 0.6
LOUD = 800


def caller_file(folder: Path) -> Scenario:
    """0.9 s of a voice of a kind: of low pitch, so that a codec keeps its waveform."""
    rng = np.random.default_rng(0)
    rough = np.convolve(rng.normal(0, 1, round(0.9 * HEARD_HZ) + 15), np.ones(16), mode="valid")
    sound = np.zeros(2 * HEARD_HZ, np.int16)
    sound[HEARD_HZ // 2 :][: len(rough)] = np.clip(2000 * rough, -30_000, 30_000)
    path = folder / "caller.wav"
    write_wav(path, sound, HEARD_HZ)
    return Scenario(path, (Segment(0.4, 1.7, "noise", 1.4),))


def spec_of(caller: Scenario, folder: Path) -> RemotePeerSpec:
    box = MouthBox(60, 100, 120, 200)
    return RemotePeerSpec(
        session="call",
        fps=FPS,
        size=(WIDTH, HEIGHT),
        audio=caller.audio,
        segments=caller.segments,
        evidence=folder / ".call.npz",
        mouth=box,
    )


async def answer(tap: Tap, clock: Clock) -> None:
    """Half a second after the last loud sample heard, a tone and an open mouth; until the caller is over."""
    quiet_from_s: float | None = None

    async def listen() -> None:
        nonlocal quiet_from_s
        async for block in tap.microphone():
            if int(np.abs(block.pcm).max()) > LOUD:
                quiet_from_s = block.end_s

    listening = asyncio.create_task(listen())
    tap.reply_ended()
    tone = (9000 * np.sin(np.arange(SAMPLES) * 0.1)).astype(np.int16)
    index, answer_until = 0, 0
    while not (tap.caller_over and answer_until and index > answer_until + FPS // 2):
        due_s = await tap.due(index)
        if quiet_from_s is not None and not answer_until and due_s > quiet_from_s + 0.5:
            answer_until = index + round(ANSWER_S * FPS)
        speaking = index < answer_until
        frame = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        frame[60:100, 120:200] = 40 if speaking else 180
        tap.present(AVUnit(index, index / FPS, frame, tone if speaking else np.zeros_like(tone), int(speaking)))
        index += 1
    listening.cancel()


async def test_words_and_reply_are_found_at_both_ends(tmp_path: Path) -> None:
    caller = caller_file(tmp_path)
    (segment,) = caller.segments
    assert segment.speech_end_s is not None
    turn = CallerTurn(
        "t", "question", "noise", segment.start_s, segment.end_s, segment.start_s + 0.1, segment.speech_end_s
    )
    clock = Clock()
    call = RemotePeerCall(spec_of(caller, tmp_path), clock=clock)
    sink = MemorySink(None)
    tap = Tap(call, sink)
    await tap.open()
    try:
        clock.restart()
        async with asyncio.timeout(60):
            await answer(tap, clock)
    finally:
        await tap.close()
    evidence, voice = call.evidence(), read_audio(caller.audio)
    far = measure(evidence, [turn], voice, "far")
    near = measure(sink.evidence("call", FPS, call.zero_s), [turn], voice, "near", partial=True)
    if call.late_packets and not near.turns:
        pytest.skip("this machine is too busy for a call in real time: packets came too late to be heard")
    assert [far.turns[0].outcome, near.turns[0].outcome] == ["answered", "answered"]

    parts = {figure.name: figure.values for figure in route_figures([(far, near)])}
    ((in_ms,), (out_ms,), (both_ms,)) = (parts[name] for name in ("way_in_ms", "way_out_ms", "way_ms"))
    assert in_ms > 0, "heard after it was spoken"
    assert out_ms > 20, "heard after it was handed over, and held back as a browser holds it"
    assert both_ms == pytest.approx(in_ms + out_ms, abs=0.1)

    assert evidence.mouths is not None and len(evidence.mouths) == len(evidence.frame_times_s) > FPS
    dark = evidence.mouths.mean(axis=(1, 2)) < 100 * 64
    assert ANSWER_S * FPS - 3 <= dark.sum() <= ANSWER_S * FPS + 3
    assert far.turns[0].first_frame_ms is not None
    assert call.cost is not None and call.cost.cpu_s > 0 and call.cost.widths == (WIDTH,)
    assert list(tmp_path.iterdir()) == [caller.audio], "nothing is left behind"


async def test_a_failed_far_end_reports_its_error(tmp_path: Path) -> None:
    missing = Scenario(tmp_path / "no-such.wav", caller_file(tmp_path).segments)
    call = RemotePeerCall(spec_of(missing, tmp_path), clock=Clock())
    with pytest.raises(CviError, match=r"was not connected.*no-such\.wav"):
        await call.open()
    await call.close()
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".wav"]
