"""A film perceived: its picture looked at every so often, its sound heard along with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_SAMPLES, AudioBlock
from cvi.media.decode import probe, read_audio
from cvi.media.readers import fit
from cvi.media.video import UprightConverter, decoded_frames, upright_size
from cvi.perception.face_detection import Points, Rgb
from cvi.perception.hearing import LEAST_VOICED_S, Hearing, VoiceSummary, describe_voice
from cvi.perception.looker import MOST_SIDE_PX, Looker
from cvi.perception.sight import Sight

LOOKS_PER_S = 12.0
STRETCH_PAUSE_S = 0.7


@dataclass(frozen=True, slots=True)
class FilmLook:
    """One look at a film: `index` counts them, `landmarks` and `hands` are pixels of `rgb`."""

    index: int
    sight: Sight
    rgb: Rgb
    landmarks: Points | None
    hands: Sequence[Points] = ()


def look_at_film(path: Path, looker: Looker, looks_per_s: float = LOOKS_PER_S) -> Iterator[FilmLook]:
    """Looks at a film's picture, evenly in time. Raises UsageError for a file without one, EngineError."""
    convert: UprightConverter | None = None
    index = 0
    for image, time_s, pixel_aspect in decoded_frames(path):
        if time_s < index / looks_per_s - 1e-6:
            continue
        if convert is None:
            convert = UprightConverter(*fit(*upright_size(image, pixel_aspect), MOST_SIDE_PX, MOST_SIDE_PX))
        sight = looker.look(convert.rgb(image), time_s)
        assert looker.rgb is not None
        yield FilmLook(index, sight, looker.rgb, looker.face.landmarks, looker.hands)
        index += 1


@dataclass(frozen=True, slots=True)
class SpokenStretch:
    """A stretch of a film's speech, from pause to pause, and its manner in words ("" for an ordinary one)."""

    start_s: float
    end_s: float
    voice: VoiceSummary
    text: str


class FilmVoice:
    """A film's sound, heard as far as its picture was looked at; silent where it has none."""

    def __init__(self, path: Path) -> None:
        """Reads the whole sound. Raises UsageError for a file that cannot be read."""
        self._pcm = read_audio(path) if probe(path).has_audio else np.zeros(0, np.int16)
        self._hearing = Hearing()
        self._at = 0
        self._began_s: float | None = None
        self._voiced_s = 0.0

    def until(self, time_s: float) -> list[SpokenStretch]:
        """The stretches that ended since the last call, up to `time_s` of the film."""
        found = []
        while (self._at + HOP_SAMPLES) / HEARD_HZ <= time_s and self._at + HOP_SAMPLES <= len(self._pcm):
            block = AudioBlock(self._pcm[self._at : self._at + HOP_SAMPLES], self._at / HEARD_HZ)
            self._at += HOP_SAMPLES
            self._hearing.hear(block)
            step = self._hearing.steps[-1] if self._hearing.steps else None
            if step is not None and step.pitch_hz > 0:
                self._began_s = step.end_s if self._began_s is None else self._began_s
                self._voiced_s = step.end_s
            elif self._began_s is not None and block.end_s - self._voiced_s > STRETCH_PAUSE_S:
                span = (self._began_s - 0.1, self._voiced_s + 0.1)
                voice = self._hearing.between(*span)
                if voice.voiced_s >= LEAST_VOICED_S:
                    baseline = self._hearing.baseline
                    text = describe_voice(baseline.manner(voice), voice)
                    found.append(SpokenStretch(self._began_s, self._voiced_s, voice, text))
                    self._hearing.learn(*span)
                self._began_s = None
        return found
