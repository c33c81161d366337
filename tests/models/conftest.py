from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from model_hub import CONTENTS, Hub, handler, make_model

from cvi.models import manifest
from cvi.models.manifest import Model


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub, which `HF_ENDPOINT` names."""
    served = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(served))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    served.address = f"http://127.0.0.1:{server.server_port}"
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", served.address + "/")
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def cvi_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty `$CVI_HOME`."""
    folder = tmp_path / "cvi_home"
    monkeypatch.setenv("CVI_HOME", str(folder))
    return folder


@pytest.fixture
def small_manifest(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> tuple[Model, ...]:
    """Three tiny models that make up the profile `cpu`, served by the hub. The voice has no known hash."""
    models = (
        make_model("tiny-ear", "stt", "faster-whisper", "."),
        make_model("tiny-mind", "llm", "llama-cpp", "mind.gguf"),
        make_model("tiny-voice", "tts", "piper", "voice.onnx", pinned=False),
    )
    for model in models:
        hub.add(model, CONTENTS[model.id])
    monkeypatch.setattr(manifest, "load_manifest", lambda path=None: models)
    return models
