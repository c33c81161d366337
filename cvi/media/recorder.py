"""Records what a person in front of the screen would see and hear, and joins the parts of a recording.

A thread of its own encodes, so that the conversation never waits for it. When it cannot keep up the
oldest waiting *frames* are dropped (the one before is shown longer) and counted; sound never is.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm, to_float
from cvi.audio.resample import Resampler
from cvi.errors import CviError
from cvi.media.encode import SOUND_HZ, FragmentedMp4, disk_errors
from cvi.media.frames import AVUnit, Frame
from cvi.media.inset import Inset, PictureSource
from cvi.threads import step_back

if TYPE_CHECKING:
    from av.stream import Stream


# Frames that may wait: a disk's hiccup of a second at 25 fps. They are 35 MB at 720p, which the allocator may
# keep for good once they were needed; on a machine that is merely busy up to seven wait.
WAITING_FRAMES = 25
AAC_FRAME = 1024
# Above this the sum of two voices is bent, below it passes untouched.
LIMIT_KNEE = 0.8
PICTURE_PATIENCE_S = 0.05

Sound = npt.NDArray[np.float32]


@dataclass(slots=True)
class _Entry:
    index: int
    frame: Frame | None
    persona: Pcm
    caller: Pcm
    film_s: float


class Recorder:
    """One recording. `put` and `close` are called from one thread, which `put` never blocks.

    `film` is the participant's picture, drawn into the corner. `path` plays up to its last half second at
    any moment, even after a crash. When the disk refuses, `failure` holds the error, `on_failure` is
    called once from the recorder's thread, and everything after it is dropped.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        fps: int,
        stereo: bool = False,
        film: PictureSource | None = None,
        on_failure: Callable[[CviError], None] | None = None,
    ) -> None:
        self.path = path
        self.failure: CviError | None = None
        self.dropped_frames = 0
        self._fps = fps
        self._size = (width, height)
        self._film = film
        self._inset: Inset | None = None
        self._on_failure = on_failure
        self._voices = Voices(stereo=stereo)
        self._file = FragmentedMp4(path, width=width, height=height, fps=fps, channels=2 if stereo else 1)
        self._entries: deque[_Entry] = deque()
        self._frames_waiting = 0
        self._next_index = 0
        self._ending = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="cvi-recorder", daemon=True)
        self._thread.start()

    @property
    def empty(self) -> bool:
        """Nothing was given to record, so there is no file."""
        return self._next_index == 0

    def put(self, unit: AVUnit, caller: Pcm, film_s: float = 0.0) -> None:
        """Record a unit with the caller's sound (16 kHz) of the same slice of time.

        Units come in order; what lies between two is silence. `caller` are the samples from the end of
        the slice before to the end of this one, see `slice_end`. `film_s`: the moment of the film seen.
        """
        with self._changed:
            if self.failure is not None or self._ending:
                return
            assert unit.index >= self._next_index, f"unit {unit.index} after {self._next_index - 1}"
            missing = (unit.index - self._next_index) * (PLAYED_HZ // self._fps)
            persona = np.concatenate([np.zeros(missing, np.int16), unit.pcm]) if missing else unit.pcm
            self._next_index = unit.index + 1
            self._entries.append(_Entry(unit.index, unit.frame, persona, caller, film_s))
            self._frames_waiting += 1
            if self._frames_waiting > WAITING_FRAMES:
                oldest = next(entry for entry in self._entries if entry.frame is not None)
                oldest.frame = None
                self._frames_waiting -= 1
                self.dropped_frames += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Write everything that waits and end the file. Blocks; call it off the event loop.

        Raises CviError, once, when the recording is incomplete.
        """
        with self._changed:
            first = not self._ending
            self._ending = True
            self._changed.notify_all()
        self._thread.join()
        if first and self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        step_back(5)  # what is heard and seen now goes before what is kept
        try:
            first = True
            while (entry := self._next()) is not None:
                if entry.frame is not None:
                    frame = self._with_inset(entry.frame, entry.film_s)
                    if first and entry.index > 0:
                        self._file.picture(frame, 0)
                    self._file.picture(frame, entry.index)
                    first = False
                for block in self._voices.push(entry.persona, entry.caller):
                    self._file.sound(block)
            for block in self._voices.finish():
                self._file.sound(block)
            self._file.close()
        except CviError as error:
            self._fail(error)

    def _next(self) -> _Entry | None:
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._ending)
            if not self._entries:
                return None
            entry = self._entries.popleft()
            self._frames_waiting -= entry.frame is not None
            return entry

    def _with_inset(self, frame: Frame, film_s: float) -> Frame:
        small = self._film.at(film_s, patience_s=PICTURE_PATIENCE_S) if self._film is not None else None
        if small is None or self._film is None:
            return frame
        if self._inset is None:
            self._inset = Inset(self._size, self._film.size)
        return self._inset.draw(frame, small)

    def _fail(self, error: CviError) -> None:
        with self._changed:
            self.failure = error
            self._entries.clear()
            self._frames_waiting = 0
        self._file.abandon()
        if self._on_failure is not None:
            self._on_failure(error)


def slice_end(index: int, fps: int) -> int:
    """The position at HEARD_HZ where unit `index` ends (24 and 30 fps do not divide it evenly)."""
    return (index + 1) * HEARD_HZ // fps


class Voices:
    """Both voices brought to 48 kHz and joined: caller left and persona right, or one soft-limited sum."""

    def __init__(self, *, stereo: bool) -> None:
        self._stereo = stereo
        self._caller = _Riser(HEARD_HZ)
        self._persona = _Riser(PLAYED_HZ)

    def push(self, persona: Pcm, caller: Pcm) -> list[Sound]:
        """Whole blocks of AAC_FRAME samples, shape (AAC_FRAME, channels), as far as both voices go."""
        self._persona.push(persona)
        self._caller.push(caller)
        count = min(self._persona.ready, self._caller.ready) // AAC_FRAME
        return [self._join(AAC_FRAME) for _ in range(count)]

    def finish(self) -> list[Sound]:
        """The rest, the shorter voice made up with silence."""
        for voice in (self._persona, self._caller):
            voice.flush()
        left = max(self._persona.ready, self._caller.ready)
        return [self._join(min(AAC_FRAME, left - at)) for at in range(0, left, AAC_FRAME)]

    def _join(self, count: int) -> Sound:
        caller, persona = self._caller.take(count), self._persona.take(count)
        if self._stereo:
            return np.stack([caller, persona], axis=1)
        return soft_limit(caller + persona)[:, None]


def soft_limit(sound: Sound) -> Sound:
    """Bend what is louder than the knee towards 1; softer sound passes untouched."""
    level = np.abs(sound)
    bent = LIMIT_KNEE + (1 - LIMIT_KNEE) * np.tanh((level - LIMIT_KNEE) / (1 - LIMIT_KNEE))
    return np.where(level <= LIMIT_KNEE, sound, np.sign(sound) * bent).astype(np.float32)


class _Riser:
    """One voice on its way to 48 kHz: sample n in comes out at n * 48000 / from_hz, without delay."""

    def __init__(self, from_hz: int) -> None:
        self._resampler = Resampler(from_hz, SOUND_HZ)
        self._out: Sound = np.zeros(0, np.float32)

    @property
    def ready(self) -> int:
        return len(self._out)

    def push(self, pcm: Pcm) -> None:
        self._out = np.concatenate([self._out, to_float(self._resampler.push(pcm))])

    def flush(self) -> None:
        self._out = np.concatenate([self._out, to_float(self._resampler.flush())])

    def take(self, count: int) -> Sound:
        """`count` samples, silence where there are none."""
        part, self._out = self._out[:count], self._out[count:]
        return np.pad(part, (0, count - len(part)))


def next_part(path: Path) -> Path:
    """Where a recording is made that goes on from those that are there: `recording.part2.mp4`, ..."""
    number = 1
    part = path
    while part.exists():
        number += 1
        part = path.with_name(f"{path.stem}.part{number}{path.suffix}")
    return part


def join_parts(path: Path) -> None:
    """Join a recording with the parts that `next_part` named, in their place. Blocks. Raises CviError."""
    found = path.parent.glob(f"{path.stem}.part*{path.suffix}")
    parts = sorted(found, key=lambda part: (len(part.name), part.name))
    films = [film for film in (path, *parts) if _plays(film)]
    if parts and len(films) > 1:
        join_films(films, path)
    elif parts and films:
        films[0].replace(path)
    for part in parts:
        part.unlink(missing_ok=True)


def _plays(film: Path) -> bool:
    """Whether it holds anything: a process may be lost before its first half second is written."""
    import av

    try:
        with av.open(str(film)) as source:
            return next(source.demux(video=0), None) is not None
    except (OSError, ValueError):  # av's own errors are children of these
        return False


def join_films(parts: Sequence[Path], output: Path) -> None:
    """Copy films of the same encoder one after the other into one, whole or not at all.

    Pictures and sound are not encoded again. Raises CviError.
    """
    import av

    partial = output.absolute().parent / f".{output.stem}-{os.getpid()}.mp4"
    try:
        with disk_errors(output), av.open(str(partial), "w", options={"movflags": "+faststart"}) as target:
            copies: dict[str, Stream] = {}
            last_s: dict[str, Fraction] = {}
            begins_s = Fraction(0)
            for part in parts:
                ends_s = begins_s
                with av.open(str(part)) as source:
                    streams = [*source.streams.video[:1], *source.streams.audio[:1]]
                    for stream in streams:
                        if stream.type not in copies:
                            copies[stream.type] = target.add_stream_from_template(stream)
                    for packet in source.demux(streams):
                        if packet.dts is None or packet.pts is None or packet.is_corrupt:
                            continue
                        base = packet.time_base
                        later = round(begins_s / base)
                        at_s = (packet.dts + later) * base
                        if at_s <= last_s.get(packet.stream.type, at_s - 1):
                            continue  # an encoder's first block of sound, which only primes a decoder
                        last_s[packet.stream.type] = at_s
                        packet.pts, packet.dts = packet.pts + later, packet.dts + later
                        ends_s = max(ends_s, (packet.pts + (packet.duration or 0)) * base)
                        packet.stream = copies[packet.stream.type]
                        target.mux(packet)
                begins_s = ends_s
            if not begins_s:
                raise CviError(f"There is nothing in the recording {parts[0]}.", "It ended at once.")
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
