"""A film's speech as the face's driver takes it, and what it asks of the face in each frame.

TODO A film's sound with its script: phones where a sentence was found, the bare sound elsewhere.

TODO What the film's sound asks of the face, frame by frame, by ear and by its script; and what asking means
for this person's mouth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm
from cvi.audio.resample import resample
from cvi.errors import UsageError
from cvi.face.base import Controls
from cvi.face.driver import MouthDriver
from cvi.face.sound_features import FRAME_S, levels_db
from cvi.face.sound_mouth import MOUTH_NETWORK, MouthReader
from cvi.face.speech_mouth import SPEECH_MAP, SpeechEncoder, SpeechMap, SpeechMouth, map_bytes
from cvi.files import write_bytes
from cvi.training.audio.alignment import align, known_sentences
from cvi.training.audio.audio_to_mouth import (
    BandMouthModel,
    EncoderMouthModel,
    band_model_bytes,
    fit_band_model,
    fit_encoder_model,
)
from cvi.training.audio.mouth_controls import (
    LearnedMouth,
    jaw_scale_for,
    learn_mouth,
    resting_mouth,
    shown_controls,
)
from cvi.training.footage.preparation import PreparedFootage
from cvi.tts.base import Phone

Bools = npt.NDArray[np.bool_]

_VOICED_DB, _QUIET_DB = -26.0, -50.0


@dataclass(frozen=True, slots=True)
class SpeechSegment:
    """Sound from `start_s` on, with its phones' times counted from there; no phones: the sound alone."""

    start_s: float
    pcm: Pcm
    phones: tuple[Phone, ...] = ()


def unscripted_segments(pcm: Pcm) -> list[SpeechSegment]:
    """The film's sound without a script: one long utterance, read by ear."""
    assert pcm.ndim == 1
    return [SpeechSegment(0.0, pcm)] if len(pcm) > PLAYED_HZ // 10 else []


def driver_controls(
    utterances: Sequence[SpeechSegment], count: int, fps: float, ear: MouthReader | None = None
) -> list[Controls]:
    """What the driver asks of a face in each of `count` frames, of their middles. `ear` is the person's own,
    for utterances without phones."""
    driver = MouthDriver(ear)
    for utterance in utterances:
        driver.append(utterance.phones, utterance.pcm, utterance.start_s)
    shapes = [driver.mouth_at((index + 0.5) / fps) for index in range(count)]
    return [
        Controls(jaw=s.jaw, wide=s.wide, round=s.round, press=s.press, tuck=s.tuck, tongue=s.tongue)
        for s in shapes
    ]


def delayed_to_film(controls: Sequence[Controls], lag_frames: int) -> list[Controls]:
    """What is asked for in each picture of footage whose picture lies `lag_frames` behind its sound.

    A film's own offset is none of the replica's, which speaks in time: to be compared with the film it is
    shown as late.
    """
    last = len(controls) - 1
    return [controls[min(max(index - lag_frames, 0), last)] for index in range(len(controls))]


def voiced_frames(pcm: Pcm, count: int, fps: float) -> Bools:
    """In which frames the person speaks; `pcm` at PLAYED_HZ. Gaps shorter than 0.2 s count as speech."""
    levels = levels_db(pcm)
    out = np.zeros(count, np.bool_)
    if not len(levels):
        return out
    loud = float(np.percentile(levels, 90))
    heard = levels > max(loud + _VOICED_DB, _QUIET_DB)
    reach = round(0.1 / FRAME_S)
    near = np.convolve(heard, np.ones(2 * reach + 1), "same") > 0
    for index in range(count):
        first, end = round(index / fps / FRAME_S), round((index + 1) / fps / FRAME_S)
        out[index] = bool(near[first:end].any())
    return out


_LIPS_MEET = frozenset("pbm")


def read_script(path: Path) -> str:
    """What was read in a film. Raises UsageError for what is no text, or none that can be found in sound;
    MissingError without the aligner."""
    if not path.is_file():
        raise UsageError(f"There is no script {path}.", "Check the path.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The script {path} cannot be read.", "Save it as plain text in UTF-8.") from error
    if not text.strip():
        raise UsageError(f"The script {path} is empty.", "Write into it what is said in the film.")
    if not known_sentences(text):
        raise UsageError(
            f"No sentence of {path} is of English words alone that are known here.",
            "Only English can be found in sound: leave --script out, and the sound alone is learned from.",
        )
    return text


def scripted_segments(sound: Pcm, script: str) -> tuple[list[SpeechSegment], list[float]]:
    """`sound` at PLAYED_HZ, the whole film. The utterances in order, and the middles of all P, B and M that
    were found, seconds. Raises MissingError without the aligner."""
    utterances: list[SpeechSegment] = []
    closures_s: list[float] = []
    at = 0
    for sentence in align(resample(sound, PLAYED_HZ, HEARD_HZ), script):
        first, end = round(sentence.start_s * PLAYED_HZ), round(sentence.end_s * PLAYED_HZ)
        # Sentences are cut with a margin, and so may share a little silence.
        if first > at:
            utterances.append(SpeechSegment(at / PLAYED_HZ, sound[at:first]))
        utterances.append(SpeechSegment(sentence.start_s, sound[first:end], sentence.phones))
        closures_s += [
            sentence.start_s + (phone.start_s + phone.end_s) / 2
            for phone in sentence.phones
            if phone.ipa in _LIPS_MEET
        ]
        at = end
    if at < len(sound):
        utterances.append(SpeechSegment(at / PLAYED_HZ, sound[at:]))
    return utterances, closures_s


@dataclass(frozen=True, slots=True)
class FittedAudio:
    """What is asked for in each frame: `by_ear`, of the bare sound, by the best ear there is; `by_script`, of
    the phones where sentences of the script were found, None without one. `mouth` is what that means for this
    person. `closures_s` the middles of the P, B and M that are known to be said; `sentences` how many were
    found of the script. `ear` and `speech_ear` are None where too little was said; `speech_map` is what the
    second asks of this mouth."""

    by_ear: list[Controls]
    by_script: list[Controls] | None
    mouth: LearnedMouth
    closures_s: list[float]
    sentences: int
    ear: BandMouthModel | None
    speech_ear: EncoderMouthModel | None
    speech_map: SpeechMap | None

    def facts(self) -> dict[str, Any]:
        """For the replica's card."""
        out: dict[str, Any] = {"script_sentences": self.sentences}
        for name, ear in (("bands", self.ear), ("encoder", self.speech_ear)):
            if ear is not None:
                told = {"own": round(ear.agreement, 3), "shipped": round(ear.before, 3)}
                out.setdefault("heard_jaw_correlation", {})[name] = told
        return out

    def store(self, folder: Path) -> list[str]:
        """Write the ears into a replica's folder; the files' names."""
        names = []
        if self.ear is not None:
            write_bytes(folder / MOUTH_NETWORK, band_model_bytes(self.ear))
            names.append(MOUTH_NETWORK)
        if self.speech_map is not None:
            write_bytes(folder / SPEECH_MAP, map_bytes(self.speech_map))
            names.append(SPEECH_MAP)
        return names


def fit_audio(
    sound: Pcm, script: str | None, prepared: PreparedFootage, voiced: Bools, encoder: SpeechEncoder | None
) -> FittedAudio:
    """`sound` int16 at PLAYED_HZ, the whole film; `voiced` (n,) frames in which somebody speaks.

    Raises MissingError without the aligner, where there is a script, and UsageError where hardly anything is
    said.
    """
    count, fps = len(prepared), prepared.fps
    space, train = prepared.space, prepared.train
    rest = resting_mouth(space, prepared.mouth, train, voiced)
    gauge = shown_controls(space, prepared.mouth, train, rest)
    ear = fit_band_model(sound, gauge, train & voiced, fps)
    speech_ear = None if encoder is None else fit_encoder_model(encoder, sound, gauge, train & voiced, fps)
    bare = unscripted_segments(sound)
    reader: MouthReader | None = None if ear is None else ear.network
    by_script, sentences = None, 0
    closures_s: list[float] = []
    if script is not None:
        utterances, closures_s = scripted_segments(sound, script)
        sentences = sum(bool(utterance.phones) for utterance in utterances)
        by_script = driver_controls(utterances, count, fps, reader)
    if encoder is None or speech_ear is None:
        by_ear = driver_controls(bare, count, fps, reader)
        learned = learn_mouth(space, prepared.mouth, by_script or by_ear, train, voiced)
        return FittedAudio(by_ear, by_script, learned, closures_s, sentences, ear, None, None)

    def by(mapping: SpeechMap) -> list[Controls]:
        return driver_controls(bare, count, fps, SpeechMouth(encoder, mapping))

    # What is learned is learned from each frame as an ear hears it that was fitted without it.
    mapping = speech_ear.mapping
    if by_script is None:
        unknowing = speech_ear.unknowing(by)
        learned = learn_mouth(space, prepared.mouth, unknowing, train, voiced, own=True)
    else:
        learned = learn_mouth(space, prepared.mouth, by_script, train, voiced)
        # The mouth was learned for what phones ask; what is heard is the person's own jaw already.
        own = 1 / learned.gain, -learned.floor / learned.gain
        unknowing = speech_ear.unknowing(lambda apart: by(apart.with_jaw(*own)))
        scale = jaw_scale_for(learned, space, prepared.mouth, unknowing, train & voiced)
        mapping = mapping.with_jaw(*own).with_jaw(*scale)
    return FittedAudio(by(mapping), by_script, learned, closures_s, sentences, ear, speech_ear, mapping)
