"""How llama.cpp is built: without AMX where the processor names it, without anything special elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

from cvi.models import llama_build
from cvi.models.llama_build import build_command, build_environment


def test_amx_is_left_out_where_the_processor_has_it(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("flags : fpu avx512f amx_bf16 amx_tile amx_int8\n")
    assert "-mno-amx-tile" in build_environment(info)["CXXFLAGS"]
    assert "CXXFLAGS='-mno-amx-tile" in build_command(info)
    info.write_text("flags : fpu avx2\n")
    assert build_environment(info) == {"CMAKE_ARGS": "-DMTMD_VIDEO=OFF"}
    assert build_environment(tmp_path / "absent") == {"CMAKE_ARGS": "-DMTMD_VIDEO=OFF"}


def test_it_runs_before_anything_is_installed(tmp_path: Path) -> None:
    """As scripts/environment runs it: a bare interpreter, and the caller's own flags are kept."""
    printed = subprocess.run(
        [sys.executable, "-I", "-S", llama_build.__file__],
        env={**os.environ, "CMAKE_ARGS": "-DMINE=ON"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "export CMAKE_ARGS='-DMINE=ON -DMTMD_VIDEO=OFF'" in printed
