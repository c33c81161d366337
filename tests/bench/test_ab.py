"""Toy peers with known delays are measured right to 5 ms, in virtual time."""

from __future__ import annotations

import shlex
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from toy_peers import ToyPeer, caller_file
from typer.testing import CliRunner

from cvi.bench.ab import PeerSetup, measure_peers
from cvi.bench.compare import compare_runs
from cvi.bench.recordings.caller_blocks import CallerBlock, block_of_file
from cvi.bench.run import Run
from cvi.bench.run_store import RunRecorder, load_run
from cvi.cli.bench_ab import ab as command
from cvi.errors import UsageError
from cvi.media.decode import read_audio
from cvi.testing.virtual_time import run_virtual


def _caller(folder: Path, lengths_s: tuple[float, ...] = (0.9, 1.3, 0.7)) -> CallerBlock:
    """The toy caller, labelled to the sample."""
    scenario = caller_file(folder, lengths_s)
    found = block_of_file(scenario.audio)
    turns = tuple(
        replace(
            found.turns[0],
            id=f"t{number}",
            start_s=segment.start_s,
            end_s=segment.end_s,
            speech_start_s=segment.start_s + 0.1,
            speech_end_s=segment.speech_end_s or segment.end_s,
            into_reply_s=segment.into_reply_s,
        )
        for number, segment in enumerate(scenario.segments)
    )
    return CallerBlock("toy", scenario, turns)


def _measured(folder: Path, caller: CallerBlock, *peers: tuple[str, ToyPeer]) -> Run:
    setups = [PeerSetup(name, "a toy", lambda peer=peer: peer) for name, peer in peers]  # type: ignore[misc]
    return run_virtual(measure_peers(setups, [caller], RunRecorder("ab", {}, output=folder / "run")))


@pytest.mark.parametrize("delay_s", [0.4567, 1.25])
@pytest.mark.parametrize(
    "how", [{}, {"burst": False}, {"silence": True, "burst": False}, {"out_hz": 24000}, {"out_hz": 8000}]
)
def test_the_latency_of_a_known_peer_is_right_to_5_ms(
    tmp_path: Path, delay_s: float, how: dict[str, Any]
) -> None:
    run = _measured(tmp_path, _caller(tmp_path), ("toy", ToyPeer(delay_s, **how)))
    found = [turn.first_audio_ms for turn in run.variants[0].turns]
    assert found == pytest.approx([1000 * delay_s] * 3, abs=5)
    assert {turn.outcome for turn in run.variants[0].turns} == {"answered"}


def test_two_peers_are_measured_apart_and_compared_in_pairs(tmp_path: Path) -> None:
    caller = _caller(tmp_path, (0.9, 1.3, 0.7, 1.1, 0.8, 1.2))
    run = _measured(tmp_path, caller, ("slow", ToyPeer(1.0)), ("quick", ToyPeer(0.5)))
    row = compare_runs(run, run, ("slow", "quick")).rows[0]
    assert row.paired
    assert row.comparison.ratio.value == pytest.approx(0.5, abs=0.01)
    assert row.finding == "better"


def test_a_peer_that_speaks_into_a_pause_has_cut_in(tmp_path: Path) -> None:
    caller = _caller(tmp_path, (2.4,))
    pcm = read_audio(caller.scenario.audio)
    voiceless = pcm.copy()
    voiceless[round(1.3 * 16000) : round(2.2 * 16000)] = 0
    from cvi.media.decode import write_wav

    write_wav(caller.scenario.audio, voiceless, 16000)
    run = _measured(tmp_path, caller, ("hasty", ToyPeer(0.3)))
    turn = run.variants[0].turns[0]
    assert turn.outcome == "cut_in"
    assert len(turn.cut_ins_s) == 1


def test_silence_is_unanswered_and_noted(tmp_path: Path) -> None:
    class Mute(ToyPeer):
        async def _answer(self, at_s: float) -> None:
            return

    run = _measured(tmp_path, _caller(tmp_path), ("mute", Mute(0.5)))
    assert [turn.outcome for turn in run.variants[0].turns] == ["unanswered"] * 3
    assert "mute: 3 of 3 turns got no answer of their own." in run.notes


def test_words_over_a_reply_are_timed_and_yielding_is_measured(tmp_path: Path) -> None:
    caller = _caller(tmp_path, (0.9, 1.0))
    over = replace(caller.scenario.segments[1], into_reply_s=1.0)
    scenario = replace(caller.scenario, segments=(caller.scenario.segments[0], over))
    turns = (caller.turns[0], replace(caller.turns[1], kind="barge_in", into_reply_s=1.0))
    caller = CallerBlock("toy", scenario, turns)

    class Yielding(ToyPeer):
        async def hear(self, pcm: Any) -> None:
            began_s = self._busy_until_s - self.reply_s
            if np.abs(pcm).max() > 200 and began_s < self._clock() < self._busy_until_s:
                self._said.put_nowait(None)
                self._busy_until_s = 0.0
            await super().hear(pcm)

        def _clock(self) -> float:
            import asyncio

            return asyncio.get_running_loop().time()

    run = _measured(tmp_path, caller, ("polite", Yielding(0.5, reply_s=4.0)))
    cut = run.variants[0].barge_ins[0]
    # It knows of the voice when a block that holds it is full: 20 ms at most.
    assert cut.silence_ms == pytest.approx(15, abs=15)
    reply_began_s = run.variants[0].turns[0].speech_end_s + 0.5
    assert cut.voice_at_s - reply_began_s == pytest.approx(1.0 + 0.1, abs=0.05)


def test_recordings_are_written(tmp_path: Path) -> None:
    run = _measured(tmp_path, _caller(tmp_path), ("toy", ToyPeer(0.5)))
    assert [len(read_audio(tmp_path / "run" / name)) > 16000 for name in run.files] == [True, True]
    assert run.kind == "ab"


# The worked example of docs/bench.md: a program that answers when it has heard 0.4 s of quiet.
_PROGRAM = """
    import array, os, sys
    quiet, heard = 0, False
    while data := sys.stdin.buffer.read(640):
        loud = max(map(abs, array.array("h", data))) > 500
        heard, quiet = heard or loud, 0 if loud else quiet + 1
        if heard and quiet == 20:
            heard = False
            sys.stdout.buffer.write(array.array("h", [8000, -8000] * 4000).tobytes())
            sys.stdout.buffer.flush()
"""


def test_the_command_measures_a_program_end_to_end(tmp_path: Path) -> None:
    program = tmp_path / "peer.py"
    program.write_text(textwrap.dedent(_PROGRAM), encoding="utf-8")
    scenario = caller_file(tmp_path, (0.6,))
    app = typer.Typer()
    app.command()(command)
    out = tmp_path / "out"
    peer = "toy=" + shlex.join([sys.executable, str(program)])
    arguments = [peer, "--callers", str(scenario.audio), "--ready-s", "0.5", "-o", str(out)]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    variant = load_run(out).variants[0]
    assert variant.name == "toy"
    # It cannot answer sooner than it does; how much later depends on the machine.
    assert variant.turns[0].outcome == "answered"
    assert variant.turns[0].first_audio_ms is not None
    assert variant.turns[0].first_audio_ms > 380
    assert "toy" in (out / "report.html").read_text(encoding="utf-8")


def test_two_peers_with_one_name_are_refused(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(command)
    found = CliRunner().invoke(app, ["ws://a", "ws://a"])
    assert isinstance(found.exception, UsageError)
    assert "Two peers" in str(found.exception)
