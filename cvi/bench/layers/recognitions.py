"""What a recognizer made of pieces of sound, kept in a file, so that a stopped measurement goes on.

Most of what a measurement in simulated time computes is Whisper decoding windows of sound. Each window is
decoded once; where it comes again, in this run or a later one, its text is read and the time it took is
counted as if it had been decoded again.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from cvi.audio.block import Pcm
from cvi.errors import UsageError


@runtime_checkable
class WindowRecognizer(Protocol):
    """A recognizer that decodes whole windows of sound."""

    transcribe: Callable[[Pcm], str]


class Recognitions:
    """One file of JSON lines: a window's key, its text, the seconds its decoding took. One thread."""

    def __init__(self, path: Path, model: str) -> None:
        """`model` tells recognizers apart. A line cut short by a stop is ignored. Raises UsageError."""
        self._path = path
        self._model = model
        self._known: dict[str, tuple[str, float]] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be read ({error}).", "Name another file.") from error
        for line in lines:
            try:
                key, text, took_s = json.loads(line)
                self._known[key] = str(text), float(took_s)
            except (ValueError, TypeError):
                continue

    def attach(self, engine: object, count: Callable[[float], None]) -> None:
        """Let `engine` look up what it decoded before; `count` is told the seconds that a look-up stands
        for. Recognizers that do not decode windows are left alone."""
        if not isinstance(engine, WindowRecognizer):
            return
        decode = engine.transcribe

        def transcribe(pcm: Pcm) -> str:
            key = hashlib.sha256(self._model.encode() + pcm.tobytes()).hexdigest()[:24]
            if (found := self._known.get(key)) is not None:
                count(found[1])
                return found[0]
            began, began_cpu = time.perf_counter(), time.process_time()
            text = decode(pcm)
            took_s = min(time.perf_counter() - began, time.process_time() - began_cpu)
            self._known[key] = text, took_s
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, text, round(took_s, 5)]) + "\n")
            return text

        engine.transcribe = transcribe
