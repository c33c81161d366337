"""Tries native packages in a child process.

A native package that was built for another processor kills its process with SIGILL, so each is tried in a
child. One child tries them in turn; where it dies, the package under way is broken, and a new child tries the
rest.
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
    """`expression` is Python, in which `load(name)` imports a module; its value is shown in the report."""

    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """`shown` is the expression's value; else `missing` names an absent module, or `fault` is the error."""

    shown: str = ""
    missing: str = ""
    fault: str = ""

    @property
    def ok(self) -> bool:
        """Whether the expression had a value."""
        return not self.missing and not self.fault


def run_probes(probes: Sequence[Probe], timeout_s: float = TIMEOUT_S) -> dict[str, ProbeResult]:
    """Evaluate every probe in a child process; name -> result."""
    results: dict[str, ProbeResult] = {}
    rest = list(probes)
    while rest:
        lines, ending = _run_child(rest, timeout_s)
        for name, shown, fault in lines:
            absent = fault.removeprefix("missing:") if fault.startswith("missing:") else ""
            results[name] = ProbeResult(shown, absent, "" if absent else fault)
        rest = rest[len(lines) :]
        if rest:
            results[rest[0].name] = ProbeResult(fault=ending)
            rest = rest[1:]
    return results


def _run_child(probes: Sequence[Probe], timeout_s: float) -> tuple[list[tuple[str, str, str]], str]:
    """The results of one child until it ended, and how it ended."""
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
