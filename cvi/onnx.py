"""Opening ONNX networks: the one place that builds ONNX Runtime sessions.

One thread for each: several stages share few processors, and a second thread made most of them slower.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cvi.errors import EngineError, MissingError


def open_session(model: Path | bytes, name: str, remedy: str, *, cuda: bool = False) -> Any:
    """An `onnxruntime.InferenceSession` of a file or of serialized bytes, on one thread of the CPU.

    With `cuda` the GPU's provider comes first where ONNX Runtime has it. Raises MissingError without the
    package, and EngineError, with `name` and `remedy` in it, for anything that is no network.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingError(
            "ONNX Runtime is not installed.", "Install it with: pip install onnxruntime"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    if cuda and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        providers.insert(0, "CUDAExecutionProvider")
    source = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=providers)
    except Exception as error:  # ONNX Runtime's own errors have no common base
        raise EngineError(f"The {name} cannot be read ({_first_line(error)}).", remedy) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].strip().rstrip(".")
