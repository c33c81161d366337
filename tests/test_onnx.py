"""Sessions of ONNX networks: one thread, and errors that say what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cvi.errors import EngineError, MissingError
from cvi.onnx import open_session


def test_a_file_that_is_no_network_is_an_engine_error(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(b"nothing")
    for model in (path, path.read_bytes(), tmp_path / "none.onnx"):
        with pytest.raises(EngineError, match=r"turn model .*cannot be read.*Get another"):
            open_session(model, "turn model x", "Get another.")


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingError, match="pip install onnxruntime"):
        open_session(b"", "network", "")


def test_a_network_runs_on_one_thread() -> None:
    pytest.importorskip("faster_whisper", reason="its voice activity network is what is opened")
    from cvi.turns.silero import _weights

    session = open_session(_weights(), "network", "")
    options = session.get_session_options()
    assert options.intra_op_num_threads == options.inter_op_num_threads == 1
    assert session.get_providers() == ["CPUExecutionProvider"]
