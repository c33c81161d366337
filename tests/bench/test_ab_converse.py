"""A conversation with a toy peer in virtual time: what is heard, and when."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from toy_peers import ToyPeer, caller_file, spoken, tone

from cvi.audio.block import HEARD_HZ, PLAYED_HZ
from cvi.bench.ab import PeerConversation, PeerPlayback, converse
from cvi.bench.ab_peers import CommandPeer, WebSocketPeer, peer_at
from cvi.clock import Clock
from cvi.errors import UsageError
from cvi.testing.virtual_time import run_virtual
from cvi.transport.scenario import Scenario


def _talk(peer: ToyPeer, scenario: Scenario) -> PeerConversation:
    async def hold() -> PeerConversation:
        try:
            return await converse(peer, scenario, Clock())
        finally:
            await peer.close()

    return run_virtual(hold())


def _answers_ms(heard: PeerConversation) -> list[float]:
    """From the last loud sample of each utterance to the first of the next answer."""
    caller = np.flatnonzero(np.abs(heard.caller.astype(int)) > 200)
    breaks = np.flatnonzero(np.diff(caller) > 0.3 * HEARD_HZ)
    ends_s = [(int(caller[at]) + 1) / HEARD_HZ for at in (*breaks, -1)]
    loud_s = np.flatnonzero(np.abs(heard.peer.astype(int)) > 1000) / PLAYED_HZ
    return [1000 * (float(loud_s[loud_s >= end][0]) - end) for end in ends_s if (loud_s >= end).any()]


@pytest.mark.parametrize("delay_s", [0.3, 0.5123, 1.0, 2.75])
@pytest.mark.parametrize("burst", [True, False])
def test_an_answer_is_heard_at_its_time(tmp_path: Path, delay_s: float, burst: bool) -> None:
    heard = _talk(ToyPeer(delay_s, burst=burst), caller_file(tmp_path))
    assert _answers_ms(heard) == pytest.approx([1000 * delay_s] * 3, abs=1)
    assert heard.worst_lag_ms < 1


@pytest.mark.parametrize("out_hz", [8000, 24000, 48000])
def test_other_rates_are_heard_at_the_same_time(tmp_path: Path, out_hz: int) -> None:
    heard = _talk(ToyPeer(0.6, out_hz=out_hz), caller_file(tmp_path))
    assert _answers_ms(heard) == pytest.approx([600] * 3, abs=2)


def test_a_peer_that_sends_silence_is_measured_the_same(tmp_path: Path) -> None:
    heard = _talk(ToyPeer(0.5, silence=True), caller_file(tmp_path))
    assert _answers_ms(heard) == pytest.approx([500] * 3, abs=25)


def test_the_caller_waits_for_the_answer_to_end(tmp_path: Path) -> None:
    heard = _talk(ToyPeer(0.4, reply_s=3.0), caller_file(tmp_path))
    caller_s = np.flatnonzero(np.abs(heard.caller.astype(int)) > 200) / HEARD_HZ
    peer_s = np.flatnonzero(np.abs(heard.peer.astype(int)) > 1000) / PLAYED_HZ
    assert not np.intersect1d((caller_s * 500).astype(int), (peer_s * 500).astype(int)).size


def test_the_caller_goes_on_when_a_peer_never_answers(tmp_path: Path) -> None:
    class Mute(ToyPeer):
        async def _answer(self, at_s: float) -> None:
            return

    heard = _talk(Mute(0.5), caller_file(tmp_path))
    assert not heard.peer.any()
    caller = np.flatnonzero(np.abs(heard.caller.astype(int)) > 200)
    assert int((np.diff(caller) > 5 * HEARD_HZ).sum()) == 2


def test_cleared_sound_is_not_heard(tmp_path: Path) -> None:
    whole = _talk(ToyPeer(0.5, reply_s=2.0), caller_file(tmp_path, (0.9,)))
    cut = _talk(ToyPeer(0.5, reply_s=2.0, interrupt_s=0.7), caller_file(tmp_path, (0.9,)))
    loud = [np.count_nonzero(np.abs(h.peer.astype(int)) > 1000) / PLAYED_HZ for h in (whole, cut)]
    assert loud == pytest.approx([2.0, 0.7], abs=0.01)


def test_a_peer_that_fails_ends_the_conversation_with_its_error(tmp_path: Path) -> None:
    class Broken(ToyPeer):
        async def speech(self):  # type: ignore[no-untyped-def]
            yield tone(0.1)
            raise UsageError("it broke")

    with pytest.raises(UsageError, match="it broke"):
        _talk(Broken(0.5), caller_file(tmp_path))


def test_pieces_play_one_after_the_other_and_late_ones_when_they_come() -> None:
    playback = PeerPlayback(PLAYED_HZ)
    playback.add(tone(0.5, PLAYED_HZ), 1.0)
    playback.add(tone(0.5, PLAYED_HZ), 1.1)
    playback.add(tone(0.2, PLAYED_HZ), 3.0)
    loud = np.abs(playback.between(0.0, 4.0).astype(int)) > 1000
    assert not loud[:PLAYED_HZ].any()
    assert loud[PLAYED_HZ : 2 * PLAYED_HZ].all()
    assert not loud[2 * PLAYED_HZ : 3 * PLAYED_HZ].any()
    assert loud[3 * PLAYED_HZ : round(3.2 * PLAYED_HZ)].all()
    assert np.array_equal(
        playback.between(1.3, 3.1), playback.between(0.0, 4.0)[round(1.3 * PLAYED_HZ) : round(3.1 * PLAYED_HZ)]
    )
    assert playback.last_voice_s(1.25) == 1.25
    assert playback.last_voice_s(2.5) == 2.0
    assert playback.last_voice_s(0.9) is None


def test_faint_noise_is_no_voice() -> None:
    playback = PeerPlayback()
    playback.add((spoken(1.0, 0) // 400).astype(np.int16), 0.0)
    assert playback.last_voice_s(2.0) is None


def test_addresses_choose_their_adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    assert isinstance(peer_at("ws://127.0.0.1:1/x"), WebSocketPeer)
    assert isinstance(peer_at("./robot --fast"), CommandPeer)
    assert type(peer_at("python:toy_peers:build")).__name__ == "ToyPeer"
    for wrong in ("python:", "python:toy_peers:missing", "python:no_such_module:build", "", "robot 'x"):
        with pytest.raises(UsageError):
            peer_at(wrong)
    with pytest.raises(UsageError, match="--out-hz 12345"):
        peer_at("ws://x", 12345)
