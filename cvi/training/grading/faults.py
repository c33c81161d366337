"""The faults footage can have, each with what comes of it and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Span = tuple[float, float]
Verdict = Literal["good", "usable", "unusable"]


@dataclass(frozen=True, slots=True)
class Kind:
    """`title` names it, `effect` is what it does to a replica, `remedy` what to do. `local`: the rest of
    the film is as good without the stretches that have it."""

    title: str
    effect: str
    remedy: str
    local: bool = False


KINDS: dict[str, Kind] = {
    "no_face": Kind(
        "No face",
        "There is nothing to learn a face from.",
        "Film one person from the front, head and shoulders, in even light.",
    ),
    "two_faces": Kind(
        "Two faces",
        "The replica would mix two people.",
        "Film one person alone; take down pictures and mirrors behind them.",
        local=True,
    ),
    "too_far": Kind(
        "The face is small",
        "Lips and teeth have too few pixels: the replica's mouth will be soft.",
        "Move closer to the camera, or film at a higher resolution: ear to ear at least 180 pixels.",
    ),
    "turned": Kind(
        "The head is turned away",
        "One side of the mouth is not seen, and is learned wrong.",
        "Face the camera; put the text beside its lens. These seconds are left out of training.",
        local=True,
    ),
    "face_lost": Kind(
        "The face is lost",
        "Nothing can be learned here, and no idle clip can cross it.",
        "Stay within the frame, with nothing before the face. These seconds are left out of training.",
        local=True,
    ),
    "blur": Kind(
        "The face is blurred",
        "The replica learns the blur.",
        "Lock the focus on the face, clean the lens, add light so that the shutter is short.",
        local=True,
    ),
    "flicker": Kind(
        "The light flickers",
        "The replica's face will pulse against its surroundings.",
        "Film by daylight or a lamp that does not flicker, or set the shutter to 1/50 s (1/60 s in America).",
    ),
    "cut": Kind(
        "A cut",
        "The head jumps: no clip and no training window may cross it.",
        "Film in one take. Training works piece by piece between the cuts.",
    ),
    "caption": Kind(
        "Writing over the mouth",
        "Letters are learned as part of the mouth.",
        "Use the film from before captions were put on it.",
        local=True,
    ),
    "covered": Kind(
        "Something covers the mouth",
        "A hand, cup or microphone is learned as part of the mouth.",
        "Keep the space before the face free. These seconds are left out of training.",
        local=True,
    ),
    "no_sound": Kind(
        "No sound",
        "Without the voice nothing tells which sound belongs to which mouth.",
        "Film again with the microphone on, or join the sound to the film.",
    ),
    "noisy": Kind(
        "The sound is noisy",
        "Sounds are taken for others, and silence is taken for speech.",
        "Switch off fans and music, come closer to the microphone, or wear one.",
    ),
    "offset": Kind(
        "Sound and picture are apart",
        "The lips will be early or late by as much, in everything the replica says.",
        "Training shifts the sound by what was measured; better is to film again with the camera's own "
        "microphone.",
    ),
    "little_speech": Kind(
        "Too little speech",
        "Most mouth shapes are seen too seldom: they come out averaged and half open.",
        "Read the whole script of `cvi replica script`: about two minutes.",
    ),
    "no_stillness": Kind(
        "No still silence",
        "There is nothing for the replica to do while it is silent but hold its breath.",
        "Twice in the film, look into the camera with closed lips for five seconds.",
    ),
    "few_labials": Kind(
        "The lips hardly ever meet",
        "P, B, M and F, V, OO are what a viewer checks first: the mouth will not close for them.",
        "Read the script of `cvi replica script`, which is full of them, and speak clearly.",
    ),
    "stalls": Kind(
        "The picture stalls",
        "The mouth stands still while the voice goes on, and is learned so.",
        "Close other programs while filming, and film at a fixed rate of 25 or 30 frames a second.",
    ),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault found. `spans` are seconds of the film; `value` is what was measured, against `limit`;
    `said` tells it in one sentence. `fatal`: nothing can be made of the footage."""

    kind: str
    spans: tuple[Span, ...]
    value: float
    limit: float
    said: str
    fatal: bool = False

    @property
    def about(self) -> Kind:
        return KINDS[self.kind]


@dataclass(frozen=True, slots=True)
class Grade:
    """What was found. `clean` are the stretches without a fault of a moment, seconds; `figures` everything
    that was measured, by name with its unit in it; `sound_late_s` by how much the sound comes late."""

    film: str
    sha256: str
    duration_s: float
    width: int
    height: int
    fps: float
    verdict: Verdict
    faults: tuple[Fault, ...]
    clean: tuple[Span, ...]
    speech: tuple[Span, ...] = ()
    stills: tuple[Span, ...] = ()
    sound_late_s: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    tracker: str = ""
