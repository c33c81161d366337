"""Whisper on a window as long as the sound, instead of the 30 s it was trained on.

The encoder's cost grows with its window, and CTranslate2 takes shorter ones: features padded to the
speech plus half a second. Most utterances come out the same; some come out as loops, or end in words that
were not said. So the text is checked (Radford et al. 2022, section 4.5: compression ratio and mean log
probability; and its length against what the sound can hold), and what fails is decoded again on the full
window.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Any

from cvi.audio.block import HEARD_HZ, Pcm, to_float

FULL_FRAMES = 3000
"""30 s of feature frames of 10 ms."""
_WINDOWS = ((100, 500), (400, 1000), (FULL_FRAMES, FULL_FRAMES))
"""(frames after the sound, frames at least) of the windows that are tried in turn, while a text is
doubtful. Whisper base on ten read sentences and five questions, one thread: half a second after the sound
gave six loops, this two; a question of 3 s takes 0.15 s in the first window, 0.25 in the second and 1.0
in the full one."""
_SHORT_S = 1.5
"""Sound shorter than this is not given the full window: the model is seldom sure of one word, and a "Stop."
over a reply would be known 0.8 s later."""
_STEP_FRAMES = 32
# No language is spoken at more tokens a second than this; a decoder that reaches it is in a loop.
_TOKENS_PER_S, _TOKENS_AT_LEAST = 12, 8
_MOST_COMPRESSION = 2.4
_LEAST_LOGPROB = -1.0
# Probability of no speech above the first, mean log probability below the second. The paper's pair, and
# one for noise in which "Thank you." is heard.
_SILENCE = ((0.6, -1.0), (0.9, -0.5))
# A word or phrase this often in a row is no speech but a loop.
_PHRASE_WORDS = 5
_LOOP = re.compile(r"(\b.{1,40}?\b)(?:[\s,.!?]+\1){3,}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DecodedWindow:
    """One decoding. `logprob` is the mean over its tokens; `no_speech` 0..1; `full` whether on 30 s."""

    text: str
    logprob: float
    no_speech: float
    at_limit: bool
    full: bool = False

    @property
    def silent(self) -> bool:
        """The model itself says that nobody speaks, and is not sure of its text."""
        return any(self.no_speech > least and self.logprob < most for least, most in _SILENCE)

    @property
    def doubtful(self) -> bool:
        """A loop, a text longer than its sound, or one the model is not sure of."""
        data = self.text.encode()
        ratio = len(data) / max(len(zlib.compress(data)), 1)
        return (
            self.at_limit
            or self.logprob < _LEAST_LOGPROB
            or ratio > _MOST_COMPRESSION
            or _LOOP.search(self.text) is not None
            or _repeats_a_phrase(self.text)
        )


class WindowDecoder:
    """One Whisper model in one language; not thread-safe, as the model.

    `model` is a `faster_whisper.WhisperModel`; `hotwords` are given to it as text that came before.
    """

    def __init__(self, model: Any, language: str, hotwords: str | None = None) -> None:
        from faster_whisper.tokenizer import Tokenizer
        from faster_whisper.transcribe import get_suppressed_tokens

        self._model = model
        self._tokenizer = Tokenizer(
            model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language
        )
        self._prompt = model.get_prompt(self._tokenizer, [], without_timestamps=True, hotwords=hotwords)
        self._suppressed = get_suppressed_tokens(self._tokenizer, [-1])

    def decode(self, pcm: Pcm) -> str:
        """The text of up to 30 s of speech: mono int16 at HEARD_HZ. "" where nobody speaks.

        Raises RuntimeError or ValueError as CTranslate2 does.
        """
        features = self._model.feature_extractor(to_float(pcm))
        seconds = len(pcm) / HEARD_HZ
        best: DecodedWindow | None = None
        windows = _WINDOWS if seconds >= _SHORT_S else _WINDOWS[: max(len(_WINDOWS) - 1, 1)]
        for tail, least in windows:
            wanted = max(features.shape[-1] + tail, least)
            frames = min(FULL_FRAMES, -(-wanted // _STEP_FRAMES) * _STEP_FRAMES)
            found = self._decoded(features, frames, seconds)
            if best is None or (not found.doubtful, found.logprob) > (not best.doubtful, best.logprob):
                best = found
            if not found.doubtful or found.silent or found.full:
                break
        assert best is not None
        nothing = best.silent or not any(character.isalnum() for character in best.text)
        return "" if nothing else _without_loop(best.text)

    def _decoded(self, features: Any, frames: int, seconds: float) -> DecodedWindow:
        from faster_whisper.audio import pad_or_trim

        limit = round(_TOKENS_PER_S * seconds) + _TOKENS_AT_LEAST
        encoded = self._model.encode(pad_or_trim(features, frames))
        (result,) = self._model.model.generate(
            encoded,
            [self._prompt],
            beam_size=1,
            sampling_temperature=0,
            max_length=min(len(self._prompt) + limit, self._model.max_length),
            suppress_blank=True,
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
        )
        tokens = [token for token in result.sequences_ids[0] if token < self._tokenizer.eot]
        whole = " ".join(self._tokenizer.decode(tokens).split())
        text = _said_once(whole)
        return DecodedWindow(
            text=text,
            logprob=result.scores[0] * len(tokens) / (len(tokens) + 1),
            no_speech=result.no_speech_prob,
            at_limit=len(tokens) >= limit and text == whole,
            full=frames == FULL_FRAMES,
        )


def _repeats_a_phrase(text: str) -> bool:
    """Whether some five words occur twice in the same order; short windows end in such repetitions."""
    words = re.findall(r"\w+", text.lower())
    phrases = [tuple(words[at : at + _PHRASE_WORDS]) for at in range(len(words) - _PHRASE_WORDS + 1)]
    return len(set(phrases)) < len(phrases)


def _said_once(text: str) -> str:
    """The first of several copies where the text is nothing but copies of some three words or more, the
    last one perhaps cut off: short windows do that to one sentence."""
    spans = [match.span() for match in re.finditer(r"\w+(?:['’]\w+)*", text)]
    words = [text[start:end].lower() for start, end in spans]
    for period in range(3, len(words) * 2 // 3 + 1):
        if all(words[at] == words[at - period] for at in range(period, len(words))):
            end = spans[period][0]
            return text[:end].strip(" ,")
    return text


def _without_loop(text: str) -> str:
    """The text up to the first thing it repeats without end, said once."""
    loop = _LOOP.search(text)
    return text if loop is None else text[: loop.end(1)]
