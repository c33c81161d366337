"""The labels of a synthetic film: sounds, controls, blinks, points of the head, and its faults."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from cvi.errors import UsageError
from cvi.face.base import Controls
from cvi.files import write_bytes
from cvi.training.footage.spans import Span, runs
from cvi.tts.base import Phone

CONTROL_NAMES = tuple(item.name for item in fields(Controls) if item.name != "activity")
"""The numeric fields of a control vector."""
SHUT = 0.5
"""Lids lower than this are a blink."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class KnownFault:
    """A fault added to a film: its kind as the grader names it, where (seconds), and how much."""

    kind: str
    start_s: float
    end_s: float
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class Labels:
    """Everything exact about a film. Times are seconds of the film.

    `phones` of the speech; `controls` one tuple a frame, in the order of `CONTROL_NAMES`; `blinks` from lids
    half down to half up; `anchors` one tuple of (x, y) pixels a frame for each of `anchor_names`: points
    fixed to the skull, after the pose of the head; `speech` where something is said; `sound_late_s` by how
    much the sound comes after the picture.
    """

    replica: str
    seed: int
    text: str
    fps: int
    width: int
    height: int
    frames: int
    phones: tuple[Phone, ...]
    controls: tuple[tuple[float, ...], ...]
    blinks: tuple[Span, ...]
    anchor_names: tuple[str, ...]
    anchors: tuple[tuple[Point, ...], ...]
    speech: tuple[Span, ...]
    sound_late_s: float = 0.0
    faults: tuple[KnownFault, ...] = field(default=())

    @property
    def duration_s(self) -> float:
        """Length of the film."""
        return self.frames / self.fps

    def controls_at(self, frame: int) -> Controls:
        """The control vector of a frame."""
        pose: dict[str, Any] = dict(zip(CONTROL_NAMES, self.controls[frame], strict=True))
        return Controls(**pose)

    def without(self, first: int, last: int) -> Labels:
        """The labels of the film without frames [first, last); phones, blinks and speech that overlap them
        are dropped."""
        gap, start_s, end_s = (last - first) / self.fps, first / self.fps, last / self.fps

        def moved(spans: Sequence[Span]) -> tuple[Span, ...]:
            remaining = [span for span in spans if span[1] <= start_s or span[0] >= end_s]
            return tuple((a - gap, b - gap) if a >= end_s else (a, b) for a, b in remaining)

        phones = [phone for phone in self.phones if phone.end_s <= start_s or phone.start_s >= end_s]
        return replace(
            self,
            frames=self.frames - (last - first),
            phones=tuple(
                replace(phone, start_s=phone.start_s - gap, end_s=phone.end_s - gap)
                if phone.start_s >= end_s
                else phone
                for phone in phones
            ),
            controls=self.controls[:first] + self.controls[last:],
            anchors=self.anchors[:first] + self.anchors[last:],
            blinks=moved(self.blinks),
            speech=moved(self.speech),
        )


def blinks_of(controls: Sequence[Controls], fps: int) -> tuple[Span, ...]:
    """Spans in which the lids are down."""
    down = np.array([max(pose.lid_left, pose.lid_right) > SHUT for pose in controls], np.bool_)
    return tuple((first / fps, end / fps) for first, end in runs(down))


def control_row(controls: Controls) -> tuple[float, ...]:
    """A control vector as a row of the labels."""
    return tuple(round(float(getattr(controls, name)), 4) for name in CONTROL_NAMES)


def labels_path(film: Path) -> Path:
    """Where a film's labels are stored."""
    return film.with_suffix(".json")


def save_labels(labels: Labels, film: Path) -> None:
    """Write the labels beside their film, whole or not at all."""
    document = {**asdict(labels), "control_names": CONTROL_NAMES}
    write_bytes(labels_path(film), json.dumps(document, ensure_ascii=False).encode())


def load_labels(film: Path) -> Labels:
    """Read what `save_labels` wrote. Raises UsageError."""
    path = labels_path(film)
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        data.pop("control_names")
        return Labels(
            **{
                **data,
                "phones": tuple(Phone(**phone) for phone in data["phones"]),
                "controls": tuple(tuple(line) for line in data["controls"]),
                "anchors": tuple(tuple((x, y) for x, y in line) for line in data["anchors"]),
                "anchor_names": tuple(data["anchor_names"]),
                "blinks": tuple((a, b) for a, b in data["blinks"]),
                "speech": tuple((a, b) for a, b in data["speech"]),
                "faults": tuple(KnownFault(**fault) for fault in data["faults"]),
            }
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} holds no labels of a film.", "Make the film with scripts/make_footage."
        ) from error
