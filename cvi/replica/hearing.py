"""What the film's sound asks of the face, frame by frame: by its phones where the script is known, by ear
elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.audio.block import Pcm
from cvi.face.base import Controls
from cvi.face.replica import save_bytes
from cvi.face.sound_mouth import EAR, MouthReader
from cvi.face.speech_encoder import SpeechEncoder
from cvi.face.speech_mouth import SPEECH_EAR, SpeechMouth, map_bytes
from cvi.replica.ear import Ear, ear_bytes, learn_ear
from cvi.replica.prepared import Prepared
from cvi.replica.scripted import scripted_sound
from cvi.replica.speaking import Utterance, asked, gauged, rest_of, whole_sound
from cvi.replica.speech_ear import SpeechEar, learn_speech_ear

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Heard:
    """`controls` asked for in each frame, by the best ear there is; `unknowing` the same, each frame by an
    ear that was fitted without it, to learn from. `closures_s` the middles of the P, B and M that are known
    to be said; `sentences` how many were found of the script. Ears are None where too little was said."""

    controls: list[Controls]
    unknowing: list[Controls]
    closures_s: list[float]
    sentences: int
    ear: Ear | None
    speech_ear: SpeechEar | None

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
            save_bytes(folder / EAR, ear_bytes(self.ear))
            names.append(EAR)
        if self.speech_ear is not None:
            save_bytes(folder / SPEECH_EAR, map_bytes(self.speech_ear.mapping))
            names.append(SPEECH_EAR)
        return names


def hear(
    sound: Pcm, script: str | None, prepared: Prepared, voiced: Bools, encoder: SpeechEncoder | None
) -> Heard:
    """`sound` int16 at PLAYED_HZ, the whole film; `voiced` (n,) frames in which somebody speaks.

    Raises MissingError without the aligner, where there is a script.
    """
    count, fps = len(prepared), prepared.fps
    utterances, closures_s = spoken(sound, script)
    rest = rest_of(prepared.space, prepared.mouth, prepared.train, voiced)
    gauge = gauged(prepared.space, prepared.mouth, prepared.train, rest)
    used = prepared.train & voiced
    ear = learn_ear(sound, gauge, used, fps)
    speech_ear = None if encoder is None else learn_speech_ear(encoder, sound, gauge, used, fps)
    reader: MouthReader | None = None if ear is None else ear.network
    if encoder is not None and speech_ear is not None:
        reader = SpeechMouth(encoder, speech_ear.mapping)
    controls = asked(utterances, count, fps, reader)
    unknowing = controls
    if encoder is not None and speech_ear is not None:
        parts = [asked(utterances, count, fps, SpeechMouth(encoder, m)) for m in speech_ear.apart]
        unknowing = [parts[number][index] for index, number in enumerate(speech_ear.fold.tolist())]
    sentences = sum(bool(utterance.phones) for utterance in utterances)
    return Heard(controls, unknowing, closures_s, sentences, ear, speech_ear)


def spoken(sound: Pcm, script: str | None) -> tuple[list[Utterance], list[float]]:
    """The film's speech for the driver, and when lips must meet: known where there is a script.

    `sound` at PLAYED_HZ. Raises MissingError without the aligner.
    """
    if script is None:
        return whole_sound(sound), []
    return scripted_sound(sound, script)
