"""`cvi bench face`: milliseconds a frame by resolution, drawing and encoding apart; and memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.bench.layers.measurement import finish
from cvi.bench.run import Figure, Variant
from cvi.bench.run_store import RunRecorder
from cvi.child_process import module_command
from cvi.engine_registry import build
from cvi.errors import CviError, UsageError
from cvi.face.base import REST, Activity, Controls, FaceEngine, FaceSettings
from cvi.face.behaviour import Behaviour
from cvi.face.driver import MouthDriver
from cvi.face.replica import find_replica, load_replica_card
from cvi.media.encode import X264
from cvi.media.frames import Frame, av_frame
from cvi.tts.base import Phone

FPS = 25
WARM_FRAMES = 5
MEMORY_SECONDS = 4.0
_STATUS = Path("/proc/self/status")


def measure_face(
    replicas: Sequence[str],
    *,
    engine: str | None,
    sizes: Sequence[str],
    seconds: float,
    output: Path | None,
    json: bool,
) -> None:
    """Measure each face at each size in real time on one thread, store, print."""
    cards = [load_replica_card(find_replica(name)) for name in replicas]
    parsed = [parse_size(size) for size in sizes]
    options = {"replicas": [card.name for card in cards], "seconds": seconds}
    recorder = RunRecorder("face", options, output=output)
    variants = []
    for card in cards:
        for width, height in parsed:
            name = engine or card.renderer
            settings = FaceSettings(card.folder, width, height)
            figures = (*time_face(name, settings, seconds), *face_memory(name, settings))
            label = f"{width}x{height}"
            label = f"{card.name} {label}" if len(cards) > 1 else label
            variants.append(Variant(label, "one thread", {"face": name}, figures=figures))
    finish(recorder, variants, json)


def parse_size(text: str) -> tuple[int, int]:
    """`WIDTHxHEIGHT`, even numbers. Raises UsageError."""
    width, _, height = text.lower().partition("x")
    try:
        size = int(width), int(height)
    except ValueError:
        size = 0, 0
    if min(size) < 64 or max(size) > 8192 or size[0] % 2 or size[1] % 2:
        raise UsageError(f"'{text}' is not a picture's size.", "Write WIDTHxHEIGHT, such as 1280x720.")
    return size


def time_face(engine: str, settings: FaceSettings, seconds: float) -> list[Figure]:
    """Build a face, draw and encode `seconds` of idling and of speaking at one size. Blocks; one thread."""
    since = time.perf_counter()
    face: FaceEngine = build("face", engine, settings)
    built_ms = 1000 * (time.perf_counter() - since)
    figures: list[Figure] = []
    try:
        for activity in ("speaking", "idle"):
            figures += _activity(face, settings, activity, round(seconds * FPS))
    finally:
        face.close()
    return [*figures, Figure("built_ms", "building it", "ms", (built_ms,))]


def _activity(face: FaceEngine, settings: FaceSettings, activity: Activity, frames: int) -> list[Figure]:
    encode = h264(settings.width, settings.height)
    drawn_ms: list[float] = []
    encoded_ms: list[float] = []
    for number, controls in enumerate(performance(activity, frames + WARM_FRAMES)):
        began_s = time.perf_counter()
        frame = face.render(controls)
        drawn_s = time.perf_counter()
        encode(frame)
        if number >= WARM_FRAMES:
            drawn_ms.append(1000 * (drawn_s - began_s))
            encoded_ms.append(1000 * (time.perf_counter() - drawn_s))
    both = tuple(drawn + encoded for drawn, encoded in zip(drawn_ms, encoded_ms, strict=True))
    return [
        Figure(f"{activity}_frame_ms", f"{activity}: a frame, drawn and encoded", "ms", both),
        Figure(f"{activity}_render_ms", f"{activity}: drawn", "ms", tuple(drawn_ms)),
        Figure(f"{activity}_encode_ms", f"{activity}: H.264", "ms", tuple(encoded_ms)),
    ]


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


def face_memory(engine: str, settings: FaceSettings) -> list[Figure]:
    """Peak growth of a process of its own while it builds the face and speaks for some seconds.

    Within a process that has held a face before, the figure would be too small: freed memory is used again.
    Nothing where the system does not tell a peak of memory (Linux does). Raises CviError when the face fails.
    """
    if not _STATUS.exists():
        return []
    size = str(settings.width), str(settings.height)
    command = module_command(__name__, engine, str(settings.replica), *size, settings.background)
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own module
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise CviError(f"The memory of a face could not be measured: {last}", "See the error.")
    return [Figure("memory_mib", "memory of it, at most", "MiB", (float(done.stdout),))]


def _peak_mib() -> float:
    """The most this process ever held, MiB."""
    row = next(row for row in _STATUS.read_text(encoding="ascii").splitlines() if row.startswith("VmHWM"))
    return int(row.split()[1]) / 1024


def _print_growth(engine: str, replica: str, width: str, height: str, background: str) -> None:
    """In the process of its own: print by how many MiB its peak grows."""
    import av
    import cv2

    # The libraries are loaded once, however many faces there are.
    cv2.setNumThreads(1)
    assert av.library_versions
    settings = FaceSettings(Path(replica), int(width), int(height), FPS, background)
    controls = list(performance("speaking", round(MEMORY_SECONDS * FPS)))
    before = _peak_mib()
    face: FaceEngine = build("face", engine, settings)
    for pose in controls:
        face.render(pose)
    print(_peak_mib() - before)


if __name__ == "__main__":
    _print_growth(*sys.argv[1:])
