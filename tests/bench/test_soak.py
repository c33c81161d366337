"""A soak: the spool on disk, the series read from it, the lengthened scenario, the command's options."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml
from typer.testing import CliRunner

from cvi.audio.block import HEARD_HZ, HOP_SAMPLES, PLAYED_HZ, AudioBlock
from cvi.bench.probe import tap as tap_module
from cvi.bench.probe.evidence import Evidence
from cvi.bench.probe.tap import EvidenceSink, MemorySink, MouthBox, Tap
from cvi.bench.probe.waveform import TimeSpan
from cvi.bench.soak import spool as spool_module
from cvi.bench.soak.spool import FLUSHES, SoakReading, SpoolSink, answers_ms, began_s, clear_spool, read_spool
from cvi.bench.soak.watch import ProcessSample, SoakOptions, _Watch, lengthen_scenario, series_of, soak
from cvi.bench.statistics import growing_series, judge_series
from cvi.cli.bench_soak import soak as command
from cvi.errors import CviError, UsageError
from cvi.media.decode import read_audio, write_wav
from cvi.media.frames import AVUnit
from cvi.transport.scenario import load_scenario

FPS = 25
UNIT = PLAYED_HZ // FPS
BOX = MouthBox(10, 30, 14, 42)


class _Inner:
    """A transport that only counts."""

    name, fps, caller_over = "inner", FPS, False

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def open(self) -> None:
        self.calls.append("open")

    async def microphone(self) -> AsyncIterator[AudioBlock]:
        for number in range(3):
            yield AudioBlock(np.full(HOP_SAMPLES, number, np.int16), number * 0.01)

    async def due(self, index: int) -> float:
        return index / FPS

    def present(self, unit: AVUnit) -> None:
        self.calls.append(f"present {unit.index}")

    def heard_s(self) -> float:
        return 4.2

    def flush(self) -> None:
        self.calls.append("flush")

    def reply_ended(self) -> None:
        self.calls.append("reply_ended")

    def notify(self, event: str, text: str = "") -> None:
        self.calls.append(event)

    async def close(self) -> None:
        self.calls.append("close")


def _frame(mouth: int) -> np.ndarray:
    frame = np.full((72, 64), 100, np.uint8)
    frame[BOX.top : BOX.bottom, BOX.left : BOX.right] = mouth
    return frame


def _voice(samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 4000, samples).astype(np.int16)


async def test_the_tap_forwards_and_records_everything(tmp_path: Path) -> None:
    inner = _Inner()
    times = iter(np.arange(100.0, 200.0, 0.04))
    tap = Tap(inner, SpoolSink(tmp_path, FPS, BOX), now=lambda: float(next(times)))
    await tap.open()
    assert [block.pcm[0] async for block in tap.microphone()] == [0, 1, 2]
    units = [_voice(UNIT, number) for number in range(50)]
    for number, pcm in enumerate(units):
        tap.present(AVUnit(number, number / FPS, _frame(100 + number), pcm))
    tap.flush()
    tap.reply_ended()
    tap.notify("captions")
    assert (await tap.due(5), tap.heard_s(), tap.caller_over) == (0.2, 4.2, False)
    await tap.close()
    await tap.close()
    assert inner.calls[:2] == ["open", "present 0"]
    assert inner.calls[-5:] == ["flush", "reply_ended", "captions", "close", "close"]

    assert began_s(tmp_path, FPS) == pytest.approx(100.12)
    [found] = list(read_spool(tmp_path, FPS, 240.0))
    assert np.array_equal(found.persona_pcm, np.stack(units))
    assert found.mouths is not None
    assert found.mouths.shape == (50, 20, 28)
    assert [int(mouth[0, 0]) // 64 for mouth in found.mouths[:3]] == [100, 101, 102]
    assert found.frame_times_s[[0, 49]] == pytest.approx([0, 1.96])
    spans = [len(span.persona_pcm) for span in read_spool(tmp_path, FPS, 0.8)]
    assert len(spans) == 2 and sum(spans) == 50, "what is left at the end belongs to the last span"
    # A process killed while it wrote leaves part of a record.
    with (tmp_path / "units.bin").open("ab") as file:
        file.write(b"part")
    assert len(next(read_spool(tmp_path, FPS, 240.0)).persona_pcm) == 50
    clear_spool(tmp_path)
    assert not (tmp_path / FLUSHES).exists()
    assert list(read_spool(tmp_path, FPS, 240.0)) == []


@pytest.mark.parametrize("make", ["spool", "probe"])
async def test_no_whole_frame_waits_for_a_slow_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: str
) -> None:
    """What a busy machine leaves waiting must not be what a soak would call a leak."""
    go = threading.Event()
    shrink = tap_module.shrink

    def behind(luma: np.ndarray) -> np.ndarray:
        assert go.wait(10)
        return shrink(luma)

    for module in (spool_module, tap_module):
        monkeypatch.setattr(module, "shrink", behind)
    sink: EvidenceSink = SpoolSink(tmp_path, FPS, BOX) if make == "spool" else MemorySink(BOX)
    tap = Tap(_Inner(), sink)
    kept = []
    for number in range(20):
        frame = _frame(100 + number)
        kept.append(weakref.ref(frame))
        tap.present(AVUnit(number, number / FPS, frame, _voice(UNIT, number)))
        del frame
    alive = sum(one() is not None for one in kept)
    go.set()
    await tap.close()
    assert alive == 0
    recorded = (
        sink.evidence("s", FPS, 0.0) if isinstance(sink, MemorySink) else next(read_spool(tmp_path, FPS, 240.0))
    )
    mouths = recorded.mouths
    assert mouths is not None
    assert [int(mouth[0, 0]) // 64 for mouth in mouths] == list(range(100, 120))


async def test_ctrl_c_ends_the_conversation_and_keeps_what_there_is() -> None:
    ended = asyncio.Event()

    class Ending:
        reasons: list[str] = []  # noqa: RUF012

        def end(self, reason: str) -> None:
            self.reasons.append(reason)
            ended.set()

    watch = _Watch(lambda sample: None)
    before = signal.getsignal(signal.SIGINT)
    watch.began(Ending())  # type: ignore[arg-type]
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.wait_for(ended.wait(), 30)
    assert Ending.reasons == ["stopped"] and watch.stopped
    assert signal.getsignal(signal.SIGINT) in (before, signal.default_int_handler), "the next one breaks off"


async def test_a_spool_with_known_delays_is_read_back(tmp_path: Path) -> None:
    """Two minutes: answers 0.7 s after each question, a mouth 60 ms late, 15 late frames in the second."""
    frames = 120 * FPS
    at_s = np.arange(frames) / FPS
    persona = np.zeros(120 * PLAYED_HZ, np.int16)
    caller = np.zeros(120 * HEARD_HZ, np.int16)
    mouth = np.full(frames, 100)
    rng = np.random.default_rng(5)
    for turn, begin_s in enumerate(np.arange(2.0, 110.0, 10.0)):
        _lay(caller, HEARD_HZ, begin_s, _voice(2 * HEARD_HZ, turn))
        syllables = np.repeat(rng.uniform(0.05, 1, 15), PLAYED_HZ // 5)
        reply = (_voice(3 * PLAYED_HZ, turn) * syllables).astype(np.int16)
        _lay(persona, PLAYED_HZ, begin_s + 2.7, reply)
        shown = (at_s >= begin_s + 2.76) & (at_s < begin_s + 5.76)
        mouth[shown] = 100 + 120 * np.sqrt(
            syllables[((at_s[shown] - begin_s - 2.76 + 0.5 / FPS) * PLAYED_HZ).astype(int) % len(syllables)]
        )
    late_s = np.zeros(frames)
    late_s[90 * FPS : 90 * FPS + 15] = 0.055

    class Session(_Inner):
        async def microphone(self) -> AsyncIterator[AudioBlock]:
            for start in range(0, len(caller), HOP_SAMPLES):
                yield AudioBlock(caller[start : start + HOP_SAMPLES], start / HEARD_HZ)

    now = [0.0]
    tap = Tap(Session(), SpoolSink(tmp_path, FPS, BOX), now=lambda: now[0])
    for number in range(frames):
        now[0] = at_s[number] + late_s[number]
        unit = persona[number * UNIT : (number + 1) * UNIT]
        tap.present(AVUnit(number, float(at_s[number]), _frame(int(mouth[number])), unit))
    heard = 0
    now[0] = 0.01
    async for _ in tap.microphone():
        heard += 1
        now[0] = (heard + 1) * 0.01
    await tap.close()

    reading = SoakReading()
    for evidence in read_spool(tmp_path, FPS, 60.0):
        reading.add(evidence)
    assert [round(value) for _, value in reading.late_per_min] == [0, 15]
    answers = [value for _, value in reading.answer_ms]
    assert len(answers) >= 10
    assert answers == pytest.approx([700] * len(answers), abs=8)
    playout = reading.playout()
    assert (playout.frames, playout.late) == (frames, 15)
    assert playout.sync_ms == pytest.approx(60, abs=20)
    assert playout.drift_ms_per_min is not None
    assert abs(playout.drift_ms_per_min[0]) < 5


def _lay(sound: np.ndarray, rate_hz: int, at_s: float, pcm: np.ndarray) -> None:
    start = round(at_s * rate_hz)
    sound[start : start + len(pcm)] = pcm[: len(sound) - start]


def test_a_stall_at_the_beginning_is_read() -> None:
    """Four frames at once, then an even pace: the fourth belongs before the first one's hand-over."""
    times_s = np.concatenate([[0.0, 0.0001, 0.0003, 0.0005], 0.04 * np.arange(4, 64) - 0.1208])
    pcm = np.stack([_voice(UNIT, number) for number in range(64)])
    caller = np.zeros((60, HOP_SAMPLES), np.int16)
    evidence = Evidence("s", FPS, 0.01 * np.arange(60), caller, times_s, pcm, None, np.zeros(0))
    track = evidence.persona()
    assert track.start_s == pytest.approx(-0.0008)
    assert np.array_equal(track.pcm[-UNIT:], pcm[-1])
    reading = SoakReading()
    reading.add(evidence)
    assert reading.playout().frames == 64


def test_only_sound_after_the_turns_end_is_an_answer() -> None:
    said = [TimeSpan(0, 2), TimeSpan(5, 6), TimeSpan(9, 10)]
    heard = [TimeSpan(1.5, 2.4), TimeSpan(2.7, 4), TimeSpan(9.5, 12), TimeSpan(30, 31)]
    assert answers_ms(said, heard) == [(2, 700.0)]


def test_a_scenario_is_repeated_to_the_wanted_length(tmp_path: Path) -> None:
    write_wav(tmp_path / "c.wav", _voice(3 * HEARD_HZ, 1), HEARD_HZ)
    document = {
        "audio": "c.wav",
        "segments": [{"start_s": 0.5, "end_s": 2.0, "speech_end_s": 1.8, "text": "Hm?"}],
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    (tmp_path / "out").mkdir()
    found = load_scenario(lengthen_scenario(tmp_path / "c.yaml", 60.0, tmp_path / "out"))
    assert len(found.segments) == 15
    assert [round(segment.start_s, 3) for segment in found.segments[:3]] == [0.5, 3.5, 6.5]
    assert found.segments[2].speech_end_s == pytest.approx(7.8)
    assert len(read_audio(found.audio)) == 15 * 3 * HEARD_HZ


def test_samples_become_series_and_series_verdicts() -> None:
    samples = [ProcessSample(100.0 + 5 * n, 500 + n * 0.5, None, 20, 30, 2, 0.4 * n) for n in range(360)]
    series = series_of(samples, 100.0)
    assert set(series) == {"rss_mib", "threads", "handles", "cpu_percent"}
    assert series["cpu_percent"][0] == (5.0, 8.0)
    found = {course.watched.name: course for course in judge_series(series, 1800.0)}
    assert [course.watched.name for course in growing_series(list(found.values()))] == ["rss_mib"]
    trend = found["rss_mib"].trend
    assert trend is not None
    assert trend.slope == pytest.approx(360, rel=0.01)


def test_a_failed_conversation_reports_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVI_HOME", str(tmp_path / "home"))
    write_wav(tmp_path / "c.wav", _voice(3 * HEARD_HZ, 1), HEARD_HZ)
    document = {"audio": "c.wav", "segments": [{"start_s": 0.5, "end_s": 2.0}]}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    options = SoakOptions(minutes=0.5, scenario=tmp_path / "c.yaml", persona="nobody-of-that-name")
    with pytest.raises(CviError, match="nobody-of-that-name"):
        soak(options, tmp_path / "run")


@pytest.mark.parametrize("wrong", [["--minutes", "0"], ["--fps", "23"], ["--size", "big"]])
def test_invalid_options_are_refused(wrong: list[str]) -> None:
    app = typer.Typer()
    app.command()(command)
    assert isinstance(CliRunner().invoke(app, wrong).exception, UsageError)
