"""`cvi bench face`: milliseconds a frame, by resolution: drawing, blending and encoding apart.

Seam: what is measured of a face beside its speed (lips against sound, agreement with a trained
replica's footage) comes as further `Figure`s from functions of the shape of `FaceProbe`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.bench.run import Figure, Variant
from cvi.face.base import REST, Activity, Controls, FaceEngine, FaceSettings
from cvi.face.behaviour import Behaviour
from cvi.face.driver import MouthDriver
from cvi.media.encode import X264
from cvi.media.frames import Frame, av_frame
from cvi.tts.base import Phone

# Parts of a renderer that can be timed on their own: method -> what it does. The rest is "bending".
PARTS = {"sculpted": {"_dress": "draw", "_lay": "blend"}}
PART_LABELS = {"draw": "mouth and eyes drawn", "blend": "laid on the room", "rest": "head bent, and the rest"}
FPS = 25
WARM_FRAMES = 5


class FaceProbe(Protocol):
    """Something else to be measured of a face: takes the engine and its settings, gives figures."""

    def __call__(self, face: FaceEngine, settings: FaceSettings) -> Sequence[Figure]: ...


def time_face(
    build: Callable[[FaceSettings], FaceEngine],
    settings: FaceSettings,
    seconds: float,
    probes: Sequence[FaceProbe] = (),
) -> Variant:
    """Draw and encode `seconds` of idling and of speaking at one size. Blocks; one thread."""
    since = time.perf_counter()
    face = build(settings)
    built_ms = 1000 * (time.perf_counter() - since)
    figures: list[Figure] = []
    try:
        for activity in ("speaking", "idle"):
            figures += _activity(face, settings, activity, round(seconds * FPS))
        figures.append(Figure("built_ms", "building it", "ms", (built_ms,)))
        for probe in probes:
            figures += probe(face, settings)
    finally:
        face.close()
    name = f"{settings.width}x{settings.height}"
    return Variant(name, "one thread", {"face": face.name}, figures=tuple(figures))


def _activity(face: FaceEngine, settings: FaceSettings, activity: Activity, frames: int) -> list[Figure]:
    encode = h264(settings.width, settings.height)
    spent: dict[str, list[float]] = {}
    whole: list[float] = []
    coded: list[float] = []
    shown = list(performance(activity, frames + WARM_FRAMES))
    for controls in shown[:WARM_FRAMES]:
        encode(face.render(controls))
    with timed_parts(face) as parts:
        for controls in shown[WARM_FRAMES:]:
            parts.clear()
            since = time.perf_counter()
            frame = face.render(controls)
            took = time.perf_counter() - since
            since = time.perf_counter()
            encode(frame)
            coded.append(1000 * (time.perf_counter() - since))
            whole.append(1000 * took)
            for part, seconds in parts.items():
                spent.setdefault(part, []).append(1000 * seconds)
            if parts:
                spent.setdefault("rest", []).append(1000 * max(took - sum(parts.values()), 0.0))
    both = tuple(drawn + packed for drawn, packed in zip(whole, coded, strict=True))
    figures = [
        Figure(f"{activity}_frame_ms", f"{activity}: a frame, drawn and encoded", "ms", both),
        Figure(f"{activity}_render_ms", f"{activity}: drawn", "ms", tuple(whole)),
    ]
    figures += [
        Figure(f"{activity}_{part}_ms", f"{activity}: {label}", "ms", tuple(spent[part]))
        for part, label in PART_LABELS.items()
        if part in spent
    ]
    figures.append(Figure(f"{activity}_encode_ms", f"{activity}: H.264", "ms", tuple(coded)))
    return figures


def performance(activity: Activity, frames: int) -> Iterator[Controls]:
    """A face's controls for so many frames: idling, or speaking without a pause."""
    behaviour = Behaviour(1)
    driver = MouthDriver()
    phones, pcm = babble(frames / FPS + 1.0)
    driver.append(phones, pcm, 0.0)
    for number in range(frames):
        at_s = (number + 0.5) / FPS
        yield behaviour.advance(at_s, activity, driver.mouth_at(at_s) if activity == "speaking" else REST)


def babble(seconds: float) -> tuple[list[Phone], Pcm]:
    """Twelve phones a second, open and shut, spread and round, and sound as loud as speech."""
    order = "m ɑ p i f u s oʊ b ɛ ʃ ɔ l æ w t".split()
    step_s = 1 / 12
    count = int(seconds / step_s)
    phones = [Phone(order[k % len(order)], k * step_s, (k + 1) * step_s, k % 4 == 1) for k in range(count)]
    noise = np.random.default_rng(3).normal(0, 3000, round(seconds * PLAYED_HZ))
    return phones, np.clip(noise, -32000, 32000).astype(np.int16)


def h264(width: int, height: int) -> Callable[[Frame], int]:
    """An encoder as the recorder sets it up, on one thread; returns the bytes of each frame."""
    import av

    coder: Any = av.CodecContext.create("libx264", "w")
    coder.width, coder.height, coder.pix_fmt = width, height, "yuv420p"
    coder.time_base, coder.framerate = Fraction(1, FPS), Fraction(FPS)
    coder.options, coder.thread_count, coder.gop_size = dict(X264), 1, FPS
    number = 0

    def encode(frame: Frame) -> int:
        nonlocal number
        image = av_frame(frame)
        image.pts, image.time_base = number, coder.time_base
        number += 1
        return sum(packet.size for packet in coder.encode(image))

    return encode


@contextmanager
def timed_parts(face: FaceEngine) -> Iterator[dict[str, float]]:
    """Seconds spent in each known part since the dict was last cleared; empty for renderers not known."""
    spent: dict[str, float] = {}
    known = {name: part for name, part in PARTS.get(face.name, {}).items() if hasattr(face, name)}

    def timed(call: Callable[..., Any], part: str) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            since = time.perf_counter()
            try:
                return call(*args)
            finally:
                spent[part] = spent.get(part, 0.0) + time.perf_counter() - since

        return run

    for name, part in known.items():
        setattr(face, name, timed(getattr(face, name), part))
    try:
        yield spent
    finally:
        for name in known:
            delattr(face, name)
