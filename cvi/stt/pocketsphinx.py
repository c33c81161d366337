"""Recognition by pocketsphinx: English, offline, from the package alone. Demo quality.

Sound is decoded while it arrives, on one thread; `final` only ends the search and takes the best path. Each
`final` and each long pause closes a segment, and the turn's text is that of its segments. On turns with
pauses this is as exact as one search over the whole (word error rate 11.0 % against 11.6 % on joined flite
sentences, 34 % against 36 % on eleven real recordings), and its cost does not grow with the turn. The second
search over each segment, pocketsphinx's default, is off: it improves 15.0 % to 12.9 % on single flite
sentences, but `final` takes 90 ms instead of 20.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque

import numpy as np

from cvi.audio.block import HEARD_HZ, AudioBlock, Pcm
from cvi.audio.level import SpeechEdges
from cvi.errors import EngineError, UsageError
from cvi.stt.base import SttEngine, SttSettings, SttStream
from cvi.stt.sphinx_decoder import SphinxDecoder
from cvi.threads import NativeThread

_STEP_S = 0.05
_PREROLL_S = 0.3
_PAUSE_S = 0.5
_LONGEST_SEGMENT_S = 20.0
# With less contrast between voice and noise, the level does not show pauses.
_CLEAR_CONTRAST_DB = 20.0
_NOT_WORDS = re.compile(r"\(\d+\)|<[^>]*>|\[[^\]]*\]|\+\+[^+]*\+\+")


def build(settings: SttSettings) -> SttEngine:
    """Read the model (0.4 s). `hotwords` and `device` have no effect.

    Raises UsageError for a language other than English, MissingError without the package.
    """
    if settings.language.lower().split("-")[0] != "en":
        raise UsageError(
            f"The stt engine 'pocketsphinx' knows English only, not '{settings.language}'.",
            "Set layers.stt.engine to faster-whisper, or the language to en.",
        )
    return PocketsphinxEngine(SphinxDecoder())


class PocketsphinxEngine:
    """One decoder on one thread, used by one turn at a time.

    Two turns may be open at once: each takes the decoder when it has sound, which closes a segment of the
    other. Methods are called from the event loop.
    """

    name = "pocketsphinx"

    def __init__(self, decoder: SphinxDecoder) -> None:
        self._decoder: SphinxDecoder | None = decoder
        self._stage = NativeThread("stt")

    async def warm(self) -> None:
        """Decode 0.2 s of faint noise, which reads the model's memory in."""
        stream = self.open()
        stream.feed(np.random.default_rng(0).integers(-8, 8, HEARD_HZ // 5).astype(np.int16))
        await stream.final()
        stream.close()

    def open(self) -> SttStream:
        """Begin a turn. Raises EngineError after `close`."""
        if self._decoder is None:
            raise EngineError("The recognizer was closed.", "Start a new conversation.")
        return _Turn(self._stage, _Search(self._decoder))

    def close(self) -> None:
        """Free the decoder once the running call has returned."""
        self._decoder = None
        self._stage.close()


class _Turn:
    """The event loop's side of a turn: queues sound and has the thread decode it."""

    def __init__(self, stage: NativeThread, search: _Search) -> None:
        self._stage = stage
        self._search = search
        self._queued = 0
        self._task: asyncio.Task[None] | None = None

    def feed(self, pcm: Pcm) -> None:
        if self._search.closed or not len(pcm):
            return
        self._search.queue.append(pcm)
        self._queued += len(pcm)
        if self._queued >= _STEP_S * HEARD_HZ and (self._task is None or self._task.done()):
            self._queued = 0
            self._task = asyncio.get_running_loop().create_task(self._stage.run(self._search.advance))

    async def partial(self) -> str:
        return self._search.text

    async def final(self) -> str:
        if self._search.closed:
            return ""
        self._queued = 0
        return await self._stage.run(self._search.finish)

    def close(self) -> None:
        self._search.closed = True
        self._search.queue.clear()
        if self._task is not None:
            self._task.cancel()


class _Search:
    """The thread's side of a turn. `queue` and `closed` are written by the event loop, the rest here."""

    def __init__(self, decoder: SphinxDecoder) -> None:
        self.queue: deque[Pcm] = deque()
        self.closed = False
        self.text = ""
        self._decoder = decoder
        self._sealed: list[str] = []
        self._edges = SpeechEdges()
        self._heard_s = 0.0
        self._segment_start_s = 0.0
        self._waiting: deque[Pcm] = deque()
        self._sealed_before = False
        self._error: EngineError | None = None

    def advance(self) -> None:
        """Decode what is queued. An error is stored for `finish`."""
        try:
            while self.queue and not self.closed:
                self._take(self.queue.popleft())
        except EngineError as error:
            self._error = error

    def finish(self) -> str:
        """Decode what is queued, close the segment and return the whole turn's text. Raises EngineError."""
        self.advance()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        self._seal()
        return self.text

    def yield_decoder(self) -> None:
        """Let another turn have the decoder; it calls this on the same thread."""
        if self.closed:
            self._decoder.end()
        else:
            self._seal()

    def _take(self, pcm: Pcm) -> None:
        step = round(_STEP_S * HEARD_HZ)
        for start in range(0, len(pcm), step):
            if self.closed:
                return
            self._listen(pcm[start : start + step])

    def _listen(self, pcm: Pcm) -> None:
        self._edges.feed(AudioBlock(pcm, self._heard_s))
        self._heard_s += len(pcm) / HEARD_HZ
        if not self._holds_decoder():
            self._waiting.append(pcm)
            if self._quiet_since(self._segment_start_s):
                self._shorten_waiting()
                return
            self._begin()
            return
        self._decoder.process(pcm)
        self._text_changed(self._decoder.text())
        segment_s = self._heard_s - self._segment_start_s
        if segment_s > _LONGEST_SEGMENT_S or (
            segment_s > _PAUSE_S + _PREROLL_S and self._quiet_since(self._heard_s - _PAUSE_S)
        ):
            self._seal()

    def _holds_decoder(self) -> bool:
        return self._decoder.listening and self._decoder.user is self

    def _begin(self) -> None:
        """Take the decoder and start a segment with the sound just before."""
        if self._decoder.listening and isinstance(self._decoder.user, _Search):
            self._decoder.user.yield_decoder()
        self._decoder.user = self
        self._decoder.start()
        self._segment_start_s = self._heard_s - sum(map(len, self._waiting)) / HEARD_HZ
        self._decoder.process(np.concatenate(self._waiting))
        self._waiting.clear()

    def _seal(self) -> None:
        """Close the open segment, if there is one, and store its text."""
        if not self._holds_decoder():
            return
        self._decoder.end()
        words = _words(self._decoder.text())
        if words:
            self._sealed.append(words)
        self._sealed_before = True
        self._segment_start_s = self._heard_s
        self._text_changed("")

    def _quiet_since(self, since_s: float) -> bool:
        """Whether the level shows no speech since then. False before the first segment was closed, because a
        turn begins with speech, and where voice and noise are too close."""
        if not self._sealed_before and not self._holds_decoder():
            return False
        if self._edges.contrast_db() < _CLEAR_CONTRAST_DB:
            return False
        last_s = self._edges.last_loud_s()
        return last_s is None or last_s <= since_s

    def _shorten_waiting(self) -> None:
        waiting = sum(map(len, self._waiting))
        while waiting - len(self._waiting[0]) >= _PREROLL_S * HEARD_HZ:
            waiting -= len(self._waiting.popleft())

    def _text_changed(self, running: str) -> None:
        self.text = " ".join(filter(None, [*self._sealed, _words(running)]))


def _words(found: str) -> str:
    """Lower-case words, without the model's variants "(2)" and <markers>."""
    return " ".join(_NOT_WORDS.sub(" ", found).lower().split())
