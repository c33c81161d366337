"""The process that makes one replica: `python -m cvi.server.training`.

The first line of standard input is the order; standard output tells how far it is, in lines of JSON:
`progress` (stage, done, of), and last `made` or `failed` (message). It stops with all that was done kept, on
SIGTERM and when standard input ends because the server is gone; the same order goes on from there.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cvi.errors import CviError, UsageError

NICENESS = 10
"""Conversations go before."""
TELL_EVERY_S = 0.5
GONE_AFTER_S = 10.0
"""A stage that does not look up is not waited for: the next one starts it anew."""
STOPPED = 130

Tell = Callable[[dict[str, Any]], None]


def make(order: dict[str, Any], tell: Tell, stop: threading.Event) -> int:
    """Make what was ordered; the exit status. `tell` is told `made` or `failed`, unless it was stopped."""
    folder = Path(order["folder"])
    with (folder / ".lock").open("w") as lock:
        # A process of a server that was killed may still be storing what it did.
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            _make(order, folder, tell, stop)
        except KeyboardInterrupt:
            return STOPPED
        except CviError as error:
            if stop.is_set():
                return STOPPED
            tell({"type": "failed", "message": told(error, order)})
            return error.exit_status
    return 0


def _make(order: dict[str, Any], folder: Path, tell: Tell, stop: threading.Event) -> None:
    """Raises KeyboardInterrupt when it was stopped, else as `train_replica` does."""
    from cvi.models.installed import installed_speech_encoder
    from cvi.server.training.opening import cut_opening
    from cvi.training.pipeline import TrainingRequest, train_replica

    film = Path(order["film"])
    consent = Path(order["consent"]) if order["consent"] else folder / "opening.mkv"
    if not consent.is_file():
        cut_opening(film, consent)
    last: tuple[str, float] = ("", 0.0)

    def progress(stage: str, done: int, of: int, note: str) -> None:
        nonlocal last
        if stop.is_set() and stage != "train":
            raise KeyboardInterrupt
        now = time.monotonic()
        if stage != last[0] or now - last[1] >= TELL_EVERY_S or done == of:
            last = stage, now
            tell({"type": "progress", "stage": stage, "done": done, "of": of})

    made = train_replica(
        TrainingRequest(
            video=film,
            name=order["name"],
            consent=str(consent),
            consent_by=order["consent_by"] or None,
            quality=order["quality"],
            script=Path(order["script"]) if order["script"] else None,
            encoder=installed_speech_encoder(),
        ),
        progress,
        stop.is_set,
    )
    if made is None:
        raise KeyboardInterrupt
    tell({"type": "made"})


def told(error: CviError, order: dict[str, Any]) -> str:
    """What went wrong, for somebody who has not got this machine's paths and command line."""
    from cvi.paths import home
    from cvi.training.grading.grader import GRADE

    graded = home() / "training" / order["name"] / GRADE
    if isinstance(error, UsageError) and graded.is_file():
        grade = json.loads(graded.read_text(encoding="utf-8"))
        if grade["verdict"] == "unusable":
            faults = [fault for fault in grade["faults"] if fault["fatal"]]
            said = " ".join(f"{fault['said']} {fault['remedy']}" for fault in faults)
            return f"The footage is unusable: {said}"
    text = str(error).replace(order["film"], "the footage")
    if order["consent"]:
        text = text.replace(order["consent"], "the consent")
    return text[:1].upper() + text[1:]


def main() -> None:
    os.nice(NICENESS)
    # Standard output is for messages alone: what libraries print goes to standard error.
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_watch, args=(stop,), daemon=True).start()

    def tell(message: dict[str, Any]) -> None:
        try:
            out.write(json.dumps(message).encode() + b"\n")
        except BrokenPipeError:
            stop.set()

    status = make(order, tell, stop)
    # The watching thread sits in a read that nothing ends.
    os._exit(status)


def _watch(stop: threading.Event) -> None:
    while sys.stdin.readline():
        pass
    stop.set()
    time.sleep(GONE_AFTER_S)
    os._exit(STOPPED)


if __name__ == "__main__":
    main()
