"""`cvi bench`: what it refuses, lazy imports, and the loopback in virtual time."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ
from cvi.bench.latency import LatencyOptions, plan_latency
from cvi.bench.loopback import loopback_session
from cvi.bench.probe.mouth_motion import MouthAppearance
from cvi.bench.probe.tap import MouthBox
from cvi.bench.recordings.caller_blocks import CallerBlock, CallerTurn
from cvi.bench.run_store import load_run
from cvi.cli.bench import COMMANDS
from cvi.errors import UsageError
from cvi.media.decode import write_wav
from cvi.testing.fakes import fake_render
from cvi.testing.script import ScriptedTransport
from cvi.testing.virtual_time import run_virtual
from cvi.transport.scenario import Scenario


def cvi(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from cvi.cli.app import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_help_imports_nothing_that_measures() -> None:
    code = "import sys, cvi.cli.app; print([m for m in sys.modules if m.startswith('cvi.bench') or m == 'numpy'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_every_command_is_listed_and_documented() -> None:
    shown = cvi("bench", "--help").stdout
    for name, place in COMMANDS.items():
        module, function = place.split(":")
        assert getattr(import_module(module), function).__doc__
        assert name in shown


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--transport", "pigeon"), "--transport pigeon cannot be measured"),
        (("--transport", "webrtc", "--network", "slow"), "'slow' is no network"),
        (("--network", "5%"), "--network says what lies between"),
        (("--turns", "5000"), "turns, not 5000"),
        (("--callers", "nobody"), "no set of callers 'nobody'"),
        (("--size", "big"), "--size big is not a size"),
        (("--fps", "12"), "--fps 12 is not supported"),
        (("--persona", "no-such-one"), "no-such-one"),
    ],
)
def test_an_invalid_option_exits_with_2(
    run_cvi: Callable[..., subprocess.CompletedProcess[str]], words: tuple[str, ...], complaint: str
) -> None:
    done = run_cvi("bench", "latency", "--profile", "embedded", *words)
    assert done.returncode == 2
    assert complaint in done.stderr and "Traceback" not in done.stderr


def test_a_folder_with_a_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UsageError, match="holds a run already"):
        plan_latency(LatencyOptions(profile="embedded", turns=1, output=tmp_path))
    with pytest.raises(UsageError):
        load_run(tmp_path)


def test_the_loopback_measures_its_delays_in_virtual_time(tmp_path: Path) -> None:
    """The same loop as `cvi bench loopback`, on a clock that jumps: no machine is too slow for it."""
    rng = np.random.default_rng(1)
    sound = np.zeros(6 * HEARD_HZ, np.int16)
    turns = []
    for number, start_s in enumerate((1.0, 3.3)):
        noise = np.convolve(rng.normal(0, 1, HEARD_HZ + 7), np.ones(8), mode="valid") * 900
        sound[round(start_s * HEARD_HZ) :][: len(noise)] = noise
        end_s = start_s + len(noise) / HEARD_HZ
        turns.append(CallerTurn(f"t{number}", "question", "noise", start_s, end_s, start_s, end_s))
    write_wav(tmp_path / "voice.wav", sound, HEARD_HZ)
    block = CallerBlock("made", Scenario(tmp_path / "voice.wav"), tuple(turns))
    rest = np.zeros(560, np.float32) + 16
    look = MouthAppearance(MouthBox(0, 4, 0, 4), rest, np.zeros((0, 560), np.float32))

    for delay_ms in (0.0, 100.0, 250.0, 437.0):

        async def hold(delay_ms: float = delay_ms) -> list[object]:
            loop = asyncio.get_running_loop()
            _, _, answers = await loopback_session(
                block, delay_ms, fake_render, look, now=loop.time,
                transport=lambda clock: ScriptedTransport(clock, sound),
            )  # fmt: skip
            return list(answers)

        for answer in run_virtual(hold()):
            assert answer.sound_error_ms == pytest.approx(0, abs=2)
            assert answer.picture_error_ms == pytest.approx(0, abs=41)
