"""`cvi bench lips --drift`: whether sound and picture of a long film drift apart.

An hour with little speech is rendered faster than it plays, and its time stamps are those of any film of
that length. Every one is read, and the lips of the first and the last minute are compared with the sound.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from math import ceil
from pathlib import Path

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.bench.layers.landmarks import track
from cvi.bench.layers.lips import SEED, TEXT, FilmMeasurement, lag_ms, pictures
from cvi.bench.run import Figure, Variant
from cvi.errors import MissingError
from cvi.face.base import FaceSettings
from cvi.media.decode import read_audio
from cvi.rendering.film import render_film
from cvi.rendering.poses import speech_poses
from cvi.rendering.request import ResolvedFilm
from cvi.rendering.speech_track import ScriptLine, SpeechTrack, read_script
from cvi.tts.base import TtsSettings

PAUSE_S = 25.0
"""Between two sentences."""
WINDOW_S = 60.0
_SOUND_SLACK_S = 1.0


@dataclass(frozen=True, slots=True)
class FilmTimestamps:
    """`picture_s`: each picture's time; `sound_gaps`: samples missing (+) or doubled (-) between packets of
    sound; where picture and sound begin and end, seconds."""

    picture_s: tuple[float, ...]
    sound_gaps: tuple[int, ...]
    sound_start_s: float
    sound_end_s: float


def measure_drift(face: FaceSettings, engine: str, seconds: float, say: Callable[[str], None]) -> Variant:
    """Render so many seconds of sparse speech, read every time stamp, look at the lips of both ends.

    Blocks for minutes. Without mediapipe there are no lips, and their two figures are left out.
    """
    script = tuple(_sparse(seconds))
    with tempfile.TemporaryDirectory(prefix="cvi-drift-") as work:
        path = Path(work) / "film.mp4"
        say("rendering")
        request = ResolvedFilm(path, face, engine, script, "flite", TtsSettings(), seed=SEED)
        film = asyncio.run(render_film(request))
        say("reading the time stamps")
        figures = list(timestamp_figures(read_timestamps(path), face.fps, film.duration_s))
        say("finding the landmarks of the first and the last minute")
        try:
            figures += _lips(path, film.track, face.fps)
        except MissingError:
            say("no landmarks without mediapipe")
    about = f"{face.width}x{face.height}, {film.frames} frames, {film.times_real_time:.1f} times real time"
    name = f"{face.replica.name}, {film.duration_s:.0f} s"
    return Variant(name, about, {"face": engine, "tts": "flite"}, figures=tuple(figures))


def timestamp_figures(timestamps: FilmTimestamps, fps: int, duration_s: float) -> Iterator[Figure]:
    """How exact a film's times are; all but the last are zero in a perfect one."""
    off = np.abs(np.array(timestamps.picture_s) - np.arange(len(timestamps.picture_s)) / fps)
    yield Figure("stamp_error_ms", "a picture's time against its number", "ms", (1000 * float(off.max()),))
    gaps = float(sum(abs(gap) for gap in timestamps.sound_gaps))
    yield Figure("sound_gap_samples", "samples missing or doubled in the sound", "", (gaps,))
    yield Figure("sound_start_ms", "the sound begins at", "ms", (1000 * timestamps.sound_start_s,))
    missing = ceil(duration_s * fps - 1e-6) - len(timestamps.picture_s)
    yield Figure("missing_pictures", "pictures missing", "", (float(missing),))
    # Each ends with a whole unit of its own: a frame here, a block of 21 ms there.
    over_s = timestamps.sound_end_s - len(timestamps.picture_s) / fps
    yield Figure("end_ms", "end of the sound after end of the picture", "ms", (1000 * over_s,))


def read_timestamps(path: Path) -> FilmTimestamps:
    """The times of every packet of a film; nothing is decoded."""
    import av

    pictures: list[float] = []
    gaps: list[int] = []
    start_s: float | None = None
    at_s: Fraction | None = None
    with av.open(str(path)) as film:
        picture, sound = film.streams.video[0], film.streams.audio[0]
        for packet in film.demux(picture, sound):
            if packet.pts is None or packet.time_base is None:
                continue
            time_s = packet.pts * packet.time_base
            if packet.stream is picture:
                pictures.append(float(time_s))
                continue
            if at_s is not None:
                gaps.append(round((time_s - at_s) * sound.rate))
            # What comes before zero is the encoder's priming, which players leave out.
            start_s = max(float(time_s), 0.0) if start_s is None else start_s
            at_s = time_s + (packet.duration or 0) * packet.time_base
    return FilmTimestamps(tuple(pictures), tuple(gaps), start_s or 0.0, float(at_s or 0.0))


def _sparse(seconds: float) -> Iterator[ScriptLine]:
    """Sentences with long pauses, as many as fill the time but for the last few seconds."""
    lines = read_script(TEXT)
    about_s = PAUSE_S + 3.0
    for index in range(max(2, round(seconds / about_s))):
        yield replace(lines[index % len(lines)], pause_s=PAUSE_S)


def _lips(path: Path, speech: SpeechTrack, fps: int) -> list[Figure]:
    sound = read_audio(path, PLAYED_HZ, speech.duration_s + _SOUND_SLACK_S)
    asked = tuple(speech_poses(speech, fps, SEED))
    length = round(min(WINDOW_S, speech.duration_s / 2) * fps)
    ends = []
    for first in (0, len(asked) - length):
        part = cut(speech, first / fps, (first + length) / fps)
        heard: Pcm = sound[round(first / fps * PLAYED_HZ) :][: len(part.pcm)]
        seen = track(islice(pictures(path, first, fps), length))
        film = FilmMeasurement(seen, heard, part, asked[first : first + length], fps)
        ends.append(lag_ms(film, slice(None)))
    return [
        Figure("av_offset_ms", "picture after sound, first minute", "ms", (ends[0],)),
        Figure("av_drift_ms", "from the first minute to the last", "ms", (ends[1] - ends[0],)),
    ]


def cut(track: SpeechTrack, first_s: float, last_s: float) -> SpeechTrack:
    """What of a track lies wholly within these seconds, its times counted from `first_s`."""
    first, last = round(first_s * PLAYED_HZ), round(last_s * PLAYED_HZ)
    pieces = tuple(
        replace(piece, start=piece.start - first)
        for piece in track.segments
        if first <= piece.start and piece.start + piece.length <= last
    )
    return SpeechTrack(track.pcm[first:last], pieces)
