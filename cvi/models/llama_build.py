"""How llama.cpp is built for this processor.

Runs by itself too (`python cvi/models/llama_build.py` prints shell exports), because the package is not
installed yet when llama-cpp-python is built: so it imports nothing of the project.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

REQUIREMENT = "llama-cpp-python==0.3.36"
_CPU_INFO = Path("/proc/cpuinfo")
# Where a system withholds the AMX tiles (most virtual machines do), a build with them asks for them at every
# operation, which costs a system call each: 13 % of the time of a token.
_WITHOUT_AMX = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"


def build_environment(cpu_info: Path = _CPU_INFO) -> dict[str, str]:
    """Environment variables for building llama-cpp-python: pictures but no films, and without AMX."""
    variables = {"CMAKE_ARGS": "-DMTMD_VIDEO=OFF"}
    try:
        has_amx = "amx_tile" in cpu_info.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        has_amx = False
    if has_amx:
        variables |= {"CFLAGS": _WITHOUT_AMX, "CXXFLAGS": _WITHOUT_AMX}
    return variables


def build_command(cpu_info: Path = _CPU_INFO) -> str:
    """A shell command that builds llama-cpp-python anew for this processor."""
    environment = build_environment(cpu_info).items()
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in environment)
    build = f"--force-reinstall --no-deps --no-cache-dir --no-binary llama-cpp-python {REQUIREMENT}"
    return f"{variables} pip install {build}"


if __name__ == "__main__":
    for name, value in build_environment().items():
        print(f"export {name}={shlex.quote(' '.join(filter(None, (os.environ.get(name), value))))}")
