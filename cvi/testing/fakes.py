"""Deterministic engines of every layer, for tests of conversations.

The caller's words are encoded in the sound itself: word number n of the script's vocabulary is a
square wave of amplitude `_BASE + n`, which `FakeVad` takes for voice and `FakeStt` decodes. So the
whole path from microphone block to transcript is exercised, and no word is known before it was
heard. No fake uses a thread or the real time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm
from cvi.errors import EngineError
from cvi.face.base import Controls
from cvi.llm.base import Message, Sampling
from cvi.media.frames import Frame
from cvi.tts.base import SEAM_S, Phone, Speech, Word

_BASE = 2000
_GAP = 1500  # voice without a word: "mm"
WORD_S = 0.25
PAUSE_S = 0.22


class Vocabulary:
    """Words and their sounds; each word has an amplitude of its own."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def sound(self, text: str, word_s: float = WORD_S) -> Pcm:
        """`text` as sound at HEARD_HZ, `word_s` seconds a word; "..." is a hesitation of `PAUSE_S`."""
        parts: list[Pcm] = []
        for word in text.split():
            if word == "...":
                parts.append(np.zeros(round(PAUSE_S * HEARD_HZ), np.int16))
                continue
            number = self._numbers.setdefault(word, len(self._numbers))
            part = np.full(round(word_s * HEARD_HZ), _BASE + number, np.int16)
            part[-80:] = _GAP  # so that a repeated word is two words
            parts.append(part)
        sound = np.concatenate(parts) if parts else np.zeros(0, np.int16)
        sound[1::2] *= -1
        return sound

    def noise(self, seconds: float) -> Pcm:
        """A voice that says no word: a cough, a hum."""
        sound = np.full(round(seconds * HEARD_HZ), _GAP, np.int16)
        sound[1::2] *= -1
        return sound

    def words(self, pcm: Pcm) -> list[str]:
        """The words whose sounds are in `pcm` (16 kHz int16), in order."""
        names = {_BASE + number: word for word, number in self._numbers.items()}
        amplitude = np.abs(pcm.astype(np.int32))
        runs = np.split(amplitude, np.flatnonzero(np.diff(amplitude)) + 1)
        return [names[int(run[0])] for run in runs if len(run) > 400 and int(run[0]) in names]


class FakeVad:
    """A `VadEngine` for which everything but zeros is voice."""

    name = "fake"

    def probability(self, hop: Pcm) -> float:
        """The share of samples that are not zero."""
        return float(np.mean(hop != 0))

    def reset(self) -> None:
        """Nothing: no state is kept."""


class FakeStt:
    """An `SttEngine` that decodes the words of a `Vocabulary`.

    A final transcript takes `delay_s`, and raises EngineError while `fails` is set.
    """

    name = "fake"

    def __init__(self, vocabulary: Vocabulary, delay_s: float = 0.05) -> None:
        self._vocabulary = vocabulary
        self._delay_s = delay_s
        self.fails = False

    async def warm(self) -> None:
        """Nothing: it is always warm."""

    def open(self) -> FakeSttStream:
        """A new turn."""
        return FakeSttStream(self, self._vocabulary, self._delay_s)

    def close(self) -> None:
        """Nothing: it holds no resource."""


class FakeSttStream:
    """One turn of a `FakeStt`."""

    def __init__(self, engine: FakeStt, vocabulary: Vocabulary, delay_s: float) -> None:
        self._engine = engine
        self._vocabulary = vocabulary
        self._delay_s = delay_s
        self._fed: list[Pcm] = []

    def feed(self, pcm: Pcm) -> None:
        """More sound of the turn."""
        self._fed.append(pcm)

    async def partial(self) -> str:
        """The words so far, at once."""
        return self._text()

    async def final(self) -> str:
        """The words fed before the call, after the engine's delay. Raises EngineError."""
        text = self._text()
        await asyncio.sleep(self._delay_s)
        if self._engine.fails:
            raise EngineError("The fake recognizer was told to fail.")
        return text

    def close(self) -> None:
        """Forget the sound."""
        self._fed = []

    def _text(self) -> str:
        return " ".join(self._vocabulary.words(np.concatenate(self._fed))) if self._fed else ""


class FakeLlm:
    """An `LlmEngine` that answers with `replies` in turn, or with what a function makes of the messages.

    The first word takes `first_token_s`, each later one `token_s`. At a word "!!" it raises EngineError.
    """

    name = "fake"
    _OPEN_ENDINGS = frozenset("and or but the a to of about with because so um if my i".split())

    def __init__(
        self,
        replies: Sequence[str] | Callable[[Sequence[Message]], str] = ("I see. Tell me more.",),
        *,
        first_token_s: float = 0.04,
        token_s: float = 0.02,
        structured: Callable[[Sequence[Message], Mapping[str, Any]], dict[str, Any]] | None = None,
        structured_s: float = 0.5,
    ) -> None:
        """`structured` makes the answer of a call of `structured`, which takes `structured_s`; none is {}."""
        self._replies = replies
        self._structured = structured
        self._structured_s = structured_s
        self._first_token_s = first_token_s
        self._token_s = token_s
        self._asked: list[tuple[Message, ...]] = []
        self._answers: dict[str, str] = {}
        self.prefilled: list[str] = []
        """The partial turns of each call of `prefill`, in order."""
        self.open_streams = 0
        """Calls of `stream` that have not ended."""

    @property
    def asked(self) -> list[tuple[Message, ...]]:
        """The messages of each call of `stream`, in order."""
        return self._asked

    async def warm(self, messages: Sequence[Message]) -> None:
        """Nothing: it is always warm."""

    async def prefill(self, messages: Sequence[Message], partial: str) -> None:
        """Note the partial turn."""
        self.prefilled.append(partial)

    async def completeness(self, messages: Sequence[Message], text: str) -> float | None:
        """0.05 for a text that ends in a word such as "and", 0.95 for any other, after 10 ms."""
        await asyncio.sleep(0.01)
        return 0.05 if text.split()[-1] in self._OPEN_ENDINGS else 0.95

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str]:
        """The answer, word by word."""
        self._asked.append(tuple(messages))
        answer = self._answer(messages)
        self.open_streams += 1
        try:
            await asyncio.sleep(self._first_token_s)
            for word in answer.split(" "):
                if word == "!!":
                    raise EngineError("The fake model was told to fail.")
                yield word + " "
                await asyncio.sleep(self._token_s)
        finally:
            self.open_streams -= 1

    async def structured(
        self, messages: Sequence[Message], schema: Mapping[str, Any], *, max_tokens: int = 256
    ) -> dict[str, Any]:
        """The answer that was given for it."""
        await asyncio.sleep(self._structured_s)
        return {} if self._structured is None else self._structured(messages, schema)

    async def close(self) -> None:
        """Nothing: it holds no resource."""

    def _answer(self, messages: Sequence[Message]) -> str:
        if callable(self._replies):
            return self._replies(messages)
        # The same turn gets the same answer, however often it is drafted.
        asked = messages[-1].content
        if asked not in self._answers:
            self._answers[asked] = self._replies[len(self._answers) % len(self._replies)]
        return self._answers[asked]


class FakeTts:
    """A `TtsEngine` that speaks each word in `word_s` seconds with one phone, after `delay_s`."""

    name = "fake"

    def __init__(self, word_s: float = 0.3, delay_s: float = 0.02) -> None:
        self._word_s = word_s
        self._delay_s = delay_s
        self.open_streams = 0
        """Calls of `speak` that have not ended."""

    async def warm(self) -> None:
        """Nothing: it is always warm."""

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        """All of `text` in one piece, a tone with times of words and phones; nothing for no words."""
        self.open_streams += 1
        try:
            await asyncio.sleep(self._delay_s)
            words: list[Word] = []
            phones: list[Phone] = []
            at = 0
            for number, word in enumerate(text.split()):
                begin = text.index(word, at)
                at = begin + len(word)
                start_s = number * self._word_s
                words.append(Word(begin, at, start_s, start_s + self._word_s))
                phones.append(Phone("ɑ", start_s, start_s + self._word_s))
            if words:
                samples = round(len(words) * self._word_s * PLAYED_HZ)
                tone = (6000 * np.sin(np.arange(samples) * 0.1)).astype(np.int16)
                yield Speech(tone, tuple(phones), tuple(words))
        finally:
            self.open_streams -= 1

    def close(self) -> None:
        """Nothing: it holds no resource."""


class FakePhraseTts(FakeTts):
    """A `PhraseVoice` that begins with `first_words` words; its parts overlap by SEAM_S."""

    def __init__(self, first_words: int = 3, word_s: float = 0.3, delay_s: float = 0.02) -> None:
        super().__init__(word_s, delay_s)
        self.first_words = first_words
        self.parts: list[tuple[str, str, str]] = []
        """The text of each part, what came before it and what after."""

    async def speak_part(self, text: str, before: str = "", after: str = "") -> AsyncIterator[Speech]:
        """`text` as `speak` says it, with SEAM_S more where more follows."""
        self.parts.append((text, before, after))
        async for piece in self.speak(text):
            seam = np.zeros(round(SEAM_S * PLAYED_HZ) if after else 0, np.int16)
            yield replace(piece, pcm=np.concatenate([piece.pcm, seam]))


class FakeTurnModel:
    """A `TurnModel` that answers every question with `answer`, or raises it, after `delay_s`."""

    name = "fake"
    window_s = 2.0

    def __init__(self, answer: float | EngineError, delay_s: float = 0.05) -> None:
        self._answer = answer
        self._delay_s = delay_s
        self.heard: list[int] = []
        """The lengths of the sounds that it was asked about, in samples."""

    async def warm(self) -> None:
        """Nothing: it is always warm."""

    async def ended(self, pcm: Pcm) -> float:
        """The answer, whatever the sound."""
        self.heard.append(len(pcm))
        await asyncio.sleep(self._delay_s)
        if isinstance(self._answer, EngineError):
            raise self._answer
        return self._answer

    def close(self) -> None:
        """Nothing: it holds no resource."""


async def fake_render(controls: Controls) -> Frame:
    """A tiny I420 frame whose brightness is the jaw's opening."""
    frame = np.full((6, 4), 128, np.uint8)
    frame[:4] = round(16 + 219 * min(max(controls.jaw, 0.0), 1.0))
    return frame
