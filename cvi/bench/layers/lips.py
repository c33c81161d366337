"""Lips and sync of a finished film, from landmarks and waveform alone.

A text is spoken and rendered as `cvi render` does it; the finished file is decoded again, the face mesh
finds the lips in every frame, and what is found is compared with what was asked for.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.bench.layers.keeping import shares
from cvi.bench.layers.landmarks import LIPS, Landmarks, Rgb, track
from cvi.bench.layers.moves import JUMP_PERCENT, Bools, counted, move_figures, steady_moves
from cvi.bench.run import Figure, Variant
from cvi.engine_registry import build
from cvi.face.base import Controls, FaceSettings
from cvi.face.behaviour import Behaviour
from cvi.media.decode import read_audio
from cvi.rendering.film import render_film
from cvi.rendering.poses import mouth_driver, speech_poses
from cvi.rendering.request import ResolvedFilm
from cvi.rendering.speech_track import SpeechTrack, read_script, synthesize
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
HEAD_PERCENT_PER_DEGREE = 1.7
"""How far the middle of a face moves for a degree of the head, in percent of its width."""

Track = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a film showed: `landmarks` per frame, its `sound`, and what was asked for."""

    landmarks: Landmarks
    sound: Pcm
    track: SpeechTrack
    asked: tuple[Controls, ...]
    fps: int


def measure_lips(
    face: FaceSettings, face_engine: str, seconds: float, say: Callable[[str], None], name: str = ""
) -> Variant:
    """Render, decode, measure. Blocks, for about as long as the film. Raises MissingError without what it
    needs."""
    with tempfile.TemporaryDirectory(prefix="cvi-lips-") as work:
        say("speaking and rendering")
        measured = _film(face, face_engine, seconds, Path(work) / "film.mp4", say)
    say("looking at a mouth at rest")
    still = resting_moves(face, face_engine)
    return Variant(
        name or face.replica.name,
        f"{face.width}x{face.height}, {len(measured.asked)} frames",
        {"face": face_engine, "tts": "flite"},
        figures=(*lip_figures(measured), still),
    )


def lip_figures(measured: Measured) -> tuple[Figure, ...]:
    """All figures of one film."""
    fps, landmarks = measured.fps, measured.landmarks
    opening, asked = landmarks.opening, np.array([asked_opening(pose) for pose in measured.asked])
    seen = landmarks.found
    correlation = float(np.corrcoef(opening[seen], asked[seen])[0, 1])
    lags = [lag_ms(measured, part) for part in _thirds(len(asked))]
    steps = counted(landmarks, open_eyed(measured.asked))
    headlong = head_moves(measured.asked)[steps]
    steady = steady_moves(landmarks)[steps]
    # A mesh that trembles is told from a head that turns: what was asked of the head is known.
    turned = headlong > 0.6 * steady
    return (
        shares("face_found", "frames in which the face is found", seen, lower=False),
        Figure("opening_correlation", "measured mouth opening with the requested", "", (correlation,), False),
        Figure("opening_rank", "the same by rank", "", (_rank(opening[seen], asked[seen]),), False),
        shares("closed", "P, B, M: lips shut within 40 ms", closures(measured), lower=False),
        Figure("av_offset_ms", "picture after sound", "ms", (lag_ms(measured, slice(None)),)),
        Figure("av_drift_ms", "first third to last third", "ms", (lags[-1] - lags[0],)),
        *move_figures(landmarks, steps),
        shares("jumps_of_head", "above 2 % and asked of the head", (steady > JUMP_PERCENT) & turned),
        Figure("head_percent", "the head's own move, as asked", "% of face", tuple(headlong.tolist())),
        Figure("fps", "frames a second", "", (float(fps),), False),
    )


def asked_opening(pose: Controls) -> float:
    """How far the lips are asked to part, 0..1: contact shuts them whatever the jaw does."""
    return pose.jaw * (1 - pose.press) * (1 - pose.tuck)


def closures(measured: Measured) -> list[bool]:
    """For each p, b and m: whether the mouth is seen shut within its time and 40 ms either side."""
    opening = measured.landmarks.opening
    rest = float(np.nanpercentile(opening, 5))
    limit = rest + SHUT * (float(np.nanpercentile(opening, 95)) - rest)
    found = []
    for piece in measured.track.segments:
        for phone in piece.phones:
            if phone.ipa[:1] not in ("p", "b", "m"):
                continue
            first = piece.start_s + phone.start_s - CLOSURE_WITHIN_S
            last = piece.start_s + phone.end_s + CLOSURE_WITHIN_S
            # A frame is seen from its index / fps on; its middle counts.
            frames = opening[int(np.ceil(first * measured.fps - 0.5)) : int(last * measured.fps - 0.5) + 1]
            found.append(bool(len(frames)) and bool(np.nanmin(frames) <= limit))
    return found


def open_eyed(asked: tuple[Controls, ...]) -> Bools:
    """In which frames no lid was asked to be far shut, (n,)."""
    return np.array([max(pose.lid_left, pose.lid_right) <= 0.3 for pose in asked])


def head_moves(asked: tuple[Controls, ...]) -> Track:
    """How far the head is asked to move from frame to frame, (n - 1,), percent of the face's width."""
    poses_ = np.array([(pose.yaw, pose.pitch, pose.roll) for pose in asked])
    return np.asarray(HEAD_PERCENT_PER_DEGREE * np.linalg.norm(np.diff(poses_, axis=0), axis=1))


def resting_moves(face: FaceSettings, engine: str) -> Figure:
    """Pixels of the lips that change while the eyes live and the head is held: how many, each frame."""
    drawn = build("face", engine, face)
    try:
        behaviour = Behaviour(1)
        poses_ = [behaviour.advance(index / face.fps, "idle") for index in range(int(STILL_S * face.fps))]
        held = [
            Controls(
                smile=0.1, lid_left=p.lid_left, lid_right=p.lid_right, gaze_x=p.gaze_x, gaze_y=p.gaze_y
            )
            for p in poses_
        ]
        frames = [drawn.render(pose) for pose in held]
    finally:
        drawn.close()
    spots = track(_rgb(frame) for frame in frames[:5]).points[:, LIPS]
    left, top = (int(value) for value in np.nanmin(spots, axis=(0, 1)))
    right, bottom = (int(value) + 1 for value in np.nanmax(spots, axis=(0, 1)))
    lips = [frame[top:bottom, left:right] for frame in frames]
    changed = tuple(float((a != lips[0]).sum()) for a in lips[1:])
    return Figure("rest_px", "mouth at rest: pixels that change", "px", changed)


def _film(
    face: FaceSettings, engine: str, seconds: float, path: Path, say: Callable[[str], None]
) -> Measured:
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
    return Measured(
        landmarks=track(_pictures(path)),
        sound=read_audio(path, PLAYED_HZ),
        track=speech,
        asked=tuple(speech_poses(speech, face.fps, SEED)),
        fps=face.fps,
    )


def _pictures(path: Path) -> Iterator[Rgb]:
    import av

    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _rgb(frame: npt.NDArray[np.uint8]) -> Rgb:
    import cv2

    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420), np.uint8)


def _rank(a: Track, b: Track) -> float:
    """Spearman's correlation: whether what is asked to be wider is wider."""
    first, second = (np.argsort(np.argsort(values, kind="stable"), kind="stable") for values in (a, b))
    return float(np.corrcoef(first, second)[0, 1])


def _thirds(count: int) -> list[slice]:
    edges = [round(count * k / 3) for k in range(4)]
    return [slice(a, b) for a, b in pairwise(edges)]


def lag_ms(measured: Measured, part: slice) -> float:
    """How much later than the sound the picture comes, within some frames, ms.

    The measured opening against the mouth that the phones ask for gives the picture's place; the decoded
    sound against the track's gives the sound's.
    """
    fps = measured.fps
    opening = measured.landmarks.opening
    opening = np.where(np.isnan(opening), np.nanmedian(opening), opening)
    frames = np.arange(len(opening))[part]
    driver = mouth_driver(measured.track)
    steps = np.arange(-0.120, 0.1201, 0.004)
    here = opening[part] - opening[part].mean()
    scores = []
    for lag_s in steps:
        asked = np.array([driver.mouth_at((k + 0.5) / fps - lag_s).jaw for k in frames])
        scores.append(float((here * (asked - asked.mean())).sum() / (asked.std() + 1e-9)))
    picture_s = _peak(steps, np.array(scores))
    first, last = int(frames[0] / fps * PLAYED_HZ), int((frames[-1] + 1) / fps * PLAYED_HZ)
    return 1000 * (picture_s - _sound_lag_s(measured.sound, measured.track.pcm, first, last))


def _sound_lag_s(heard: Pcm, sent: Pcm, first: int, last: int) -> float:
    """By the correlation's peak, within 50 ms."""
    reach = PLAYED_HZ // 20
    middle = sent[max(first, reach) : min(last, len(sent) - reach)][: 10 * PLAYED_HZ].astype(np.float64)
    start = max(first, reach)
    around = heard[start - reach : start + len(middle) + reach].astype(np.float64)
    size = len(around) + len(middle)
    spectrum = np.fft.rfft(around, size) * np.conj(np.fft.rfft(middle, size))
    scores = np.fft.irfft(spectrum, size)[: 2 * reach + 1]
    return (int(np.argmax(scores)) - reach) / PLAYED_HZ


def _peak(steps: Track, scores: Track) -> float:
    """The place of the maximum, between the steps by a parabola."""
    k = int(np.clip(np.argmax(scores), 1, len(scores) - 2))
    below, top, above = scores[k - 1 : k + 2]
    bend = below - 2 * top + above
    shift = 0.5 * (below - above) / bend if bend else 0.0
    return float(steps[k] + shift * (steps[1] - steps[0]))
