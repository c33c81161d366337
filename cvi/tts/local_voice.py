"""What the voices that run on this machine have in common: a thread, and normalized text."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

from cvi.threads import NativeThread
from cvi.tts.base import Speech
from cvi.tts.normalization.normalizer import normalize
from cvi.tts.normalization.spoken_text import SpokenText
from cvi.tts.scripts import check_readable


class LocalVoice(ABC):
    """A `TtsEngine` that speaks on a thread of its own. Methods are called from the event loop.

    A subclass sets `name` and implements `_synthesize`.
    """

    name: str

    def __init__(self, language: str) -> None:
        """`language` is a code such as "en" or "pt-BR", in which texts are normalized."""
        self._language = language
        self._thread = NativeThread(f"tts-{self.name}")

    async def warm(self) -> None:
        """Synthesize a few words, which reads the voice's memory in. Raises EngineError."""
        await self._thread.run(lambda: list(self._synthesize(normalize("Hello, 21."), threading.Event())))

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        """As `TtsEngine.speak`. A closed iterator stops the thread as soon as the voice looks."""
        check_readable(text, self._language)
        spoken = self._normalized(text)
        if not spoken.words:
            return
        async with aclosing(
            self._thread.stream(lambda cancelled: self._synthesize(spoken, cancelled))
        ) as pieces:
            async for piece in pieces:
                yield piece

    def close(self) -> None:
        """Let the thread end once the running call has returned."""
        self._thread.close()

    def _normalized(self, text: str) -> SpokenText:
        return normalize(text, self._language)

    @abstractmethod
    def _synthesize(self, spoken: SpokenText, cancelled: threading.Event) -> Iterator[Speech]:
        """Make speech of a text with words; blocks. Runs on the thread and ends early once `cancelled`."""
