"""Pocket TTS (Kyutai; 100 million parameters, made for CPUs): speaks with a voice cloned for it.

The voice is a safetensors file of `pocket_cloner`: the state the model is in after it heard the person, so
that nothing of their recording is needed any more.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm, to_int16
from cvi.audio.resample import resample
from cvi.errors import EngineError, MissingError, UsageError
from cvi.tts.base import Speech, TtsSettings
from cvi.tts.pocket_model import PocketModel, find_model, load_model
from cvi.tts.speech_timeline import speech, words_by_length
from cvi.tts.spoken import spoken_form
from cvi.tts.spoken_text import SpokenText
from cvi.tts.voice_thread import VoiceThread

_BETWEEN_SENTENCES_S = 0.20
MADE_WITH = "model_sha256"


class PocketTts:
    """One piece a sentence, without phone times; words are shared out by length. Pace and pitch are the
    voice's own."""

    name = "pocket"

    def __init__(self, model: PocketModel, state: Any, settings: TtsSettings) -> None:
        """`state`: of the model, for the voice."""
        self._model, self._state = model.model, state
        self._language = settings.language
        self._thread = VoiceThread("pocket", self._synthesize)

    async def warm(self) -> None:
        await self._thread.warm()

    def speak(self, text: str) -> AsyncIterator[Speech]:
        """As `TtsEngine.speak`, a sentence at a time."""
        return self._thread.speak(spoken_form(text, self._language))

    def close(self) -> None:
        self._thread.close()

    def _synthesize(self, spoken: SpokenText, cancelled: threading.Event) -> Iterator[Speech]:
        sentences = spoken.sentences()
        for number, sentence in enumerate(sentences):
            pcm = self._sentence(sentence.text, cancelled)
            if cancelled.is_set():
                return
            words = words_by_length(sentence, 0.0, len(pcm) / PLAYED_HZ)
            last = number == len(sentences) - 1
            piece = speech(pcm, (), words, trim_start=True, trim_end=True)
            if piece is None:
                continue
            if not last:
                pause = np.zeros(round(_BETWEEN_SENTENCES_S * PLAYED_HZ), np.int16)
                piece = Speech(np.concatenate([piece.pcm, pause]), piece.phones, piece.words)
            yield piece

    def _sentence(self, text: str, cancelled: threading.Event) -> Pcm:
        try:
            chunks = self._model.generate_audio_stream(self._state, text, stop=cancelled)
            parts = [chunk.detach().cpu().numpy().ravel() for chunk in chunks]
        except Exception as error:
            raise EngineError(
                f"Pocket TTS could not speak '{text[:60]}': {error}.", "Try another text or voice."
            ) from error
        if not parts:
            return np.zeros(0, np.int16)
        return resample(to_int16(np.concatenate(parts)), int(self._model.sample_rate), PLAYED_HZ)


def build(settings: TtsSettings) -> PocketTts:
    """Load the model (`model`: its folder, None for the pulled one) and the voice (`voice`: its file).

    Raises MissingError when package, model or voice are not here, UsageError for a voice made with another
    model, EngineError for what cannot be read.
    """
    if settings.voice is None:
        raise MissingError(
            "Pocket TTS speaks with a voice cloned for it, and there is none.",
            "Clone one for a replica: cvi replica voice NAME RECORDING",
        )
    voice = Path(settings.voice).expanduser()
    if not voice.is_file():
        raise MissingError(
            f"There is no voice at {voice}.", "Clone one for a replica: cvi replica voice NAME RECORDING"
        )
    model = load_model(find_model(settings.model))
    return PocketTts(model, _state(voice, model), settings)


def _state(voice: Path, model: PocketModel) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(voice), framework="pt") as file:
            told = (file.metadata() or {}).get(MADE_WITH)
    except (OSError, SafetensorError) as error:
        raise EngineError(f"The voice {voice} cannot be read: {error}.", "Clone it again.") from error
    if told != model.sha256:
        raise UsageError(
            f"The voice {voice.name} was cloned with another model than the one that is here.",
            "Clone it again: cvi replica voice NAME RECORDING",
        )
    try:
        return model.model.get_state_for_audio_prompt(voice)
    except Exception as error:
        raise EngineError(f"The voice {voice} cannot be used: {error}.", "Clone it again.") from error
