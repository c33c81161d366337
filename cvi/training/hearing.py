"""What the film's sound asks of the face, frame by frame, by ear and by its script; and what asking means for
this person's mouth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.audio.block import Pcm
from cvi.face.base import Controls
from cvi.face.sound_mouth import MOUTH_NETWORK, MouthReader
from cvi.face.speech_mouth import SPEECH_MAP, SpeechEncoder, SpeechMap, SpeechMouth, map_bytes
from cvi.files import write_bytes
from cvi.training.ear import Ear, ear_bytes, learn_ear
from cvi.training.prepared import Prepared
from cvi.training.scripted import scripted_sound
from cvi.training.speaking import Learned, gauged, learn_mouth, rest_of, scale_for
from cvi.training.speech_ear import SpeechEar, learn_speech_ear
from cvi.training.utterances import asked, whole_sound

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Heard:
    """What is asked for in each frame: `by_ear`, of the bare sound, by the best ear there is; `by_script`, of
    the phones where sentences of the script were found, None without one. `mouth` is what that means for this
    person. `closures_s` the middles of the P, B and M that are known to be said; `sentences` how many were
    found of the script. `ear` and `speech_ear` are None where too little was said; `speech_map` is what the
    second asks of this mouth."""

    by_ear: list[Controls]
    by_script: list[Controls] | None
    mouth: Learned
    closures_s: list[float]
    sentences: int
    ear: Ear | None
    speech_ear: SpeechEar | None
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
            write_bytes(folder / MOUTH_NETWORK, ear_bytes(self.ear))
            names.append(MOUTH_NETWORK)
        if self.speech_map is not None:
            write_bytes(folder / SPEECH_MAP, map_bytes(self.speech_map))
            names.append(SPEECH_MAP)
        return names


def hear(
    sound: Pcm, script: str | None, prepared: Prepared, voiced: Bools, encoder: SpeechEncoder | None
) -> Heard:
    """`sound` int16 at PLAYED_HZ, the whole film; `voiced` (n,) frames in which somebody speaks.

    Raises MissingError without the aligner, where there is a script, and UsageError where hardly anything is
    said.
    """
    count, fps = len(prepared), prepared.fps
    space, train = prepared.space, prepared.train
    rest = rest_of(space, prepared.mouth, train, voiced)
    gauge = gauged(space, prepared.mouth, train, rest)
    ear = learn_ear(sound, gauge, train & voiced, fps)
    speech_ear = None if encoder is None else learn_speech_ear(encoder, sound, gauge, train & voiced, fps)
    bare = whole_sound(sound)
    reader: MouthReader | None = None if ear is None else ear.network
    by_script, sentences = None, 0
    closures_s: list[float] = []
    if script is not None:
        utterances, closures_s = scripted_sound(sound, script)
        sentences = sum(bool(utterance.phones) for utterance in utterances)
        by_script = asked(utterances, count, fps, reader)
    if encoder is None or speech_ear is None:
        by_ear = asked(bare, count, fps, reader)
        learned = learn_mouth(space, prepared.mouth, by_script or by_ear, train, voiced)
        return Heard(by_ear, by_script, learned, closures_s, sentences, ear, None, None)

    def by(mapping: SpeechMap) -> list[Controls]:
        return asked(bare, count, fps, SpeechMouth(encoder, mapping))

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
        scale = scale_for(learned, space, prepared.mouth, unknowing, train & voiced)
        mapping = mapping.with_jaw(*own).with_jaw(*scale)
    return Heard(by(mapping), by_script, learned, closures_s, sentences, ear, speech_ear, mapping)
