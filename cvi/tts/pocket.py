"""Pocket TTS (Kyutai; 100 million parameters, made for CPUs): speaks with a voice cloned for it.

The voice is a safetensors file of `PocketCloner`: the model's state after it heard the person, so that the
recording is not needed any more. A model is a folder with `model.safetensors` (the one with voice cloning),
`tokenizer.json` or `tokenizer.model`, and, where it is not the English one of April 2026, the `config.yaml`
it was trained with. Nothing is fetched.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cvi.audio.block import PLAYED_HZ, Pcm, to_float, to_int16
from cvi.audio.resample import resample
from cvi.errors import EngineError, MissingError, UsageError
from cvi.files import is_file, sha256_of
from cvi.paths import models_dir, user_path
from cvi.tts.base import Speech, TtsSettings
from cvi.tts.cloning import VoiceCloner
from cvi.tts.local_voice import LocalVoice
from cvi.tts.normalization.spoken_text import SpokenText
from cvi.tts.speech_timeline import speech, words_by_length

_BETWEEN_SENTENCES_S = 0.20
MADE_WITH = "model_sha256"
MODEL = "pocket-tts-english"
WEIGHTS, CONFIG = "model.safetensors", "config.yaml"
_TOKENIZERS = {"tokenizer.json": "tokenizers", "tokenizer.model": "sentencepiece"}
_OWN_CONFIG = "english_2026-04.yaml"
_GET = f"cvi models pull {MODEL} (its licence is accepted on the hub first), or cvi models add"


class PocketTts(LocalVoice):
    """Speaks a sentence at a time, without phone times, at the voice's own pace and pitch."""

    name = "pocket"

    def __init__(self, model: PocketModel, state: Any, settings: TtsSettings) -> None:
        """`state` is what the model makes of the voice's file."""
        super().__init__(settings.language)
        self._model, self._state = model.model, state

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
        except Exception as error:  # the package and torch raise errors of many classes
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
    voice = user_path(settings.voice)
    if not is_file(voice):
        raise MissingError(
            f"There is no voice at {voice}.", "Clone one for a replica: cvi replica voice NAME RECORDING"
        )
    model = load_model(find_model(settings.model))
    return PocketTts(model, _state(voice, model), settings)


def _state(voice: Path, model: PocketModel) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(voice), framework="pt") as file:
            made_with = (file.metadata() or {}).get(MADE_WITH)
    except (OSError, SafetensorError) as error:
        raise EngineError(f"The voice {voice} cannot be read: {error}.", "Clone it again.") from error
    if made_with != model.sha256:
        raise UsageError(
            f"The voice {voice.name} was cloned with another model than the one that is here.",
            "Clone it again: cvi replica voice NAME RECORDING",
        )
    try:
        return model.model.get_state_for_audio_prompt(voice)
    except Exception as error:  # the package and torch raise errors of many classes
        raise EngineError(f"The voice {voice} cannot be used: {error}.", "Clone it again.") from error


@dataclass(frozen=True, slots=True)
class PocketModel:
    """The package's `TTSModel`, and the hash of its weights, which is stored in voices made with it."""

    model: Any
    sha256: str


def find_model(path: str | None = None) -> Path:
    """The model's folder: `path`, or the pulled one. Raises MissingError where its files are not complete."""
    folder = user_path(path) if path else models_dir() / MODEL
    if not is_file(folder / WEIGHTS) or _tokenizer(folder) is None:
        raise MissingError(f"There is no Pocket TTS model at {folder}.", f"Get it with: {_GET}")
    return folder


def ready() -> bool:
    """Whether package and weights are installed."""
    folder = models_dir() / MODEL
    has_files = (folder / WEIGHTS).is_file() and _tokenizer(folder) is not None
    return has_files and find_spec("pocket_tts") is not None


def load_model(folder: Path) -> PocketModel:
    """Read the weights; seconds. Raises MissingError without the package, EngineError for wrong files."""
    try:
        from pocket_tts import TTSModel
    except ImportError as error:
        raise MissingError(
            f"Pocket TTS is not installed ({error}).", "Install it with: pip install 'cvi-local[clone]'"
        ) from error
    with tempfile.TemporaryDirectory(prefix="cvi-pocket-") as work:
        config = Path(work) / CONFIG
        config.write_text(yaml.safe_dump(_config(folder)), encoding="utf-8")
        try:
            model = TTSModel.load_model(config=config)
        except Exception as error:  # the package and torch raise errors of many classes
            raise EngineError(
                f"The Pocket TTS model at {folder} cannot be read: {error}.",
                f"Get it again: cvi models remove {MODEL} && cvi models pull {MODEL}",
            ) from error
    return PocketModel(model, sha256_of(folder / WEIGHTS))


def _config(folder: Path) -> dict[str, Any]:
    """The model's own description, every path of it in its folder."""
    import pocket_tts

    own = folder / CONFIG
    assert pocket_tts.__file__ is not None
    source = own if own.is_file() else Path(pocket_tts.__file__).parent / "config" / _OWN_CONFIG
    try:
        config = yaml.safe_load(source.read_text(encoding="utf-8"))
        table = config["flow_lm"]["lookup_table"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise EngineError(f"{source} describes no Pocket TTS model ({error}).", f"Get it: {_GET}") from error
    name = _tokenizer(folder)
    assert name is not None
    config["weights_path"] = str(folder / WEIGHTS)
    # Without it a voice could not be cloned, and it would be fetched.
    config.pop("weights_path_without_voice_cloning", None)
    table["tokenizer"], table["tokenizer_path"] = _TOKENIZERS[name], str(folder / name)
    return dict(config)


def _tokenizer(folder: Path) -> str | None:
    return next((name for name in _TOKENIZERS if (folder / name).is_file()), None)


_PEAK = 0.8


class PocketCloner:
    """As `VoiceCloner`."""

    def __init__(self, model: PocketModel) -> None:
        self._model = model

    def clone(self, sound: Pcm) -> bytes:
        """As `VoiceCloner.clone`."""
        import torch
        from safetensors.torch import save

        samples = to_float(resample(sound, PLAYED_HZ, int(self._model.model.sample_rate)))
        peak = float(abs(samples).max(initial=0.0))
        if peak == 0.0:
            raise EngineError("The recording is silent.", "Give another one.")
        try:
            prompt = torch.from_numpy(samples * (_PEAK / peak))[None]
            state = self._model.model.get_state_for_audio_prompt(prompt)
        except Exception as error:  # the package and torch raise errors of many classes
            raise EngineError(
                f"The voice could not be cloned: {error}.", "Give another recording."
            ) from error
        # Named as the package names them, so that it reads the file itself.
        tensors = {
            f"{module}/{name}": value.detach().cpu().contiguous()
            for module, values in state.items()
            for name, value in values.items()
        }
        return bytes(save(tensors, {MADE_WITH: self._model.sha256}))

    def close(self) -> None:
        """Nothing is held but memory."""


class PocketCloning:
    """As `Cloning`, for English."""

    engine = "pocket"
    languages = ("en",)

    def ready(self) -> bool:
        """Whether package and weights are installed."""
        return ready()

    def open(self, settings: TtsSettings) -> VoiceCloner:
        """Load the model. Blocks. Raises MissingError, EngineError."""
        return PocketCloner(load_model(find_model(settings.model)))


CLONING = PocketCloning()
