"""The journal: the append-only record of one conversation.

One JSON object a line, flushed to the operating system before `write` returns, so that a process
killed at any moment leaves every event up to that moment. Everything else (transcript, latency,
live events, webhooks) is read from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cvi.clock import Clock
from cvi.errors import CviError, UsageError

JOURNAL_NAME = "journal.jsonl"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Event:
    """`t` is seconds on the conversation's clock; `seq` counts from 0 without a gap."""

    seq: int
    t: float
    type: str
    data: dict[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        return json.dumps({"seq": self.seq, "t": round(self.t, 4), "type": self.type, **self.data})


class Journal:
    """Writes events. Called from the conversation's event loop alone.

    Invariant: `seq` increases by one and `t` never decreases from line to line.
    """

    def __init__(self, path: Path | None, clock: Clock) -> None:
        """`path` is the file to create, None to keep the events in memory only (tests)."""
        self._clock = clock
        self._file = None
        self.path = path
        self.events: list[Event] | None = [] if path is None else None
        self._seq = 0
        self._last_t = 0.0
        self._broken = False
        self._readers: list[Callable[[Event], None]] = []
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._file = path.open("x", encoding="utf-8")
            except FileExistsError:
                raise UsageError(
                    f"A conversation is already recorded in {path.parent}.", "Choose another conversation id."
                ) from None

    def subscribe(self, reader: Callable[[Event], None]) -> None:
        """`reader` is called with every event, after it is written. It must return at once."""
        self._readers.append(reader)

    def write(self, type: str, /, **data: Any) -> Event:
        """Record that something happened now."""
        self._last_t = max(self._last_t, self._clock.now())
        event = Event(self._seq, self._last_t, type, data)
        self._seq += 1
        if self._file is not None and not self._broken:
            try:
                self._file.write(event.line() + "\n")
                self._file.flush()
            except OSError:
                # A full disk must not end the conversation; it is told to whoever looks.
                self._broken = True
        if self.events is not None:
            self.events.append(event)
        for reader in self._readers:
            reader(event)
        return event

    @property
    def broken(self) -> bool:
        """The journal could not be written any more (disk full); the conversation went on without."""
        return self._broken

    def close(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                self._broken = True
            self._file = None


def read_journal(path: Path) -> Iterator[Event]:
    """The events of a journal, in order; a last line cut short by a crash is left out.

    Raises `CviError` when the file cannot be read or an inner line is damaged.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CviError(
            f"The journal {path} cannot be read: {error.strerror}.", "See `cvi list` for what is recorded."
        ) from error
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            fields = json.loads(line)
            seq, t, kind = fields.pop("seq"), fields.pop("t"), fields.pop("type")
        except (ValueError, KeyError, AttributeError) as error:
            if number == len(lines):
                return
            raise CviError(
                f"{path}:{number}: this line of the journal is damaged.", "Restore the file from a copy."
            ) from error
        yield Event(seq, t, kind, fields)
