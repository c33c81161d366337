"""`cvi bench lips`: lips and sync of a finished film, from landmarks and waveform alone.

A text is spoken and rendered as `cvi render` does it; the finished file is decoded again, the face mesh finds
the lips in every frame, and what is found is compared with the poses that were requested. With `--drift` the
time stamps of a long film are read, and the lips of its first and last minute are compared with the sound.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, pairwise
from math import ceil
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.bench.layers.landmarks import (
    JUMP_PERCENT,
    LIPS,
    Bools,
    Landmarks,
    PerFrame,
    Rgb,
    counted_steps,
    find_landmarks,
    move_figures,
    steady_moves,
)
from cvi.bench.layers.measurement import proportion
from cvi.bench.probe.mouth_motion import parabola_peak
from cvi.bench.run import Figure, Variant
from cvi.engine_registry import build
from cvi.errors import MissingError
from cvi.face.base import Controls, FaceSettings
from cvi.face.behaviour import Behaviour
from cvi.media.decode import read_audio
from cvi.rendering.film_request import ResolvedFilm
from cvi.rendering.render_film import render_film
from cvi.rendering.speech_track import (
    ScriptLine,
    SpeechTrack,
    mouth_driver,
    read_script,
    speech_poses,
    synthesize,
)
from cvi.tts.base import TtsSettings

TEXT = (
    "Peter bought a big bag of brown mushrooms before the market opened. My mother baked five warm apple "
    "pies for the village festival. We move the heavy blue boat past the bridge every summer evening. "
    "Vera found a very fine silver fork beneath the folded napkins. Maybe we could meet by the fountain, "
    "or would you rather stay at home? Bob and Pam map many more miles than Sam. Please remember to bring "
    "your umbrella, because it may rain by five. A happy puppy jumped over the broad pump. I am sorry to "
    "hear that. Let us find a better way together. How about a cup of coffee and a piece of pumpkin bread? "
    "Five hundred people voted for the proposal. Above the river, above the valley, a falcon hovers. "
)
CLOSURE_WITHIN_S = 0.040
SHUT = 0.10
"""Of the way from a mouth at rest to its widest (95th percentile): below, it counts as shut."""
STILL_S = 4.0
SEED = 1
DRIFT_PAUSE_S = 25.0
"""Between two sentences of a long film."""
DRIFT_WINDOW_S = 60.0
_SOUND_SLACK_S = 1.0
HEAD_PERCENT_PER_DEGREE = 1.7
"""How far the middle of a face moves for a degree of the head, in percent of its width."""


@dataclass(frozen=True, slots=True)
class FilmMeasurement:
    """What a film showed: `landmarks` per frame and its `sound`; and what was to be shown: the `speech`
    and the pose `asked` for each frame."""

    landmarks: Landmarks
    sound: Pcm
    speech: SpeechTrack
    asked: tuple[Controls, ...]
    fps: int


def measure_lips(face: FaceSettings, face_engine: str, seconds: float, say: Callable[[str], None]) -> Variant:
    """Render, decode, measure. Blocks, for about as long as the film. `say` is told the step that begins.

    Raises MissingError without the face mesh or the flite voice.
    """
    with tempfile.TemporaryDirectory(prefix="cvi-lips-") as work:
        say("speaking and rendering")
        measured = _film(face, face_engine, seconds, Path(work) / "film.mp4", say)
    say("looking at a mouth at rest")
    still = resting_moves(face, face_engine)
    return Variant(
        face.replica.name,
        f"{face.width}x{face.height}, {len(measured.asked)} frames",
        {"face": face_engine, "tts": "flite"},
        figures=(*lip_figures(measured), still),
    )


def lip_figures(measured: FilmMeasurement) -> tuple[Figure, ...]:
    """All figures of one film."""
    fps, landmarks = measured.fps, measured.landmarks
    opening, asked = landmarks.opening, np.array([asked_opening(pose) for pose in measured.asked])
    seen = landmarks.found
    correlation = float(np.corrcoef(opening[seen], asked[seen])[0, 1])
    lags = [lag_ms(measured, part) for part in _thirds(len(asked))]
    steps = counted_steps(landmarks, open_eyed(measured.asked))
    head = head_moves(measured.asked)[steps]
    steady = steady_moves(landmarks)[steps]
    # Tells a head that turns from a mesh that trembles.
    turned = head > 0.6 * steady
    return (
        proportion("face_found", "frames in which the face is found", seen, lower_is_better=False),
        Figure("opening_correlation", "measured mouth opening with the requested", "", (correlation,), False),
        Figure("opening_rank", "the same by rank", "", (_rank(opening[seen], asked[seen]),), False),
        proportion("closed", "P, B, M: lips shut within 40 ms", closures(measured), lower_is_better=False),
        Figure("av_offset_ms", "picture after sound", "ms", (lag_ms(measured, slice(None)),)),
        Figure("av_drift_ms", "first third to last third", "ms", (lags[-1] - lags[0],)),
        *move_figures(landmarks, steps),
        proportion("jumps_of_head", "above 2 % and asked of the head", (steady > JUMP_PERCENT) & turned),
        Figure("head_percent", "the head's own move, as asked", "% of face", tuple(head.tolist())),
        Figure("fps", "frames a second", "", (float(fps),), False),
    )


def asked_opening(pose: Controls) -> float:
    """How far the lips are asked to part, 0..1: contact shuts them whatever the jaw does."""
    return pose.jaw * (1 - pose.press) * (1 - pose.tuck)


def closures(measured: FilmMeasurement) -> list[bool]:
    """For each p, b and m: whether the mouth is seen shut within its time and 40 ms either side."""
    opening = measured.landmarks.opening
    rest = float(np.nanpercentile(opening, 5))
    limit = rest + SHUT * (float(np.nanpercentile(opening, 95)) - rest)
    found = []
    for piece in measured.speech.segments:
        for phone in piece.phones:
            if phone.ipa[:1] not in ("p", "b", "m"):
                continue
            first = piece.start_s + phone.start_s - CLOSURE_WITHIN_S
            last = piece.start_s + phone.end_s + CLOSURE_WITHIN_S
            # A frame is shown from its index / fps on; its middle counts.
            frames = opening[int(np.ceil(first * measured.fps - 0.5)) : int(last * measured.fps - 0.5) + 1]
            found.append(bool(len(frames)) and bool(np.nanmin(frames) <= limit))
    return found


def open_eyed(asked: tuple[Controls, ...]) -> Bools:
    """In which frames no lid was asked to be far shut, (n,)."""
    return np.array([max(pose.lid_left, pose.lid_right) <= 0.3 for pose in asked])


def head_moves(asked: tuple[Controls, ...]) -> PerFrame:
    """How far the head is asked to move from frame to frame, (n - 1,), percent of the face's width."""
    degrees = np.array([(pose.yaw, pose.pitch, pose.roll) for pose in asked])
    return np.asarray(HEAD_PERCENT_PER_DEGREE * np.linalg.norm(np.diff(degrees, axis=0), axis=1))


def resting_moves(face: FaceSettings, engine: str) -> Figure:
    """Pixels of the lips that change while the eyes live and the head is held: how many, each frame."""
    renderer = build("face", engine, face)
    try:
        behaviour = Behaviour(1)
        idle = [behaviour.advance(index / face.fps, "idle") for index in range(int(STILL_S * face.fps))]
        still = [
            Controls(smile=0.1, lid_left=p.lid_left, lid_right=p.lid_right, gaze_x=p.gaze_x, gaze_y=p.gaze_y)
            for p in idle
        ]
        frames = [renderer.render(pose) for pose in still]
    finally:
        renderer.close()
    spots = find_landmarks(_rgb(frame) for frame in frames[:5]).points[:, LIPS]
    left, top = (int(value) for value in np.nanmin(spots, axis=(0, 1)))
    right, bottom = (int(value) + 1 for value in np.nanmax(spots, axis=(0, 1)))
    lips = [frame[top:bottom, left:right] for frame in frames]
    changed = tuple(float((a != lips[0]).sum()) for a in lips[1:])
    return Figure("rest_px", "mouth at rest: pixels that change", "px", changed)


def _film(
    face: FaceSettings, engine: str, seconds: float, path: Path, say: Callable[[str], None]
) -> FilmMeasurement:
    lines = read_script(TEXT)
    voice = build("tts", "flite", TtsSettings())
    try:
        spoken = asyncio.run(synthesize(lines, voice))
    finally:
        voice.close()
    # As many sentences as fill the time.
    share = seconds / spoken.duration_s
    script = (lines * (int(share) + 1))[: max(1, round(share * len(lines)))]
    request = ResolvedFilm(path, face, engine, script, "flite", TtsSettings(), seed=SEED)
    speech = asyncio.run(render_film(request)).track
    say("finding the landmarks")
    return FilmMeasurement(
        landmarks=find_landmarks(pictures(path)),
        sound=read_audio(path, PLAYED_HZ),
        speech=speech,
        asked=tuple(speech_poses(speech, face.fps, SEED)),
        fps=face.fps,
    )


def pictures(path: Path, first: int = 0, fps: int = 25) -> Iterator[Rgb]:
    """The pictures of a film, RGB, from number `first` on; `fps` is the film's."""
    import av

    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        if first:
            assert stream.time_base is not None
            film.seek(int(first / fps / stream.time_base), stream=stream)
        for frame in film.decode(video=0):
            if not first or (frame.time is not None and frame.time * fps > first - 0.5):
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _rgb(frame: npt.NDArray[np.uint8]) -> Rgb:
    import cv2

    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420), np.uint8)


def _rank(a: PerFrame, b: PerFrame) -> float:
    """Spearman's correlation: whether what is asked to be wider is wider."""
    first, second = (np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (a, b))
    return float(np.corrcoef(first, second)[0, 1])


def _thirds(count: int) -> list[slice]:
    edges = [round(count * k / 3) for k in range(4)]
    return [slice(a, b) for a, b in pairwise(edges)]


def lag_ms(measured: FilmMeasurement, part: slice) -> float:
    """How much later than the sound the picture comes, within some frames, ms.

    The measured opening against the mouth that the phones ask for gives the picture's place; the decoded
    sound against the track's gives the sound's.
    """
    fps = measured.fps
    opening = measured.landmarks.opening
    opening = np.where(np.isnan(opening), np.nanmedian(opening), opening)
    frames = np.arange(len(opening))[part]
    driver = mouth_driver(measured.speech)
    steps = np.arange(-0.120, 0.1201, 0.004)
    centred = opening[part] - opening[part].mean()
    scores = []
    for lag_s in steps:
        asked = np.array([driver.mouth_at((k + 0.5) / fps - lag_s).jaw for k in frames])
        scores.append(float((centred * (asked - asked.mean())).sum() / (asked.std() + 1e-9)))
    best = int(np.argmax(scores))
    picture_s = steps[best] + parabola_peak(np.array(scores), best) * (steps[1] - steps[0])
    first, last = int(frames[0] / fps * PLAYED_HZ), int((frames[-1] + 1) / fps * PLAYED_HZ)
    return 1000 * float(picture_s - _sound_lag_s(measured.sound, measured.speech.pcm, first, last))


def _sound_lag_s(heard: Pcm, sent: Pcm, first: int, last: int) -> float:
    """By the correlation's peak, within 50 ms."""
    reach = PLAYED_HZ // 20
    middle = sent[max(first, reach) : min(last, len(sent) - reach)][: 10 * PLAYED_HZ].astype(np.float64)
    start = max(first, reach)
    nearby = heard[start - reach : start + len(middle) + reach].astype(np.float64)
    size = len(nearby) + len(middle)
    spectrum = np.fft.rfft(nearby, size) * np.conj(np.fft.rfft(middle, size))
    scores = np.fft.irfft(spectrum, size)[: 2 * reach + 1]
    return (int(np.argmax(scores)) - reach) / PLAYED_HZ


# -- drift ------------------------------------------------------------------------------------------


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
    about_s = DRIFT_PAUSE_S + 3.0
    for index in range(max(2, round(seconds / about_s))):
        yield replace(lines[index % len(lines)], pause_s=DRIFT_PAUSE_S)


def _lips(path: Path, speech: SpeechTrack, fps: int) -> list[Figure]:
    sound = read_audio(path, PLAYED_HZ, speech.duration_s + _SOUND_SLACK_S)
    asked = tuple(speech_poses(speech, fps, SEED))
    length = round(min(DRIFT_WINDOW_S, speech.duration_s / 2) * fps)
    ends = []
    for first in (0, len(asked) - length):
        part = cut(speech, first / fps, (first + length) / fps)
        heard: Pcm = sound[round(first / fps * PLAYED_HZ) :][: len(part.pcm)]
        seen = find_landmarks(islice(pictures(path, first, fps), length))
        film = FilmMeasurement(seen, heard, part, asked[first : first + length], fps)
        ends.append(lag_ms(film, slice(None)))
    return [
        Figure("av_offset_ms", "picture after sound, first minute", "ms", (ends[0],)),
        Figure("av_drift_ms", "from the first minute to the last", "ms", (ends[1] - ends[0],)),
    ]


def cut(speech: SpeechTrack, first_s: float, last_s: float) -> SpeechTrack:
    """What of a speech track lies wholly within these seconds, its times counted from `first_s`."""
    first, last = round(first_s * PLAYED_HZ), round(last_s * PLAYED_HZ)
    pieces = tuple(
        replace(piece, start=piece.start - first)
        for piece in speech.segments
        if first <= piece.start and piece.start + piece.length <= last
    )
    return SpeechTrack(speech.pcm[first:last], pieces)
