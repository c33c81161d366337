"""Looking at native packages from a child process.

A native package can do worse than fail to import: one built for another processor kills its process
with SIGILL. So each is tried in a child, whose death is an answer too. One child tries them all in
turn; if it dies, the one under way is broken and a new child tries the rest.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

TIMEOUT_S = 120.0

# Each probe is an expression; what it evaluates to is shown. Anything printed by the package is ignored.
_CHILD = """
import importlib, json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    name, expression = json.loads(line)
    try:
        shown, fault = str(eval(expression, {"load": importlib.import_module})), ""
    except ModuleNotFoundError as error:
        shown, fault = "", f"missing:{error.name}"
    except BaseException as error:
        shown, fault = "", f"{type(error).__name__}: {error}"
    answers.write(json.dumps([name, shown, fault]) + "\\n")
    answers.flush()
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """`expression` is Python, in which `load(name)` imports a module."""

    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """`shown` is what the expression gave. Otherwise `missing` names an absent module, or `fault` is set."""

    shown: str = ""
    missing: str = ""
    fault: str = ""

    @property
    def ok(self) -> bool:
        return not self.missing and not self.fault


def run_probes(probes: Sequence[Probe], timeout_s: float = TIMEOUT_S) -> dict[str, ProbeResult]:
    """Evaluate each probe in a child process; name -> answer, for every probe."""
    answers: dict[str, ProbeResult] = {}
    rest = list(probes)
    while rest:
        lines, ending = _run_child(rest, timeout_s)
        for name, shown, fault in lines:
            absent = fault.removeprefix("missing:") if fault.startswith("missing:") else ""
            answers[name] = ProbeResult(shown, absent, "" if absent else fault)
        rest = rest[len(lines) :]
        if rest:
            answers[rest[0].name] = ProbeResult(fault=ending)
            rest = rest[1:]
    return answers


def _run_child(probes: Sequence[Probe], timeout_s: float) -> tuple[list[tuple[str, str, str]], str]:
    """The answers of one child as far as it came, and how it ended."""
    questions = "".join(json.dumps([probe.name, probe.expression]) + "\n" for probe in probes)
    try:
        child = subprocess.run(  # noqa: S603 (our own interpreter, our own code)
            [sys.executable, "-c", _CHILD], input=questions, capture_output=True, text=True, timeout=timeout_s
        )
        output, ending = child.stdout, _ending(child.returncode)
    except subprocess.TimeoutExpired as late:
        raw = late.stdout or b""
        output = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
        ending = f"gives no answer for {timeout_s:.0f} s"
    except OSError as error:
        output, ending = "", str(error)
    return [tuple(json.loads(line)) for line in output.splitlines()], ending


def _ending(status: int) -> str:
    if status < 0:
        return f"kills its process ({signal.Signals(-status).name})"
    return f"ends its process (status {status})"
