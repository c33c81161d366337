"""The machine's processors, memory and GPU."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cvi.threads import let_threads_sleep

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA GPU and its memory."""

    name: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Hardware:
    """`cores` this process may use and `ram_bytes` it may fill, within a container's limits."""

    cores: int
    ram_bytes: int
    gpu: Gpu | None


def detect() -> Hardware:
    """The hardware. Takes milliseconds without an NVIDIA driver, up to a second with one."""
    return Hardware(cores=_cores(), ram_bytes=_ram_bytes(), gpu=_gpu())


def llama_offloads() -> bool:
    """Whether the installed llama.cpp was built to use a GPU. Imports it, which takes a second."""
    let_threads_sleep()
    try:
        import llama_cpp
    except (ImportError, OSError, RuntimeError):
        return False
    return bool(llama_cpp.llama_supports_gpu_offload())


def llama_uses_amx() -> bool:
    """Whether the installed llama.cpp was built with AMX. Imports it, which takes a second."""
    let_threads_sleep()
    try:
        import llama_cpp
    except (ImportError, OSError, RuntimeError):
        return False
    return b"AMX_INT8 = 1" in llama_cpp.llama_print_system_info()


def _cores() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _text("/sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdecimal() and period.isdecimal() and int(period):
        return max(1, min(allowed, round(int(quota) / int(period))))
    return allowed


def _ram_bytes() -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _text("/sys/fs/cgroup/memory.max")
    return min(physical, int(limit)) if limit.isdecimal() else physical


def _gpu() -> Gpu | None:
    found = _ask_nvidia_smi()
    if found or not Path("/dev/nvidiactl").exists():
        return found
    # A driver without its tool, as in some containers. Only then torch is imported, which is slow.
    return _ask_torch() if importlib.util.find_spec("torch") else None


def _ask_nvidia_smi() -> Gpu | None:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout  # noqa: S603 (a fixed command, no shell)
    except (OSError, subprocess.SubprocessError):
        return None
    gpus = []
    for line in answer.splitlines():
        name, _, mebibytes = line.rpartition(",")
        if mebibytes.strip().isdecimal():
            gpus.append(Gpu(name.strip(), int(mebibytes) << 20))
    return max(gpus, key=lambda gpu: gpu.memory_bytes, default=None)


def _ask_torch() -> Gpu | None:
    try:
        torch = importlib.import_module("torch")
        if not torch.cuda.is_available():
            return None
        properties = torch.cuda.get_device_properties(0)
    except (ImportError, OSError, RuntimeError):
        return None
    return Gpu(str(properties.name), int(properties.total_memory))


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""
