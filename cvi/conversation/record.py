"""Conversations on disk: one folder each, with the journal and, where one was made, the recording."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from cvi.conversation.events import ConversationEnded, ConversationStarted, Event, PlayoutFigures
from cvi.conversation.journal import JOURNAL_NAME, read_journal
from cvi.errors import UsageError

RECORDING_NAME = "recording.mp4"
_ID = re.compile(r"c[0-9a-f]{12}")


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
    return f"c{secrets.token_hex(6)}"


def list_ids(root: Path) -> list[str]:
    """The conversations under `root`, newest first."""
    if not root.is_dir():
        return []
    journals = [path / JOURNAL_NAME for path in root.iterdir() if _ID.fullmatch(path.name)]
    there = [path for path in journals if path.is_file()]
    return [path.parent.name for path in sorted(there, key=lambda p: p.stat().st_mtime, reverse=True)]


def load_record(root: Path, name: str) -> Record:
    """A conversation by its id, by the beginning of it, by `last`, or by a path to its folder or journal.

    Raises UsageError when there is none such, CviError when its journal is damaged.
    """
    folder = _folder(root, name)
    return Record(folder.name, folder, list(read_journal(folder / JOURNAL_NAME)))


def _folder(root: Path, name: str) -> Path:
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
