"""A film's sound as the face's driver takes it, what it asks of the face in each frame, and the fit of all
models of the sound to one person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm
from cvi.audio.resample import resample
from cvi.errors import UsageError
from cvi.face.base import Controls
from cvi.face.driver import MouthDriver
from cvi.face.sound_mouth import FRAME_S, MOUTH_NETWORK, MouthReader, levels_db
from cvi.face.speech_mouth import SPEECH_MAP, SpeechEncoder, SpeechMap, SpeechMouth, map_bytes
from cvi.files import write_bytes
from cvi.training.arrays import Bools
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

_VOICED_DB, _QUIET_DB = -26.0, -50.0


@dataclass(frozen=True, slots=True)
class FilmSpeech:
    """Sound from `start_s` on, with its phones, whose times count from there; without phones, the sound
    alone."""

    start_s: float
    pcm: Pcm
    phones: tuple[Phone, ...] = ()


def unscripted_segments(pcm: Pcm) -> list[FilmSpeech]:
    """The film's sound without a script: one segment, or none where the film is shorter than 0.1 s."""
    assert pcm.ndim == 1
    return [FilmSpeech(0.0, pcm)] if len(pcm) > PLAYED_HZ // 10 else []


def driver_controls(
    segments: Sequence[FilmSpeech], count: int, fps: float, reader: MouthReader | None = None
) -> list[Controls]:
    """What the driver asks of a face in the middle of each of `count` frames. `reader` is the audio-to-mouth
    model for segments without phones, the shipped one where None."""
    driver = MouthDriver(reader)
    for segment in segments:
        driver.append(segment.phones, segment.pcm, segment.start_s)
    shapes = [driver.mouth_at((index + 0.5) / fps) for index in range(count)]
    return [
        Controls(jaw=s.jaw, wide=s.wide, round=s.round, press=s.press, tuck=s.tuck, tongue=s.tongue)
        for s in shapes
    ]


def delayed_to_film(controls: Sequence[Controls], lag_frames: int) -> list[Controls]:
    """The controls delayed by `lag_frames`, as the film's picture is behind its sound, for
    comparison with it."""
    last = len(controls) - 1
    return [controls[min(max(index - lag_frames, 0), last)] for index in range(len(controls))]


def voiced_frames(pcm: Pcm, count: int, fps: float) -> Bools:
    """In which of `count` frames the person speaks, (count,); `pcm` at PLAYED_HZ. Gaps under 0.2 s count as
    speech."""
    levels = levels_db(pcm)
    out = np.zeros(count, np.bool_)
    if not len(levels):
        return out
    loud = float(np.percentile(levels, 90))
    voiced = levels > max(loud + _VOICED_DB, _QUIET_DB)
    reach = round(0.1 / FRAME_S)
    near = np.convolve(voiced, np.ones(2 * reach + 1), "same") > 0
    for index in range(count):
        first, end = round(index / fps / FRAME_S), round((index + 1) / fps / FRAME_S)
        out[index] = bool(near[first:end].any())
    return out


_LIPS_MEET = frozenset("pbm")


def read_script(path: Path) -> str:
    """The text that was read in a film. Raises UsageError for a file that is no text or has no sentence that
    can be aligned, MissingError without the aligner."""
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


def scripted_segments(sound: Pcm, script: str) -> tuple[list[FilmSpeech], list[float]]:
    """The film's sound (PLAYED_HZ) in segments, with phones where a sentence of the script was found; and the
    middles of all P, B and M, seconds. Raises MissingError without the aligner."""
    segments: list[FilmSpeech] = []
    closures_s: list[float] = []
    at = 0
    for sentence in align(resample(sound, PLAYED_HZ, HEARD_HZ), script):
        first, end = round(sentence.start_s * PLAYED_HZ), round(sentence.end_s * PLAYED_HZ)
        # Sentences have margins, and so may overlap in silence.
        if first > at:
            segments.append(FilmSpeech(at / PLAYED_HZ, sound[at:first]))
        segments.append(FilmSpeech(sentence.start_s, sound[first:end], sentence.phones))
        closures_s += [
            sentence.start_s + (phone.start_s + phone.end_s) / 2
            for phone in sentence.phones
            if phone.ipa in _LIPS_MEET
        ]
        at = end
    if at < len(sound):
        segments.append(FilmSpeech(at / PLAYED_HZ, sound[at:]))
    return segments, closures_s


@dataclass(frozen=True, slots=True)
class FittedAudio:
    """Everything fitted to one film's sound.

    `from_sound` and `from_script` are the controls requested in each frame, by the best
    audio-to-mouth model and by the phones of the script (None without one); `mouth` what controls
    mean for this person; `closures_s` the middles of the P, B and M of the script; `sentences` how many of it
    were found. `band_model` and `encoder_model` are None where there was too little speech; `speech_map` is
    the encoder's map, scaled to this mouth.
    """

    from_sound: list[Controls]
    from_script: list[Controls] | None
    mouth: LearnedMouth
    closures_s: list[float]
    sentences: int
    band_model: BandMouthModel | None
    encoder_model: EncoderMouthModel | None
    speech_map: SpeechMap | None

    def facts(self) -> dict[str, Any]:
        """Figures for the replica's card."""
        out: dict[str, Any] = {"script_sentences": self.sentences}
        for name, model in (("bands", self.band_model), ("encoder", self.encoder_model)):
            if model is not None:
                correlations = {"own": round(model.agreement, 3), "shipped": round(model.before, 3)}
                out.setdefault("heard_jaw_correlation", {})[name] = correlations
        return out

    def store(self, folder: Path) -> list[str]:
        """Write the models into a replica's folder; returns the names of the files."""
        names = []
        if self.band_model is not None:
            write_bytes(folder / MOUTH_NETWORK, band_model_bytes(self.band_model))
            names.append(MOUTH_NETWORK)
        if self.speech_map is not None:
            write_bytes(folder / SPEECH_MAP, map_bytes(self.speech_map))
            names.append(SPEECH_MAP)
        return names


def fit_audio(
    sound: Pcm, script: str | None, prepared: PreparedFootage, voiced: Bools, encoder: SpeechEncoder | None
) -> FittedAudio:
    """Fit the models to `sound` (int16 at PLAYED_HZ, the whole film); `voiced` (n,) frames with speech.

    With `encoder` its model is fitted too, and preferred. Raises MissingError where there is a script and no
    aligner, UsageError where hardly anything is said.
    """
    count, fps = len(prepared), prepared.fps
    space, train = prepared.space, prepared.train
    rest = resting_mouth(space, prepared.mouth, train, voiced)
    shown = shown_controls(space, prepared.mouth, train, rest)
    band_model = fit_band_model(sound, shown, train & voiced, fps)
    encoder_model = None if encoder is None else fit_encoder_model(encoder, sound, shown, train & voiced, fps)
    unscripted = unscripted_segments(sound)
    reader: MouthReader | None = None if band_model is None else band_model.network
    from_script, sentences = None, 0
    closures_s: list[float] = []
    if script is not None:
        segments, closures_s = scripted_segments(sound, script)
        sentences = sum(bool(segment.phones) for segment in segments)
        from_script = driver_controls(segments, count, fps, reader)
    if encoder is None or encoder_model is None:
        from_sound = driver_controls(unscripted, count, fps, reader)
        learned = learn_mouth(space, prepared.mouth, from_script or from_sound, train, voiced)
        return FittedAudio(from_sound, from_script, learned, closures_s, sentences, band_model, None, None)

    def controls_of(mapping: SpeechMap) -> list[Controls]:
        return driver_controls(unscripted, count, fps, SpeechMouth(encoder, mapping))

    # The mouth is learned from controls that a model predicts which was fitted without the frame.
    mapping = encoder_model.mapping
    if from_script is None:
        held_out = encoder_model.held_out(controls_of)
        learned = learn_mouth(space, prepared.mouth, held_out, train, voiced, own=True)
    else:
        learned = learn_mouth(space, prepared.mouth, from_script, train, voiced)
        # The mouth was learned for what phones ask for; the encoder's model predicts this person's jaw
        # already.
        own = 1 / learned.gain, -learned.floor / learned.gain
        held_out = encoder_model.held_out(lambda mapping: controls_of(mapping.with_jaw(*own)))
        scale = jaw_scale_for(learned, space, prepared.mouth, held_out, train & voiced)
        mapping = mapping.with_jaw(*own).with_jaw(*scale)
    return FittedAudio(
        controls_of(mapping), from_script, learned, closures_s, sentences, band_model, encoder_model, mapping
    )
