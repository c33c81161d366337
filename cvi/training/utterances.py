"""A film's speech as the face's driver takes it, and what it asks of the face in each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.face.base import Controls
from cvi.face.driver import MouthDriver
from cvi.face.sound_features import FRAME_S, levels_db
from cvi.face.sound_mouth import MouthReader
from cvi.tts.base import Phone

Bools = npt.NDArray[np.bool_]

_VOICED_DB, _QUIET_DB = -26.0, -50.0


@dataclass(frozen=True, slots=True)
class Utterance:
    """Sound from `start_s` on, with its phones' times counted from there; no phones: the sound alone."""

    start_s: float
    pcm: Pcm
    phones: tuple[Phone, ...] = ()


def whole_sound(pcm: Pcm) -> list[Utterance]:
    """The film's sound without a script: one long utterance, read by ear."""
    assert pcm.ndim == 1
    return [Utterance(0.0, pcm)] if len(pcm) > PLAYED_HZ // 10 else []


def asked(
    utterances: Sequence[Utterance], count: int, fps: float, ear: MouthReader | None = None
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


def as_filmed(controls: Sequence[Controls], lag_frames: int) -> list[Controls]:
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
