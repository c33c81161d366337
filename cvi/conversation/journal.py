"""The journal: the append-only record of one conversation, and the conversations on disk.

One JSON object a line, flushed to the operating system before `write` returns, so that a process
killed at any moment leaves every event up to that moment. Transcript, latency, live events and
webhooks are all read from it. Its events are in `cvi.conversation.events`. Each conversation has a folder of
its own with the journal and, where one was made, the recording.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from cvi.clock import Clock
from cvi.conversation.events import (
    ConversationEnded,
    ConversationStarted,
    Event,
    PlayoutFigures,
    event_from_json,
)
from cvi.errors import CviError, UsageError
from cvi.files import private, private_folder

JOURNAL_NAME = "journal.jsonl"
FORMAT = 2
"""Written as `format` into the first line. Format 1 had no such field and the same events."""

RECORDING_NAME = "recording.mp4"
_ID = re.compile(r"c[0-9a-f]{12}")

E = TypeVar("E", bound=Event)


class Journal:
    """Writes events. Called from the conversation's event loop alone.

    Invariant: `seq` increases by one and `t` never decreases from line to line.
    """

    def __init__(self, path: Path | None, clock: Clock, past: Sequence[Event] = ()) -> None:
        """`path` is the file to create, None to keep the events in memory only (tests).

        With `past`, the file holds these events already and is written on; what stands behind the last whole
        line is cut off.
        """
        self._clock = clock
        self._file = None
        self.path = path
        self.events: list[Event] | None = [] if path is None else None
        self._seq = 0
        self._last_t = 0.0
        self._broken = False
        self._readers: list[Callable[[Event], None]] = []
        if past:
            self._seq, self._last_t = past[-1].seq + 1, past[-1].t
        if path is not None:
            try:
                private_folder(path.parent)
                if past:
                    _cut_to_whole_lines(path)
                mode = "a" if past else "x"
                self._file = open(path, mode, encoding="utf-8", errors="replace", opener=private)  # noqa: SIM115
            except FileExistsError:
                raise UsageError(
                    f"A conversation is already recorded in {path.parent}.", "Choose another conversation id."
                ) from None
            except OSError as error:
                raise CviError(
                    f"The journal {path} cannot be written: {error.strerror or error}.",
                    "Free some space, or set CVI_HOME to a folder that can be written to.",
                ) from error

    def subscribe(self, reader: Callable[[Event], None]) -> None:
        """`reader` is called with every event, after it is written. It must return at once."""
        self._readers.append(reader)

    def write(self, event: E) -> E:
        """Record that `event` happened now; returns it with its number and time."""
        self._last_t = max(self._last_t, self._clock.now())
        event = replace(event, seq=self._seq, t=self._last_t)
        self._seq += 1
        if self._file is not None and not self._broken:
            try:
                self._file.write(_line(event) + "\n")
                self._file.flush()
            except OSError:
                # A full disk must not end the conversation; `broken` tells whoever looks.
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

    def check(self) -> None:
        """Raises CviError where the journal does not hold all that happened: for commands, at their end."""
        if self._broken:
            raise CviError(
                f"The journal {self.path} could not be written to its end: part of the conversation is lost.",
                "Free some space on the disk.",
            )

    def close(self) -> None:
        """Close the file. Events written afterwards only reach the readers."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                self._broken = True
            self._file = None


def read_journal(path: Path) -> Iterator[Event]:
    """The events of a journal, in order; a last line cut short by a crash is left out.

    Raises CviError when the file cannot be read, an inner line is damaged, or a later version wrote it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CviError(
            f"The journal {path} cannot be read: {error.strerror}.", "See `cvi list` for what is recorded."
        ) from error
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            fields = _object(line)
            if number == 1 and int(fields.get("format", 1)) > FORMAT:
                raise CviError(f"The journal {path} was written by a later version of cvi.", "Update cvi.")
            event = event_from_json(fields)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            if number == len(lines):
                return
            raise CviError(
                f"{path}:{number}: this line of the journal is damaged.", "Restore the file from a copy."
            ) from error
        yield event


def _cut_to_whole_lines(path: Path) -> None:
    data = path.read_bytes()
    if not data.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)


def _line(event: Event) -> str:
    fields = event.to_json()
    return json.dumps({**fields, "format": FORMAT} if event.seq == 0 else fields)


def _object(line: bytes) -> dict[str, Any]:
    fields = json.loads(line.decode("utf-8"))
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    return fields


@dataclass(frozen=True, slots=True)
class Record:
    """One conversation. `events` are those that were written, however it ended."""

    conversation_id: str
    folder: Path
    events: list[Event]

    @property
    def recording(self) -> Path | None:
        """The recorded film, None if none was made."""
        path = self.folder / RECORDING_NAME
        return path if path.is_file() else None

    @property
    def started(self) -> ConversationStarted:
        """The journal's first event: persona, replica, profile, engines and when it began ("" if unknown)."""
        first = self.events[0] if self.events else None
        return first if isinstance(first, ConversationStarted) else ConversationStarted()

    @property
    def ended(self) -> str | None:
        """Why it ended; None when it never did: it is running, or its process died."""
        last = self._last
        return last.reason if last is not None else None

    @property
    def playout(self) -> PlayoutFigures | None:
        """How its media units were presented; None when it was typed or has not ended."""
        return self._last.playout if self._last is not None else None

    @property
    def duration_s(self) -> float:
        """The time of its last event, in seconds from its start."""
        return self.events[-1].t if self.events else 0.0

    @property
    def _last(self) -> ConversationEnded | None:
        last = self.events[-1] if self.events else None
        return last if isinstance(last, ConversationEnded) else None


def new_id() -> str:
    """A conversation's id: "c" and twelve random hexadecimal digits."""
    return f"c{secrets.token_hex(6)}"


def list_ids(root: Path) -> list[str]:
    """The conversations under `root`, newest first."""
    if not root.is_dir():
        return []
    journals = [path / JOURNAL_NAME for path in root.iterdir() if _ID.fullmatch(path.name)]
    present = [path for path in journals if path.is_file()]
    return [path.parent.name for path in sorted(present, key=lambda p: p.stat().st_mtime, reverse=True)]


def load_record(root: Path, name: str) -> Record:
    """A conversation by its id, by the beginning of it, by `last`, or by a path to its folder or journal.

    Raises UsageError when there is no such conversation, CviError when its journal is damaged.
    """
    folder = find_folder(root, name)
    return Record(folder.name, folder, list(read_journal(folder / JOURNAL_NAME)))


def find_folder(root: Path, name: str) -> Path:
    """The folder of a conversation, named as for `load_record`. Raises UsageError when there is none."""
    path = Path(name)
    if path.name == JOURNAL_NAME and path.is_file():
        return path.parent.absolute()
    if (path / JOURNAL_NAME).is_file():
        return path.absolute()
    ids = list_ids(root)
    if name == "last" and ids:
        return root / ids[0]
    matching = [found for found in ids if found.startswith(name)]
    if len(matching) == 1:
        return root / matching[0]
    if matching:
        raise UsageError(f"'{name}' fits {len(matching)} conversations.", "Give more of its id.")
    near = get_close_matches(name, ids, n=1)
    hint = f"Did you mean {near[0]}?" if near else "`cvi list` shows them."
    raise UsageError(f"There is no conversation '{name}'.", hint)
