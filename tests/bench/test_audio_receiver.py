"""The remote peer's audio: what is played depends on when packets arrived, and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

pytest.importorskip("aiortc", reason="WebRTC comes with the extra 'server'")


from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.bench.probe.evidence import lay_blocks
from cvi.bench.probe.waveform import speech_spans
from cvi.bench.remote_peer.receivers import (
    LEAST_HOLD_S,
    PERIOD,
    PERIOD_S,
    SOUND_RTP_HZ,
    AudioReceiver,
    RtpTimeline,
)
from cvi.transport.webrtc.outgoing_audio import SLICE, OpusEncoder

PACKET_S = 0.020
ORIGIN = (1 << 32) - 20_000
"""Timestamps wrap within the first half second."""
Arrival = tuple[float, int, bytes]


def tone(seconds: float) -> Pcm:
    return (9000 * np.sin(np.arange(round(seconds * PLAYED_HZ)) * 0.11)).astype(np.int16)


def spoken(*bursts: tuple[float, float], seconds: float) -> Pcm:
    """Silence with tones from .. to."""
    sound = np.zeros(round(seconds * PLAYED_HZ), np.int16)
    for from_s, to_s in bursts:
        at = round(from_s * PLAYED_HZ)
        sound[at : at + round((to_s - from_s) * PLAYED_HZ)] = tone(to_s - from_s)
    return sound


def packets(sound: Pcm, delays_s: Sequence[float]) -> list[Arrival]:
    """Each slice as a packet that leaves when it has been spoken and is on its way for its delay."""
    encoder = OpusEncoder()
    made: list[Arrival] = []
    for number in range(len(sound) // SLICE):
        payload = bytes(encoder.encode(sound[number * SLICE : (number + 1) * SLICE], 0))
        at_s = (number + 1) * PACKET_S + delays_s[number % len(delays_s)]
        made.append((at_s, (ORIGIN + number * 960) % (1 << 32), payload))
    return sorted(made)


def periods(seconds: float) -> Iterator[float]:
    return (number * PERIOD_S for number in range(round(seconds / PERIOD_S)))


def listened(arrivals: Sequence[Arrival], seconds: float) -> tuple[AudioReceiver, list[tuple[float, Pcm]]]:
    """Periods asked for as time goes by."""
    receiver, left, heard = AudioReceiver(), list(arrivals), []
    for at_s in periods(seconds):
        while left and left[0][0] <= at_s:
            receiver.arrived(*left.pop(0))
        if (block := receiver.period(at_s)) is not None:
            heard.append((at_s, block))
    return receiver, heard


def runs(heard: Sequence[tuple[float, Pcm]]) -> list[tuple[float, float]]:
    """When something sounds, from .. to."""
    track = lay_blocks(np.array([at_s for at_s, _ in heard]), np.stack([pcm for _, pcm in heard]), PLAYED_HZ)
    return [(span.start_s, span.end_s) for span in speech_spans(track, join_s=0.005)]


def test_on_an_even_network_sound_comes_the_hold_after_its_packet() -> None:
    delay_s = 0.013
    receiver, heard = listened(packets(spoken((1.0, 1.5), seconds=2.5), [delay_s]), 2.5)
    ((from_s, to_s),) = runs(heard)
    # Its packet is whole 20 ms after it began, is under way, is held, and Opus looks 6.5 ms ahead.
    expected_s = 1.0 + PACKET_S + delay_s + LEAST_HOLD_S
    assert expected_s - 0.002 < from_s < expected_s + 0.020
    assert to_s - from_s == pytest.approx(0.5, abs=0.03)
    assert (receiver.lost, receiver.late, receiver.dry) == (0, 0, 0)
    assert np.diff([at_s for at_s, _ in heard]).max() < 1.5 * PERIOD_S


def test_a_process_that_wakes_late_plays_the_same() -> None:
    rng = np.random.default_rng(3)
    arrivals = packets(spoken((0.6, 1.4), (2.0, 2.6), seconds=4.0), rng.uniform(0, 0.05, 31).tolist())
    _, heard = listened(arrivals, 4.0)
    receiver = AudioReceiver()
    for arrival in arrivals:
        receiver.arrived(*arrival)
    afterwards = [(at_s, block) for at_s in periods(4.0) if (block := receiver.period(at_s)) is not None]
    assert [at_s for at_s, _ in heard] == [at_s for at_s, _ in afterwards]
    assert all((a == b).all() for (_, a), (_, b) in zip(heard, afterwards, strict=True))


def test_jitter_makes_the_hold_longer_until_nothing_is_missing() -> None:
    rng = np.random.default_rng(1)
    calm, rough = [0.005] * 100, rng.uniform(0.005, 0.095, 400).tolist()
    sound = spoken((0.5, 1.0), (8.0, 8.5), seconds=10.0)
    receiver, heard = listened(packets(sound, calm + rough), 10.0)
    ((first_s, _), *_, (last_s, _)) = runs(heard)
    assert receiver.dry > 0, "the first packets that were late were missed"
    assert last_s - 8.0 > first_s - 0.5 + 0.03
    late = [at_s for at_s, _ in heard if at_s > 6.0]
    assert np.diff(late).max() < 1.5 * PERIOD_S


def test_the_hold_of_one_stall_shrinks_in_the_next_silence() -> None:
    delays = [0.004] * 200
    delays[40:43] = [0.064, 0.044, 0.024]
    receiver, heard = listened(packets(spoken((0.5, 1.0), (2.0, 2.5), seconds=3.0), delays), 3.0)
    ((first_s, _), *_, (last_s, _)) = runs(heard)
    assert receiver.dry > 0 and receiver.late == receiver.lost == 0
    assert last_s - 2.0 == pytest.approx(first_s - 0.5, abs=0.012)
    assert LEAST_HOLD_S <= receiver.hold_s <= LEAST_HOLD_S + PERIOD_S + 1e-6


def test_a_lost_packet_is_silence_in_its_place() -> None:
    arrivals = packets(spoken((0.5, 1.5), seconds=2.5), [0.004])
    whole, _ = listened(arrivals, 2.5)
    receiver, heard = listened(arrivals[:40] + arrivals[41:], 2.5)
    assert whole.lost == 0 and receiver.lost == 1
    ((_, gap_from_s), (gap_to_s, end_s)) = runs(heard)
    # What was waited for it is not waited again, to a period.
    assert PACKET_S - 0.008 < gap_to_s - gap_from_s < PACKET_S + PERIOD_S + 0.008
    assert end_s - 1.5 == pytest.approx(PACKET_S + 0.004 + LEAST_HOLD_S + 0.0065, abs=0.03)


def test_a_jump_of_the_timestamps_is_followed() -> None:
    """Where a stall moved its clock by what is no whole packet."""
    arrivals = packets(spoken((0.5, 1.0), (1.5, 2.0), seconds=2.5), [0.004])
    jump_s, jump = 0.0333, round(0.0333 * SOUND_RTP_HZ)
    moved = [(at_s + jump_s, (stamp + jump) % (1 << 32), data) for at_s, stamp, data in arrivals[60:]]
    receiver, heard = listened(arrivals[:60] + moved, 2.6)
    assert receiver.lost == 2 and receiver.late == 0, "a hole of less than two packets"
    ((first_s, _), (second_s, _)) = runs(heard)
    assert second_s - first_s == pytest.approx(1.0 + jump_s, abs=0.015)


def test_positions_follow_the_stream_through_its_wrap() -> None:
    receiver = AudioReceiver()
    for arrival in packets(spoken(seconds=1.5), [0.004]):
        receiver.arrived(*arrival)
    began = [receiver.began for at_s in periods(1.5) if receiver.period(at_s) is not None]
    assert began[0] == ORIGIN * PLAYED_HZ // SOUND_RTP_HZ
    assert set(np.diff(began)) == {PERIOD}


def test_sender_reports_align_two_streams() -> None:
    sound, picture = RtpTimeline(48_000), RtpTimeline(90_000)
    assert sound.zero_s is None
    for axis, origin in ((sound, (1 << 32) - 1000), (picture, 77)):
        axis.unwrapped(origin)
        for seconds in (1.0, 2.0, 3.0):
            axis.reported(round((1e9 + seconds) * 2**32), (origin + round(seconds * axis.rate_hz)) % (1 << 32))
    assert sound.zero_s is not None and picture.zero_s is not None
    at_s = 90_000 * 2 + 77
    assert at_s / 90_000 + picture.zero_s - sound.zero_s == pytest.approx(((1 << 32) - 1000) / 48_000 + 2, abs=1e-5)
