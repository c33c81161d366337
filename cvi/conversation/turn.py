"""One turn of the participant while it is being spoken."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.conversation.reply import Reply
from cvi.stt.base import SttStream


class UserTurn:
    """State and background work of one turn; ended by `close`, after which nothing of it runs.

    `prefix` is text of an earlier part whose end was guessed too early. `text` is prefix and the
    latest final transcript; `completeness` is None until that text has been judged. The last `keep_s`
    of its sound are at hand in `recent`.
    """

    def __init__(
        self,
        number: int,
        stream: SttStream,
        started_s: float,
        *,
        overlap: bool,
        prefix: str = "",
        keep_s: float = 0.0,
    ) -> None:
        self.number = number
        self.stream = stream
        self.started_s = started_s
        self.voice_started_s = started_s
        self.speech_end_s = started_s
        self.paused_s = started_s
        self.voiced_s = 0.0
        self.overlap = overlap
        self.prefix = prefix
        self.partial = ""
        self.partial_asked_s = started_s
        self.text = ""
        self.completeness: float | None = None
        self.draft: Reply | None = None
        self.drafts = 0
        self._keep = round(keep_s * HEARD_HZ)
        self._kept: deque[Pcm] = deque()
        self._kept_samples = 0
        self._judging: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()

    def joined(self, text: str) -> str:
        return f"{self.prefix} {text}".strip()

    def hear(self, pcm: Pcm) -> None:
        """Sound of the turn, for the recognizer."""
        self.stream.feed(pcm)
        if self._keep:
            self._kept.append(pcm)
            self._kept_samples += len(pcm)
            while self._kept_samples - len(self._kept[0]) >= self._keep:
                self._kept_samples -= len(self._kept.popleft())

    def recent(self) -> Pcm:
        """The last of its sound, pauses included."""
        kept = np.concatenate(self._kept) if self._kept else np.zeros(0, np.int16)
        return kept[-self._keep :] if self._keep else kept

    def judge(self, work: Coroutine[Any, Any, None]) -> None:
        """Start judging the pause; only the newest pause is judged."""
        self.stop_judging()
        self._judging = asyncio.create_task(work)

    def stop_judging(self) -> None:
        self.completeness = None
        if self._judging is not None:
            self._judging.cancel()
            self._judging = None

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Work beside the turn, at most one piece at a time; more is dropped."""
        if self._background:
            work.close()
            return
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def discard_draft(self) -> Reply | None:
        """End the draft, if there is one still alive; returns it."""
        draft, self.draft = self.draft, None
        if draft is not None and draft.state == "draft":
            draft.discard()
            return draft
        return None

    def close(self) -> None:
        self.stop_judging()
        for task in self._background:
            task.cancel()
        self.stream.close()
