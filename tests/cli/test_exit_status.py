"""Exit status: 0 whole, 1 something failed or is missing, 2 misuse."""

from __future__ import annotations

import random
import sys
import threading
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
import yaml
from test_disk_faults import run

from cvi.cli import app
from cvi.media.decode import read_audio


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """Three seconds of AAC with spoilt packets."""
    path = tmp_path / "tone.mp4"
    with av.open(str(path), "w") as made:
        track = made.add_stream("aac", rate=44_100, layout="mono")
        for start in range(0, 44_100 * 3, 1024):
            tone = (8000 * np.sin(np.arange(start, start + 1024) * 0.05)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 44_100, start, Fraction(1, 44_100)
            made.mux(track.encode(frame))
        made.mux(track.encode(None))
    data, chance = bytearray(path.read_bytes()), random.Random(3)
    begin, end = data.index(b"mdat") + 8, data.index(b"moov")
    for _ in range(10):
        at = chance.randrange(begin, end - 40)
        data[at : at + 20] = chance.randbytes(20)
    path.write_bytes(data)
    return path


def test_sound_that_was_left_out_is_told_once_and_the_status_is_1(
    damaged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        read_audio(damaged)
        read_audio(damaged)
        sys.exit(0)

    monkeypatch.setattr(app, "app", command)
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == 1
    assert capsys.readouterr().err.count("damaged packets of sound are left out") == 1


class Failing(BaseHTTPRequestHandler):
    """An endpoint that has a model and never answers from it."""

    def do_GET(self) -> None:
        self._answer(200, b'{"object": "list", "data": [{"id": "m", "object": "model"}]}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self._answer(400, b'{"error": {"message": "out of order"}}')

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_conversation_whose_model_failed_ends_with_1_and_keeps_its_journal(tmp_path: Path) -> None:
    endpoint = ThreadingHTTPServer(("127.0.0.1", 0), Failing)
    threading.Thread(target=endpoint.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{endpoint.server_port}/v1"
    layers = {"llm": {"engine": "openai", "model": "m", "base_url": url, "api_key": "k"}}
    persona = tmp_path / "far.yaml"
    persona.write_text(yaml.safe_dump({"persona_name": "Far", "system_prompt": "Answer.", "layers": layers}))
    done = run(str(tmp_path), f"talk --text --profile embedded --persona {persona}")
    endpoint.shutdown()
    assert done.returncode == 1 and "a part of it failed" in done.stderr, done.stderr[-600:]
    assert list(tmp_path.glob("conversations/*/journal.jsonl"))


def test_documents_of_which_one_cannot_be_read_end_with_1(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("The shop opens at nine in the morning.")
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.4 nothing")
    both = run(str(tmp_path / "home"), f"knowledge add {tmp_path / 'good.txt'} {tmp_path / 'bad.pdf'}")
    assert both.returncode == 1 and "good.txt" in both.stdout and "bad.pdf" in both.stderr
