"""A whole conversation through real weights: Whisper tiny.en, Piper Joe, Smart Turn, and a stand-in for
the model.

The weights are those of `cvi models pull whisper-tiny-en piper-en-us-joe-medium smart-turn-v3`, found in
`$CVI_TEST_MODELS` (a data folder that is kept between runs; `.ci/run` makes it) or in the usual data folder.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from cvi.audio.block import HEARD_HZ
from cvi.media.decode import read_audio
from cvi.models.installed import find_installed

NEEDED = ("whisper-tiny-en", "piper-en-us-joe-medium", "smart-turn-v3")
SCENARIOS = Path(__file__).parents[2] / "cvi" / "bench" / "scenarios"
ANSWER = "The sky is blue because the air scatters blue light more than red light."


@pytest.fixture(scope="module")
def home() -> Path:
    """A data folder in which the weights are installed."""
    with pytest.MonkeyPatch.context() as patch:
        if named := os.environ.get("CVI_TEST_MODELS"):
            patch.setenv("CVI_HOME", named)
        missing = [name for name in NEEDED if find_installed(name) is None]
        if missing:
            pytest.skip(f"not installed: cvi models pull {' '.join(missing)}")
        from cvi.paths import home as data_folder

        return data_folder()


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """What the stand-in was asked, the latest message of each request."""
    return []


@pytest.fixture(scope="module")
def endpoint(asked: list[str]) -> Iterator[str]:
    """An OpenAI-compatible chat endpoint on the loopback that always gives the same answer, word by word."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(b'{"data": []}', "application/json")

        def do_POST(self) -> None:
            body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append(body["messages"][-1]["content"])
            events = [json.dumps({"choices": [{"delta": {"content": word + " "}}]}) for word in ANSWER.split()]
            self._send("".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode(), "text/event-stream")

        def _send(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def test_a_conversation(home: Path, endpoint: str, asked: list[str], tmp_path: Path) -> None:
    """The caller's words reach the model, the model's words come out of the voice, and lips and film are
    there."""
    installed = {name: find_installed_in(home, name) for name in NEEDED}
    persona = {
        "persona_name": "Sky",
        "system_prompt": "You answer questions.",
        "layers": {
            "stt": {"engine": "faster-whisper", "model": str(installed["whisper-tiny-en"])},
            "llm": {"base_url": endpoint, "model": "stand-in"},
            "tts": {"engine": "piper", "model": str(installed["piper-en-us-joe-medium"])},
        },
    }
    (tmp_path / "sky.yaml").write_text(yaml.safe_dump(persona))
    scenario = yaml.safe_load((SCENARIOS / "questions.yaml").read_text())
    scenario["audio"] = str(SCENARIOS / scenario["audio"])
    scenario["segments"] = scenario["segments"][:1]
    (tmp_path / "caller.yaml").write_text(yaml.safe_dump(scenario))
    film = tmp_path / "talk.mp4"
    command = ["talk", "caller.yaml", "--wait", "--stereo", "-o", str(film), "--persona", "sky.yaml"]
    run = subprocess.run(
        [sys.executable, "-c", "from cvi.cli.app import main; main()", *command, "--profile", "embedded"],
        env={**os.environ, "CVI_HOME": str(tmp_path / "home")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert asked and len(words(asked[-1])) >= 3, "the caller's words did not reach the model"
    shown = run.stdout
    assert "The sky is blue" in shown
    assert _understood(home, film) >= 0.8


def _understood(home: Path, film: Path) -> float:
    """The share of the answer's words that a recognizer hears in the persona's channel of the film."""
    import av
    from faster_whisper import WhisperModel

    from cvi.stt.whisper_window import WindowDecoder

    with av.open(str(film)) as container:
        stereo = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
        rate = container.streams.audio[0].rate
    persona = stereo[1]
    pcm = np.clip(persona * 32767, -32768, 32767).astype(np.int16)
    from cvi.audio.resample import resample

    heard_pcm = resample(pcm, rate, HEARD_HZ)
    loud = np.flatnonzero(np.abs(heard_pcm) > 300)
    model = WhisperModel(
        str(find_installed_in(home, "whisper-tiny-en")), device="cpu", compute_type="int8", cpu_threads=1
    )
    heard = set(words(WindowDecoder(model, "en").decode(heard_pcm[loud[0] : loud[-1]])))
    wanted = words(ANSWER)
    return sum(word in heard for word in wanted) / len(wanted)


def find_installed_in(home: Path, name: str) -> Path:
    """The path of an installed model in the data folder `home`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CVI_HOME", str(home))
        card = find_installed(name)
        assert card is not None
        return card.path


def test_recordings_are_read_as_any_tool_reads_them(home: Path) -> None:
    """The shipped caller through the real recognizer: words, not noise."""
    from faster_whisper import WhisperModel

    from cvi.stt.whisper_window import WindowDecoder

    pcm = read_audio(SCENARIOS / "demo.flac")[: 12 * HEARD_HZ]
    model = WhisperModel(
        str(find_installed_in(home, "whisper-tiny-en")), device="cpu", compute_type="int8", cpu_threads=1
    )
    assert len(words(WindowDecoder(model, "en").decode(pcm))) >= 5
