"""Cloning a voice for Pocket TTS: the model's state after twenty seconds of a recording, as a file."""

from __future__ import annotations

from cvi.audio.block import PLAYED_HZ, Pcm, to_float
from cvi.audio.resample import resample
from cvi.errors import EngineError
from cvi.tts.base import TtsSettings
from cvi.tts.cloning import VoiceCloner
from cvi.tts.pocket import MADE_WITH, PocketModel, find_model, load_model, ready

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
