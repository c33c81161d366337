"""The thread on which a local voice speaks."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing

from cvi.threads import NativeThread
from cvi.tts.base import Speech
from cvi.tts.normalization.normalizer import normalize
from cvi.tts.normalization.spoken_text import SpokenText

Synthesize = Callable[[SpokenText, threading.Event], Iterator[Speech]]
"""Makes speech of a text, blocking; looks at the event, which says that nobody waits any more."""


class VoiceThread:
    """One engine's thread. Methods are called from the event loop; `synthesize` runs on the thread."""

    def __init__(self, name: str, synthesize: Synthesize) -> None:
        self._synthesize = synthesize
        self._stage = NativeThread(f"tts-{name}")

    async def warm(self) -> None:
        """Speak a word to nobody, which reads the voice's pages in."""
        await self._stage.run(lambda: list(self._synthesize(normalize("Hello, 21."), threading.Event())))

    async def speak(self, spoken: SpokenText) -> AsyncIterator[Speech]:
        """The pieces of speech; none for a text without words. A closed iterator stops the thread."""
        if not spoken.words:
            return
        async with aclosing(
            self._stage.stream(lambda cancelled: self._synthesize(spoken, cancelled))
        ) as pieces:
            async for piece in pieces:
                yield piece

    def close(self) -> None:
        self._stage.close()
