"""A film's picture, looked at every so often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cvi.media.readers import fit
from cvi.media.video import UprightConverter, decoded_frames, upright_size
from cvi.perception.face_detection import Points, Rgb
from cvi.perception.looker import MOST_SIDE_PX, Looker
from cvi.perception.sight import Sight

LOOKS_PER_S = 12.0


@dataclass(frozen=True, slots=True)
class FilmLook:
    """One look at a film: `index` counts them, `landmarks` are pixels of `rgb`."""

    index: int
    sight: Sight
    rgb: Rgb
    landmarks: Points | None


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
        yield FilmLook(index, sight, looker.rgb, looker.face.landmarks)
        index += 1
