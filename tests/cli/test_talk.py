"""`cvi talk` as a person would run it: real engines, real files, a killed process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

from cvi.audio.block import HEARD_HZ
from cvi.media.decode import read_audio, write_wav

CVI = [sys.executable, "-c", "from cvi.cli.app import main; main()"]
SCENARIOS = Path(__file__).parents[2] / "cvi" / "bench" / "scenarios"


def cvi(*words: str | Path, home: Path, **options) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CVI_HOME": str(home), "COLUMNS": "120"}
    command = [*CVI, *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, **options)


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first questions of the package's caller, as a scenario that waits for its answers."""
    folder = tmp_path_factory.mktemp("caller")
    document = yaml.safe_load((SCENARIOS / "questions.yaml").read_text())
    document["audio"] = str(SCENARIOS / document["audio"])
    document["segments"] = document["segments"][:1]
    path = folder / "one.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def frames_in(film: Path) -> int:
    """How many frames play; what a killed process left half written at the end does not count."""
    frames = 0
    with av.open(str(film)) as container:
        try:
            for _ in container.decode(video=0):
                frames += 1
        except av.error.InvalidDataError:
            return frames
    return frames


def test_a_whole_conversation_into_a_film(caller: Path, tmp_path: Path) -> None:
    film = tmp_path / "talk.mp4"
    run = cvi("talk", caller, "--wait", "-o", film, "--stereo", "--size", "640x360", "--profile", "embedded", home=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "first sound heard" in run.stdout
    shown = json.loads(cvi("show", "last", "--json", home=tmp_path).stdout)
    assert [line["role"] for line in shown["transcript"]] == ["assistant", "user", "assistant"]
    assert "hello" in shown["transcript"][1]["text"]
    turn = shown["latency_ms"][0]
    assert 0 < turn["floor"] <= turn["first_audio"]
    with av.open(str(film)) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert (picture.width, picture.height) == (640, 360)
        heard = np.concatenate([f.to_ndarray() for f in container.decode(sound)], axis=1)
    # Left is the caller, right the persona, each at the time the journal says.
    for channel, line in ((0, shown["transcript"][1]), (1, shown["transcript"][2])):
        at = round(line["start_s"] * sound.rate)
        assert np.abs(heard[channel, at : at + sound.rate]).max() > 0.02
        assert np.abs(heard[1 - channel, at : at + sound.rate]).max() < 0.02
    assert cvi("list", home=tmp_path).stdout.count("caller over") == 1


def test_after_kill_the_transcript_and_the_film_are_there(caller: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "CVI_HOME": str(tmp_path)}
    words = ["talk", str(caller), "--wait", "-o", str(tmp_path / "talk.mp4"), "--size", "320x180", "--profile", "embedded"]
    process = subprocess.Popen([*CVI, *words], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    journal = None
    while time.monotonic() < deadline:
        journal = next(tmp_path.glob("conversations/*/journal.jsonl"), None)
        if journal is not None and "reply_heard" in journal.read_text() and '"t": 4.' in journal.read_text():
            break
        time.sleep(0.1)
    process.kill()
    process.wait()
    assert journal is not None
    with journal.open("a") as file:
        file.write('{"seq": 99')  # as if the last write had been cut
    shown = cvi("show", "last", home=tmp_path)
    assert shown.returncode == 0 and "Hi," in shown.stdout and "cut short" in shown.stdout
    assert not (tmp_path / "talk.mp4").exists()
    assert frames_in(journal.parent / "recording.mp4") >= 50


def test_ctrl_c_ends_cleanly_and_keeps_everything(caller: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "CVI_HOME": str(tmp_path)}
    film = tmp_path / "talk.mp4"
    words = ["talk", str(caller), "--wait", "-o", str(film), "--size", "320x180", "--profile", "embedded"]
    process = subprocess.Popen([*CVI, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(
        "reply_first_audio" in path.read_text() for path in tmp_path.glob("conversations/*/journal.jsonl")
    ):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    with av.open(str(film)) as container:
        assert container.duration > 0
    record = json.loads(cvi("show", "last", "--json", home=tmp_path).stdout)
    assert record["ended"] == "stopped"


def test_a_typed_conversation(tmp_path: Path) -> None:
    run = cvi("talk", "--text", "--profile", "embedded", home=tmp_path, input="what is your name\n/quit\n")
    assert run.returncode == 0, run.stderr
    assert "No effect here: context (a very small model" in run.stderr
    shown = json.loads(cvi("show", "last", "--json", home=tmp_path).stdout)
    assert [line["role"] for line in shown["transcript"]] == ["assistant", "user", "assistant"]
    assert shown["transcript"][-1]["text"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["talk", "nobody.wav"], "There is no file nobody.wav"),
        (["talk", "silent.wav"], "is silent"),
        (["talk", "long.wav"], "at most one"),
        (["talk", "garbage.wav"], "not a sound or picture file"),
        (["talk", "voice.wav", "-o", "no/such/folder/x.mp4"], "does not exist"),
        (["talk", "voice.wav", "-o", "x.avi"], "only MP4"),
        (["talk", "voice.wav", "--persona", "guidde"], "Did you mean 'guide'"),
        (["talk", "voice.wav", "--size", "99"], "is not a size"),
        (["talk", "voice.wav", "--fps", "7"], "not supported"),
        (["talk", "voice.wav", "--text"], "typed conversation"),
        (["talk", "--wait"], "recorded caller"),
        (["talk", "voice.wav", "--profile", "embeded"], "Did you mean 'embedded'"),
        (["show", "c00"], "There is no conversation"),
    ],
)
def test_misuse_is_one_clean_line_and_leaves_nothing(
    run_cvi: Callable[..., subprocess.CompletedProcess[str]],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    says: str,
    tmp_path: Path,
) -> None:
    write_wav(tmp_path / "silent.wav", np.zeros(HEARD_HZ, np.int16), HEARD_HZ)
    write_wav(tmp_path / "voice.wav", read_audio(SCENARIOS / "demo.flac")[: 12 * HEARD_HZ], HEARD_HZ)
    if "long.wav" in words:
        write_wav(tmp_path / "long.wav", np.zeros(3 * 3600 * 8000, np.int16), 8000)
    (tmp_path / "garbage.wav").write_bytes(b"not a sound" * 99)
    before = set(tmp_path.iterdir())
    home = tmp_path / "home"
    monkeypatch.chdir(tmp_path)
    run = run_cvi(*words, home=home)
    assert run.returncode == 2, run.stderr
    assert says in run.stderr and "Traceback" not in run.stderr
    assert set(tmp_path.iterdir()) - before <= {home}
    assert not list(home.glob("conversations/*"))


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from cvi.cli.app import app;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0;"
        "heavy = {'numpy', 'torch', 'cv2', 'av', 'llama_cpp', 'onnxruntime', 'pydantic', 'yaml', 'pygame'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
