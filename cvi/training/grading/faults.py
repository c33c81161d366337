"""The kinds of faults footage can have, each with its effect on a replica and its remedy, and the limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cvi.training.footage.spans import Span

Verdict = Literal["good", "usable", "unusable"]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """`title` names it, `effect` is what it does to a replica, `remedy` what to do. `local`: it concerns only
    some stretches, and training can leave those out."""

    title: str
    effect: str
    remedy: str
    local: bool = False


KINDS: dict[str, FaultKind] = {
    "no_face": FaultKind(
        "No face",
        "There is no face to learn from.",
        "Film one person from the front, head and shoulders, in even light.",
    ),
    "two_faces": FaultKind(
        "Two faces",
        "The replica would mix two people.",
        "Film one person alone; take down pictures and mirrors behind them.",
        local=True,
    ),
    "too_far": FaultKind(
        "The face is small",
        "Lips and teeth have too few pixels: the replica's mouth will be soft.",
        "Move closer to the camera, or film at a higher resolution: ear to ear at least 180 pixels.",
    ),
    "turned": FaultKind(
        "The head is turned away",
        "One side of the mouth is not seen, and is learned wrong.",
        "Face the camera; put the text beside its lens. These seconds are left out of training.",
        local=True,
    ),
    "face_lost": FaultKind(
        "The face is lost",
        "Nothing can be learned here, and no clip can cross it.",
        "Stay within the frame, with nothing before the face. These seconds are left out of training.",
        local=True,
    ),
    "blur": FaultKind(
        "The face is blurred",
        "The replica learns the blur.",
        "Lock the focus on the face, clean the lens, add light so that the shutter is short.",
        local=True,
    ),
    "flicker": FaultKind(
        "The light flickers",
        "The replica's face will pulse against its surroundings.",
        "Film by daylight or a lamp that does not flicker, or set the shutter to 1/50 s (1/60 s in America).",
    ),
    "cut": FaultKind(
        "A cut",
        "The head jumps: no clip and no training window may cross it.",
        "Film in one take. Training uses the pieces between the cuts.",
    ),
    "caption": FaultKind(
        "Writing over the mouth",
        "Letters are learned as part of the mouth.",
        "Use the film from before captions were put on it.",
        local=True,
    ),
    "covered": FaultKind(
        "Something covers the mouth",
        "A hand, cup or microphone is learned as part of the mouth.",
        "Keep the space before the face free. These seconds are left out of training.",
        local=True,
    ),
    "no_sound": FaultKind(
        "No sound",
        "Without the voice, mouths cannot be matched to sounds.",
        "Film again with the microphone on, or join the sound to the film.",
    ),
    "noisy": FaultKind(
        "The sound is noisy",
        "Sounds are confused, and silence is taken for speech.",
        "Switch off fans and music, come closer to the microphone, or wear one.",
    ),
    "offset": FaultKind(
        "Sound and picture are apart",
        "The lips will be early or late by as much, in everything the replica says.",
        "Training shifts the sound by what was measured; better is to film again with the camera's own "
        "microphone.",
    ),
    "little_speech": FaultKind(
        "Too little speech",
        "Most mouth shapes are seen too seldom: they come out averaged and half open.",
        "Read the whole script of `cvi replica script`: about two minutes.",
    ),
    "no_stillness": FaultKind(
        "No still silence",
        "There is no footage for the replica to show while it is silent.",
        "Twice in the film, look into the camera with closed lips for five seconds.",
    ),
    "few_labials": FaultKind(
        "The lips hardly ever meet",
        "Viewers notice P, B, M and F, V, OO first: the replica's mouth will not close for them.",
        "Read the script of `cvi replica script`, which is full of them, and speak clearly.",
    ),
    "stalls": FaultKind(
        "The picture stalls",
        "The picture stands still while the voice goes on, and the replica learns that.",
        "Close other programs while filming, and film at a fixed rate of 25 or 30 frames a second.",
    ),
}


@dataclass(frozen=True, slots=True)
class FootageFault:
    """One fault found. `spans` are seconds of the film; `value` is what was measured, against `limit`;
    `message` says it in one sentence. `fatal`: no replica can be made of the footage."""

    kind: str
    spans: tuple[Span, ...]
    value: float
    limit: float
    message: str
    fatal: bool = False

    @property
    def about(self) -> FaultKind:
        """Title, effect and remedy."""
        return KINDS[self.kind]


@dataclass(frozen=True, slots=True)
class FootageGrade:
    """The grade of one film. `clean` are the stretches without a local fault, `speech` and `stills` those
    with speech and with a silent, still face, all in seconds; `figures` what was measured, by name with its
    unit; `sound_late_s` by how much the sound is later than the picture."""

    film: str
    sha256: str
    duration_s: float
    width: int
    height: int
    fps: float
    verdict: Verdict
    faults: tuple[FootageFault, ...]
    clean: tuple[Span, ...]
    speech: tuple[Span, ...] = ()
    stills: tuple[Span, ...] = ()
    sound_late_s: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    tracker: str = ""


@dataclass(frozen=True, slots=True)
class GradingLimits:
    """What footage is measured against. Where no other source is named, a number was set between the
    synthetic good and bad films and the real clips of the project's test media; `scripts/measure_grader`
    prints the grades of all of them."""

    face_px: float = 180.0
    """Ear to ear, in the film's own pixels; a smaller face is enlarged at 720p."""
    hopeless_face_px: float = 90.0
    """The generator's smallest crop is 96 pixels."""
    most_turn_degrees: float = 15.0
    """Between the nose and the camera; beyond it one cheek hides the mouth's corner."""
    least_turn_s: float = 0.6
    least_lost_s: float = 0.24
    most_lost_share: float = 0.5
    """Of all frames; with more, this is no film of a face."""
    least_second_face_s: float = 0.8
    most_second_face_share: float = 0.3
    most_blur: float = 0.58
    """Crete et al. 2007 on the face at 192 pixels: 0 sharp, 1 uniform. Real clips lie at 0.38 to
    0.50, a stock face at 0.47, the same blurred by one pixel (sigma) at 0.60, by two at 0.72."""
    least_blur_s: float = 0.6
    most_flicker: float = 0.006
    """The median change of brightness from frame to frame within a second, as a share."""
    least_flicker_s: float = 1.0
    cut_ratio: float = 6.0
    """How many times the usual change between two frames a cut is, in the picture and in the face's place.
    The four labelled jump cuts of a real clip (dfrf_cnn2) lie at 14.5 to 34, its quickest movement at 5.9."""
    text_rows: int = 6
    """Rows of a face of 192 pixels that look like writing."""
    least_text_s: float = 0.4
    most_strange: float = 0.14
    """How much the lower face differs from the rest of the film, as a share of its brightness. Hands
    in synthetic films lie at 0.18 and 0.31, seven real clips without any at 0.10 at most."""
    least_covered_s: float = 0.4
    least_snr_db: float = 18.0
    most_offset_s: float = 0.08
    """Two frames at 25 a second."""
    least_speech_s: float = 60.0
    hopeless_speech_s: float = 12.0
    """27 s of speech trained a usable mouth in a prototype, half of that did not."""
    still_s: float = 4.0
    least_stills: int = 2
    least_closures: int = 15
    """Closures of the lips while speaking, for P, B and M; a minute of ordinary English has about 60."""
    least_fps: float = 20.0
    most_stalled_share: float = 0.12
    """Of the frames at the working rate, those that repeat the one before."""
