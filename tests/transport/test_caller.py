"""Recorded callers: reading, segments, scenarios, waiting their turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvi.errors import UsageError
from cvi.media.readers import AudioReader
from cvi.transport.caller import GAP_S, CallerTrack
from cvi.transport.scenario import Segment, load_scenario, split_by_silence
from tests.recordings import HEARD_HZ, clicks, hush, tone, write_wav


def read_all(path: Path) -> np.ndarray:
    reader = AudioReader(path)
    parts = []
    while len(part := reader.read(1_234)):
        parts.append(part)
    reader.close()
    return np.concatenate(parts)


def test_16k_is_read_bit_for_bit(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-9000, 9000, 50_001).astype(np.int16)
    assert np.array_equal(read_all(write_wav(tmp_path / "a.wav", samples)), samples)


@pytest.mark.parametrize("hz", [8_000, 44_100, 96_000])
def test_other_rates_keep_their_times(tmp_path: Path, hz: int) -> None:
    at = [hz // 10, hz, 2 * hz + hz // 5]
    mono = clicks(3, at, hz)
    stereo = np.stack([mono, mono], axis=1)
    heard = read_all(write_wav(tmp_path / "a.wav", stereo, hz))
    assert abs(len(heard) - 3 * HEARD_HZ) <= 1
    for position in at:
        there = round(position * HEARD_HZ / hz)
        assert abs(int(np.argmax(np.abs(heard[there - 50 : there + 50]))) - 50) <= 1


def test_more_can_be_read_at_once_than_is_decoded_ahead(tmp_path: Path) -> None:
    reader = AudioReader(write_wav(tmp_path / "a.wav", hush(60)))
    assert len(reader.read(45 * HEARD_HZ)) == 45 * HEARD_HZ
    reader.close()


def test_a_long_file_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvi.media.readers.AHEAD_SAMPLES", HEARD_HZ)
    reader = AudioReader(write_wav(tmp_path / "a.wav", hush(60)))
    reader.read(160)
    assert reader._waiting <= 2 * HEARD_HZ
    reader.close()
    assert not reader._thread.is_alive()


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not sound")
    write_wav(tmp_path / "empty.wav", hush(0))
    for name, said in (("absent.wav", "absent.wav"), ("text.wav", "text.wav"), ("empty.wav", "no sound")):
        with pytest.raises(UsageError, match=said):
            AudioReader(tmp_path / name)
    write_wav(tmp_path / "hush.wav", hush(3))
    with pytest.raises(UsageError, match="Nobody speaks"):
        split_by_silence(tmp_path / "hush.wav")


def test_pauses_of_more_than_a_second_part_segments(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 20, HEARD_HZ * 9).astype(np.int16)
    sound = np.concatenate([hush(1), tone(1), hush(0.7), tone(0.5), hush(1.5), tone(2), hush(2.3)])
    first, second = split_by_silence(write_wav(tmp_path / "a.wav", sound + noise[: len(sound)]))
    assert (first.start_s, first.speech_end_s) == pytest.approx((0.85, 3.2), abs=0.03)
    assert (second.start_s, second.end_s, second.speech_end_s) == pytest.approx((4.55, 7.0, 6.7), abs=0.03)


def track(tmp_path: Path, segments: tuple[Segment, ...] | None, **options: float) -> CallerTrack:
    ramp = (np.arange(HEARD_HZ * 2) % 30_000 + 1).astype(np.int16)
    return CallerTrack(AudioReader(write_wav(tmp_path / "a.wav", ramp)), segments, **options)


def test_without_segments_the_file_runs_on(tmp_path: Path) -> None:
    caller = track(tmp_path, None)
    caller.reply_ended(0.5)
    assert np.array_equal(caller.read(1_000, 1_160), np.arange(1_001, 1_161))
    assert caller.file_s(8_000) == 0.5
    assert not caller.read(HEARD_HZ * 2, HEARD_HZ * 3).any()
    assert caller.over_at == HEARD_HZ * 2


def test_segments_wait_for_the_reply_and_a_moment(tmp_path: Path) -> None:
    caller = track(tmp_path, (Segment(0.25, 0.5), Segment(1.0, 1.25)))
    assert not caller.read(0, 16_000).any(), "the first waits too"
    caller.reply_ended(1.0)
    start = round((1.0 + GAP_S) * HEARD_HZ)
    heard = caller.read(16_000, start + 6_000)
    assert not heard[: start - 16_000].any()
    assert np.array_equal(heard[start - 16_000 :][:4_000], np.arange(4_001, 8_001)), "exactly the segment"
    assert not heard[start - 16_000 + 4_000 :].any()
    assert caller.file_s(start + 2_000) == pytest.approx(0.375)
    assert caller.file_s(start + 5_500) == pytest.approx(0.5), "the picture stands still in a pause"
    assert caller.over_at is None
    caller.reply_ended(3.0)
    heard = caller.read(start + 6_000, 80_000)
    assert np.flatnonzero(heard)[0] + start + 6_000 == round(3.6 * HEARD_HZ)
    assert caller.over_at == round(3.6 * HEARD_HZ) + 4_000


def test_a_reply_that_ends_while_the_caller_speaks_starts_nothing(tmp_path: Path) -> None:
    caller = track(tmp_path, (Segment(0, 0.5), Segment(1, 1.5)))
    caller.reply_ended(0.0)
    caller.read(0, round(0.8 * HEARD_HZ))
    caller.reply_ended(0.8)
    assert not caller.read(round(1.2 * HEARD_HZ), round(5 * HEARD_HZ)).any()


def test_a_caller_nobody_answers_goes_on_but_not_into_a_reply(tmp_path: Path) -> None:
    caller = track(tmp_path, (Segment(0, 0.5), Segment(1, 1.5)), patience_s=2.0)
    assert caller.read(0, 40_000)[:32_000].max() == 0
    assert caller.read(31_999, 32_002)[1] == 1
    caller.read(32_000, 48_000)
    caller.persona_heard(3.5)
    heard = caller.read(48_000, 100_000)
    assert np.flatnonzero(heard)[0] + 48_000 == round(5.5 * HEARD_HZ)


def test_a_scenario_is_read_and_its_faults_are_named(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(1))
    good = "audio: a.wav\nsegments:\n  - {start_s: 0, end_s: 0.5, text: Hello, speech_end_s: 0.4}\n"
    path = tmp_path / "s.yaml"
    path.write_text(good)
    scenario = load_scenario(path)
    assert scenario.segments == (Segment(0.0, 0.5, "Hello", 0.4),) and scenario.audio == tmp_path / "a.wav"
    path.write_text(good + "screen: a.wav\nscreen_start_s: 3.5\n")
    assert (load_scenario(path).screen, load_scenario(path).screen_start_s) == (tmp_path / "a.wav", 3.5)
    for text, said in (
        ("audio: [", "s.yaml:1:"),
        ("segments: []", "needs `audio"),
        ("audio: b.wav", "no file"),
        (good + "screen: b.mp4\n", "no file"),
        (good + "picture: [a.wav]\n", "`picture` must name a file"),
        (good + "screen_start_s: soon\n", "screen_start_s of the scenario"),
        (good.replace("end_s: 0.5", "end_s: -1"), "end_s of segment 1"),
        (good.replace("end_s: 0.5", "ends: 1"), "no key 'ends'"),
        (good.replace("0.4", "0.9"), "outside"),
        (good + "  - {start_s: 0.2, end_s: 0.9}\n", "segment 2 starts before"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=said):
            load_scenario(path)


def test_a_block_that_is_kept_keeps_nothing_but_itself(tmp_path: Path) -> None:
    """A turn of a minute is six thousand blocks: each must not hold the seconds around it."""
    reader = AudioReader(write_wav(tmp_path / "a.wav", tone(3)))
    track = CallerTrack(reader)
    track.read(0, 2 * HEARD_HZ)
    block = track.read(HEARD_HZ, HEARD_HZ + 160)
    base = block if block.base is None else block.base
    assert memoryview(base).nbytes == block.nbytes == 320
    again = track.read(HEARD_HZ, HEARD_HZ + 160)
    block[:] = 0
    assert again.any() and track.read(HEARD_HZ, HEARD_HZ + 160).any()
    track.forget(int(1.5 * HEARD_HZ))
    assert np.array_equal(track.read(2 * HEARD_HZ, 2 * HEARD_HZ + 160), tone(3)[2 * HEARD_HZ :][:160])
    reader.close()
