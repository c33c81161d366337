"""Piper voices (VITS, ONNX Runtime): natural speech, with times of sounds where the voice has durations.

A voice is an ONNX file with its JSON beside it. Most voices compute durations inside; where the package
`onnx` is installed, they become a second output when the voice is loaded. Piper gives a time for each code
point of its IPA: stress marks, length marks, spaces and punctuation have times of their own, and a diphthong
has two.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm, to_int16
from cvi.audio.resample import resample
from cvi.errors import CviError, EngineError, MissingError
from cvi.files import is_file
from cvi.onnx import open_session
from cvi.paths import models_dir, user_path
from cvi.tts.base import SEAM_S, Phone, Speech, TtsSettings
from cvi.tts.ipa import sounds
from cvi.tts.local_voice import LocalVoice
from cvi.tts.normalization.spoken_text import SpokenText, SpokenWord
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
    first_words = 2

    def __init__(self, voice: Any, settings: TtsSettings) -> None:
        """`voice` is a loaded `piper.PiperVoice`."""
        from piper import SynthesisConfig

        super().__init__(settings.language)
        self._voice = voice
        self._config = SynthesisConfig(
            length_scale=voice.config.length_scale / min(3.0, max(0.4, settings.speed)),
            # Else each piece would be as loud as its loudest sound.
            normalize_audio=False,
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

    def speak_part(self, text: str, before: str = "", after: str = "") -> AsyncIterator[Speech]:
        """As `PhraseVoice.speak_part`: the whole clause is synthesized, and cut by the voice's durations.

        Where the voice has no durations or joins the words at a cut, `text` is spoken alone.
        """
        clause = self._normalized(" ".join(part for part in (before, text, after) if part))
        start = len(before) + 1 if before else 0
        end = start + len(text)
        return self._stream(
            self._normalized(text), lambda cancelled: self._part(clause, start, end, cancelled)
        )

    def _part(self, clause: SpokenText, start: int, end: int, cancelled: threading.Event) -> Iterator[Speech]:
        """What `clause` says for the part `start` to `end` of its written text."""
        inner = [i for i, word in enumerate(clause.words) if start <= word.source_start < end]
        if not inner:
            return
        cut_start, cut_end = inner[0] > 0, inner[-1] + 1 < len(clause.words)
        text = clause.text
        first = clause.words[inner[0]].start
        last = clause.words[inner[-1] + 1].start if cut_end else len(text)
        words = tuple(
            SpokenWord(w.start - first, w.end - first, w.source_start - start, w.source_end - start)
            for w in (clause.words[i] for i in inner)
        )
        part = SpokenText(text[first:last].rstrip(" ,;:"), words)
        before, within = self._groups(text[:first]), self._groups(text[first:last])
        cuttable = before + within + self._groups(text[last:]) == self._groups(text)
        if not (cut_start or cut_end) or not cuttable:
            yield from self._synthesize(part, cancelled)
            return
        pcm, alignment = self._sentence(clause)
        begin_s = alignment.onset(before) if cut_start else 0.0
        end_s = alignment.onset(before + within) if cut_end else len(pcm) / PLAYED_HZ
        if begin_s is None or end_s is None:
            yield from self._synthesize(part, cancelled)
            return
        phones = [p for p in alignment.phones if p.end_s > begin_s and p.start_s < end_s]
        sounding = [p for p in phones if p.ipa]
        onsets = alignment.between(before, before + within)
        if len(onsets) != len(words):
            onsets = [sounding[0].start_s if sounding else begin_s]
        timed = words_from_onsets(
            part, dict(enumerate(onsets)), sounding[-1].end_s if sounding else end_s, phones
        )
        half_s = SEAM_S / 2
        cut_s = max(begin_s - half_s, 0.0) if cut_start else 0.0
        a, b = round(cut_s * PLAYED_HZ), round((end_s + half_s) * PLAYED_HZ)
        sound = _faded(pcm[a:b], cut_start, cut_end)
        piece = speech(
            sound,
            [Phone(p.ipa, p.start_s - cut_s, p.end_s - cut_s, p.stress) for p in phones],
            [(word, begin - cut_s, until - cut_s) for word, begin, until in timed],
            trim_start=not cut_start,
            trim_end=not cut_end,
        )
        if piece is not None:
            yield piece

    def _groups(self, text: str) -> int:
        """How many words the voice makes of `text`: it joins some, as "of the"."""
        phonemes = " ".join("".join(sentence) for sentence in self._voice.phonemize(text))
        return len(re.sub(f"[{re.escape(''.join(_PAUSES))}]", " ", phonemes).split())

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


def _faded(pcm: Pcm, start: bool, end: bool) -> Pcm:
    """`pcm` with a fade of SEAM_S at its start, at its end, or both; two of them add up to equal power."""
    size = min(round(SEAM_S * PLAYED_HZ), len(pcm) // 2)
    rise = np.sin(np.linspace(0.0, np.pi / 2, size, dtype=np.float32))
    out = pcm.astype(np.float32)
    if start:
        out[:size] *= rise
    if end:
        out[len(out) - size :] *= rise[::-1]
    return out.astype(np.int16)


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
        path = user_path(name)
        if is_file(path):
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

    def onset(self, index: int) -> float | None:
        """When the voice's word number `index` begins; None without durations."""
        return self._onsets[index] if index < len(self._onsets) else None

    def between(self, first: int, end: int) -> list[float]:
        """The onsets of the voice's words from `first` up to, without, `end`."""
        return self._onsets[first:end]

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
