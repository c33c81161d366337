"""The progress of work in stages: a bar in a terminal, a line now and then in a file."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

_LINE_EVERY_S = 30.0


class Stages:
    """Shows nothing before the first stage begins: of an order that is refused nothing is seen but why."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("{task.description:16}"), BarColumn(), TextColumn("{task.fields[note]}"))
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task("", total=None, note="")
        self._stage = ""
        self._told_s = 0.0

    def show(self, stage: str, done: int, of: int, note: str = "") -> bool:
        """`note` in place of how much is done of how much; whether the stage has just begun."""
        begins, said = stage != self._stage, note or f"{done} of {of}"
        if self._console.is_terminal:
            if not self._stage:
                self._bar.start()
            if begins:
                self._bar.reset(self._task, description=stage, total=of)
            self._bar.update(self._task, completed=done, total=of, note=said)
        elif begins or time.monotonic() - self._told_s > _LINE_EVERY_S:
            self._console.print(f"{stage}: {100 * done // max(of, 1)} %, {said}", highlight=False)
            self._told_s = time.monotonic()
        self._stage = stage
        return begins

    def close(self) -> None:
        """End the progress display."""
        if self._stage and self._console.is_terminal:
            self._bar.stop()
