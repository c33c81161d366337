"""Piper voices (VITS, ONNX Runtime): natural speech, with times of sounds where the voice has durations.

A voice is an ONNX file with its JSON beside it. Most voices compute durations inside; where the package
`onnx` is installed, they become a second output when the voice is loaded. Piper gives a time for each code
point of its IPA: stress marks, length marks, spaces and punctuation have times of their own, and a diphthong
has two.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm, to_int16
from cvi.audio.resample import resample
from cvi.errors import CviError, EngineError, MissingError
from cvi.onnx import open_session
from cvi.paths import models_dir
from cvi.tts.base import Phone, Speech, TtsSettings
from cvi.tts.ipa import sounds
from cvi.tts.local_voice import LocalVoice
from cvi.tts.normalization.spoken_text import SpokenText
from cvi.tts.speech_timeline import TimedWord, speech, words_by_length, words_from_onsets

_REMEDY = "Download it again: cvi models pull cpu"
_BETWEEN_SENTENCES_S = 0.25
_PAUSES = frozenset("^$_.,;:!?-'\"()¡¿«»—…")
_SHORTEST_SILENCE_S = 0.060
"""A shorter gap between words belongs to the sound before it; the mouth does not rest in it."""
_JOINED = frozenset("aɪ aʊ ɔɪ eɪ oʊ əʊ ɪə eə ʊə tʃ dʒ".split())


class PiperTts(LocalVoice):
    """Speaks a sentence at a time. Without durations `phones` is empty, and words share the time by length.

    `speed` scales the voice's own length scale; its pitch cannot be changed.
    """

    name = "piper"

    def __init__(self, voice: Any, settings: TtsSettings) -> None:
        """`voice` is a loaded `piper.PiperVoice`."""
        from piper import SynthesisConfig

        super().__init__(settings.language)
        self._voice = voice
        self._config = SynthesisConfig(
            length_scale=voice.config.length_scale / min(3.0, max(0.4, settings.speed))
        )

    def voices(self) -> list[str]:
        """The names of the voices pulled onto this machine."""
        return sorted(_pulled())

    def _synthesize(self, spoken: SpokenText, cancelled: threading.Event) -> Iterator[Speech]:
        sentences = spoken.sentences()
        for number, sentence in enumerate(sentences):
            if cancelled.is_set():
                return
            pcm, alignment = self._sentence(sentence)
            last = number == len(sentences) - 1
            if not last:
                pcm = np.concatenate([pcm, np.zeros(round(_BETWEEN_SENTENCES_S * PLAYED_HZ), dtype=np.int16)])
            end_s = len(pcm) / PLAYED_HZ
            words = alignment.words(sentence, end_s)
            piece = speech(pcm, alignment.phones, words, trim_start=number == 0, trim_end=last)
            if piece is not None:
                yield piece

    def _sentence(self, sentence: SpokenText) -> tuple[Pcm, Alignment]:
        try:
            chunks = list(self._voice.synthesize(sentence.text, self._config, include_alignments=True))
        except Exception as error:  # ONNX Runtime and Piper raise errors of many classes
            raise EngineError(
                f"Piper could not speak '{sentence.text[:60]}': {error}.", "Try another voice."
            ) from error
        rate = self._voice.config.sample_rate
        if not chunks:
            return np.zeros(0, dtype=np.int16), Alignment()
        pcm = resample(
            to_int16(np.concatenate([chunk.audio_float_array.ravel() for chunk in chunks])), rate, PLAYED_HZ
        )
        if any(chunk.phoneme_alignments is None for chunk in chunks):
            return pcm, Alignment()
        alignment = Alignment()
        offset = 0
        for chunk in chunks:
            at = offset
            for timed in chunk.phoneme_alignments:
                until = at + int(timed.num_samples)
                alignment.add(timed.phoneme, at / rate, until / rate)
                at = until
            offset += chunk.audio_float_array.size
        return pcm, alignment


def build(settings: TtsSettings) -> PiperTts:
    """Load the voice `model` or `voice` (a path, or the name of a pulled one), else the first pulled one.

    Raises MissingError without the package or the voice, EngineError for a voice that cannot be read.
    """
    path = _find(settings.model or settings.voice)
    config = Path(f"{path}.json")
    if not config.is_file():
        raise MissingError(
            f"The Piper voice {path.name} has no {config.name} beside it.", "Download both files."
        )
    try:
        voice = _load(path, config, cuda=settings.device == "cuda")
    except ImportError as error:
        raise MissingError(
            f"Piper cannot be loaded ({error}).", "Install it with: pip install piper-tts"
        ) from error
    except CviError:
        raise
    except Exception as error:  # a broken configuration raises whatever piper's parser meets
        raise EngineError(f"The Piper voice {path.name} cannot be read: {error}.", _REMEDY) from error
    return PiperTts(voice, settings)


def _load(path: Path, config: Path, cuda: bool) -> Any:
    """As `PiperVoice.load`, but on one thread."""
    from piper import PiperVoice
    from piper.config import PiperConfig

    session = open_session(_with_durations(path), f"Piper voice {path.name}", _REMEDY, cuda=cuda)
    return PiperVoice(session=session, config=PiperConfig.from_dict(json.loads(config.read_text("utf-8"))))


def _with_durations(path: Path) -> Path | bytes:
    """The model with its durations as a second output; the file itself where that is impossible."""
    try:
        import onnx
        from piper.patch_voice_with_alignment import add_alignment_output
    except ImportError:
        return path
    model = onnx.load(str(path))
    try:
        add_alignment_output(model)
    except ValueError:
        # It has the output already, or no durations.
        return path
    return bytes(model.SerializeToString())


def _find(name: str | None) -> Path:
    pulled = _pulled()
    if name is None and pulled:
        return pulled[min(pulled)]
    if name is not None:
        path = Path(name).expanduser()
        if path.is_file():
            return path
        if name in pulled:
            return pulled[name]
    raise MissingError(
        f"There is no Piper voice '{name}' on this machine."
        if name
        else "There is no Piper voice on this machine.",
        f"Pulled: {', '.join(sorted(pulled))}." if pulled else "Get one with: cvi models pull cpu",
    )


def _pulled() -> dict[str, Path]:
    """Voices under the models folder, by the name of their folder."""
    found: dict[str, Path] = {}
    for config in sorted(models_dir().glob("*/*.onnx.json")):
        voice = config.with_suffix("")
        if voice.is_file():
            found[voice.parent.name] = voice
    return found


class Alignment:
    """Phones and word onsets of one sentence, collected with `add`. Empty for a voice without durations."""

    def __init__(self) -> None:
        self.phones: list[Phone] = []
        self._onsets: list[float] = []
        self._in_word = False
        self._stress: str = ""
        self._sound_start: float | None = None

    def add(self, symbol: str, start_s: float, end_s: float) -> None:
        """Take the next code point of the voice's IPA and its time, in order."""
        if symbol == " " or symbol in _PAUSES:
            self._in_word = False
            if end_s - start_s < _SHORTEST_SILENCE_S and self.phones:
                self._lengthen(end_s)
            else:
                self.phones.append(Phone("", start_s, end_s))
            return
        if not self._in_word:
            self._onsets.append(start_s)
        if symbol in ("ˈ", "ˌ"):
            self._stress = symbol
            # The mark's time belongs to the sound after it.
            self._sound_start = start_s
            self._in_word = True
            return
        ipa, stress = sounds(self._stress + symbol)[0]
        if not ipa:
            self._lengthen(end_s)
            return
        last = self.phones[-1] if self.phones and self._in_word else None
        if last and not self._stress and last.ipa + ipa in _JOINED:
            self.phones[-1] = Phone(last.ipa + ipa, last.start_s, end_s, last.stress)
        else:
            self.phones.append(
                Phone(ipa, self._sound_start if self._sound_start is not None else start_s, end_s, stress)
            )
        # A stress mark stands before the syllable's first sound; it lies on the vowel.
        if stress or not self._stress:
            self._stress = ""
        self._sound_start = None
        self._in_word = True

    def words(self, spoken: SpokenText, end_s: float) -> list[TimedWord]:
        """Times of the spoken words: the voice's own where its words are the same, else by length."""
        if self.phones and len(self._onsets) == len(spoken.words):
            return words_from_onsets(spoken, dict(enumerate(self._onsets)), end_s, self.phones)
        sounding = [phone for phone in self.phones if phone.ipa]
        if not sounding:
            return words_by_length(spoken, 0.0, end_s)
        return words_from_onsets(spoken, {0: sounding[0].start_s}, sounding[-1].end_s, self.phones)

    def _lengthen(self, end_s: float) -> None:
        if self.phones:
            last = self.phones[-1]
            self.phones[-1] = Phone(last.ipa, last.start_s, end_s, last.stress)
