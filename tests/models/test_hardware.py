from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cvi.models import hardware
from cvi.models.hardware import GIB, Gpu, detect


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for nvidia-smi, first on the path; the test writes what it does."""
    path = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return path


def write_tool(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_this_machine_has_a_processor_and_memory() -> None:
    found = detect()
    assert found.cores >= 1
    assert found.ram_bytes > GIB // 8


def test_the_largest_gpu_is_taken(tool: Path) -> None:
    write_tool(tool, "echo 'NVIDIA A2, 15356'; echo 'NVIDIA RTX 4090, Ti, 24564'")
    assert detect().gpu == Gpu("NVIDIA RTX 4090, Ti", 24564 << 20)


@pytest.mark.parametrize("script", ["echo 'No devices were found'", "exit 9", "echo 'NVIDIA Odd, [N/A]'"])
def test_a_tool_without_a_gpu_is_no_gpu(tool: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has an NVIDIA driver, which is asked next")
    write_tool(tool, script)
    assert detect().gpu is None


def test_a_containers_limits_count(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"/sys/fs/cgroup/cpu.max": "100000 100000", "/sys/fs/cgroup/memory.max": "1048576"}
    monkeypatch.setattr(hardware, "_text", lambda path: limits[path])
    monkeypatch.setattr(shutil, "which", lambda _: None)
    found = detect()
    assert (found.cores, found.ram_bytes) == (1, 1048576)


def test_no_limit_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    free = detect()
    limits = {"/sys/fs/cgroup/cpu.max": "max 100000", "/sys/fs/cgroup/memory.max": "max"}
    monkeypatch.setattr(hardware, "_text", lambda path: limits[path])
    assert detect().ram_bytes >= free.ram_bytes
    assert detect().cores >= free.cores
