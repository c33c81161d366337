"""Samples of a process tree that the test itself starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cvi.bench.soak.watch import check_readable, sample_tree
from cvi.errors import MissingError

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# Holds 64 MiB, 5 more threads, 7 more files and a child; says so, and waits to be let go.
_HUNGRY = """
import subprocess, sys, threading
gate = threading.Event()
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
held = bytearray(64 << 20)
for _ in range(5):
    threading.Thread(target=gate.wait, daemon=True).start()
files = [open("/dev/null") for _ in range(7)]
print("ready", flush=True)
input()
child.communicate(b"\\n")
"""
_MODEST = "print('ready', flush=True)\ninput()"


def _start(code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@linux
def test_memory_threads_files_and_children_are_counted() -> None:
    modest, hungry = _start(_MODEST), _start(_HUNGRY)
    try:
        little, much = sample_tree(modest.pid, 1.0), sample_tree(hungry.pid, 1.0)
    finally:
        modest.communicate("\n")
        hungry.communicate("\n")
    assert little is not None
    assert much is not None
    assert little.processes == 1
    assert much.processes == 2
    assert 60 < much.rss_mib - little.rss_mib < 100
    assert much.threads - little.threads == 6
    assert 8 <= much.handles - little.handles <= 15
    assert much.pss_mib is not None
    assert much.pss_mib <= much.rss_mib


@linux
def test_a_process_that_is_gone_is_none() -> None:
    process = _start(_MODEST)
    process.communicate("\n")
    assert sample_tree(process.pid, 0.0) is None


@linux
def test_own_processor_time_grows_with_work() -> None:
    tick_hz = os.sysconf("SC_CLK_TCK")
    before = sample_tree(os.getpid(), 0.0, tick_hz=tick_hz)
    sum(i * i for i in range(2_000_000))
    after = sample_tree(os.getpid(), 1.0, tick_hz=tick_hz)
    assert before is not None
    assert after is not None
    assert after.cpu_s > before.cpu_s


def test_without_proc_a_missing_error_is_raised(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="/proc"):
        check_readable(tmp_path)
