"""The faults footage can have, each with what comes of it and what to do about it.

TODO Stretches of time as (start, end) in seconds, made of one truth value a frame.

TODO What footage is measured against; every number with its unit and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Span = tuple[float, float]
Verdict = Literal["good", "usable", "unusable"]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """`title` names it, `effect` is what it does to a replica, `remedy` what to do. `local`: the rest of
    the film is as good without the stretches that have it."""

    title: str
    effect: str
    remedy: str
    local: bool = False


KINDS: dict[str, FaultKind] = {
    "no_face": FaultKind(
        "No face",
        "There is nothing to learn a face from.",
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
        "Nothing can be learned here, and no idle clip can cross it.",
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
        "Film in one take. Training works piece by piece between the cuts.",
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
        "Without the voice nothing tells which sound belongs to which mouth.",
        "Film again with the microphone on, or join the sound to the film.",
    ),
    "noisy": FaultKind(
        "The sound is noisy",
        "Sounds are taken for others, and silence is taken for speech.",
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
        "There is nothing for the replica to do while it is silent but hold its breath.",
        "Twice in the film, look into the camera with closed lips for five seconds.",
    ),
    "few_labials": FaultKind(
        "The lips hardly ever meet",
        "P, B, M and F, V, OO are what a viewer checks first: the mouth will not close for them.",
        "Read the script of `cvi replica script`, which is full of them, and speak clearly.",
    ),
    "stalls": FaultKind(
        "The picture stalls",
        "The mouth stands still while the voice goes on, and is learned so.",
        "Close other programs while filming, and film at a fixed rate of 25 or 30 frames a second.",
    ),
}


@dataclass(frozen=True, slots=True)
class FootageFault:
    """One fault found. `spans` are seconds of the film; `value` is what was measured, against `limit`;
    `said` tells it in one sentence. `fatal`: nothing can be made of the footage."""

    kind: str
    spans: tuple[Span, ...]
    value: float
    limit: float
    said: str
    fatal: bool = False

    @property
    def about(self) -> FaultKind:
        return KINDS[self.kind]


@dataclass(frozen=True, slots=True)
class FootageGrade:
    """What was found. `clean` are the stretches without a fault of a moment, seconds; `figures` everything
    that was measured, by name with its unit in it; `sound_late_s` by how much the sound comes late."""

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


Flags = npt.NDArray[np.bool_]


def runs(flags: Flags) -> list[tuple[int, int]]:
    """First and last-plus-one index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def spans(flags: Flags, fps: float, least_s: float = 0.0, bridge_s: float = 0.0) -> tuple[Span, ...]:
    """The runs of True of at least `least_s` seconds, those less than `bridge_s` apart taken as one."""
    found: list[list[int]] = []
    for start, end in runs(flags):
        if found and start - found[-1][1] < bridge_s * fps:
            found[-1][1] = end
        else:
            found.append([start, end])
    least = max(least_s * fps - 1e-6, 1.0)
    return tuple((a / fps, b / fps) for a, b in found if b - a >= least)


def flagged(found: Iterable[Span], count: int, fps: float) -> Flags:
    """One truth value a frame: whether it lies in one of the spans."""
    flags = np.zeros(count, np.bool_)
    for start_s, end_s in found:
        flags[max(int(start_s * fps + 0.5), 0) : max(int(end_s * fps + 0.5), 0)] = True
    return flags


def total_s(found: Iterable[Span]) -> float:
    return float(sum(end - start for start, end in found))


def moving_median(values: npt.NDArray[np.float64], half: int) -> npt.NDArray[np.float64]:
    """The median of `half` values on either side and the value itself; shorter at the ends."""
    if len(values) == 0:
        return values
    padded = np.pad(values, half, mode="reflect" if len(values) > half else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    return np.asarray(np.nanmedian(windows, axis=1), np.float64)


@dataclass(frozen=True, slots=True)
class GradingLimits:
    """Where no other source is named, a number was set between the synthetic good and bad films and the
    real clips of the project's test media; `scripts/measure_grader` prints how all of them come out."""

    face_px: float = 180.0
    """Ear to ear, in the film's own pixels; below it a 720p face is blown up."""
    hopeless_face_px: float = 90.0
    """The generator's smallest crop is 96 pixels."""
    most_turn_degrees: float = 15.0
    """Between the nose and the camera; further, one cheek hides the mouth's corner."""
    least_turn_s: float = 0.6
    least_lost_s: float = 0.24
    most_lost_share: float = 0.5
    """Of all frames; more, and this is no film of a face."""
    least_second_face_s: float = 0.8
    most_second_face_share: float = 0.3
    most_blur: float = 0.58
    """Crete et al. 2007 on the face at 192 pixels: 0 razor-sharp, 1 nothing left. Real clips lie at 0.38 to
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
    """How much the lower face differs from anything it is in the rest of the film, of its brightness. Hands
    in synthetic films lie at 0.18 and 0.31, seven real clips without any at 0.10 at most."""
    least_covered_s: float = 0.4
    least_snr_db: float = 18.0
    most_offset_s: float = 0.08
    """Two frames at 25 a second."""
    least_speech_s: float = 60.0
    hopeless_speech_s: float = 12.0
    """27 s of speech trained a mouth that could be used (reference: the prototype); half of it does not."""
    still_s: float = 4.0
    least_stills: int = 2
    least_closures: int = 15
    """Lips that meet while speaking, for P, B and M; a minute of ordinary English has about 60."""
    least_fps: float = 20.0
    most_stalled_share: float = 0.12
    """Of the frames at the working rate, those that repeat the one before."""
