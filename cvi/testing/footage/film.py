"""A good training film of a stock character, from a plan; the same plan gives the same film."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from cvi.audio.block import PLAYED_HZ
from cvi.engine_registry import build
from cvi.errors import CviError
from cvi.face.base import Controls, FaceSettings
from cvi.face.motion import ease
from cvi.face.replica import find_replica, load_replica_card
from cvi.face.sculpted.atlas import Atlas, FrameFit
from cvi.face.sculpted.pose import CAMERA_Y, CAMERA_Z, FOCAL, MOST_DEGREES, PIVOT, head_points
from cvi.rendering.output import encode_segment, join_segments
from cvi.rendering.speech_track import (
    SpeechTrack,
    load_track,
    read_script,
    save_track,
    speech_poses,
    synthesize,
)
from cvi.testing.footage.labels import KnownFault, Labels, Point, blinks_of, control_row, save_labels
from cvi.training.footage.reader import Rgb
from cvi.training.footage.spans import Span
from cvi.tts.base import Phone, TtsSettings

SEGMENT_FRAMES = 250
TURN_RAMP_S = 0.4
LEAST_FAULT_S = 1.5
"""A planned fault that the film would contain less of is left out of the labels."""
X264 = {"preset": "ultrafast", "crf": "17", "bf": "0"}


@dataclass(frozen=True, slots=True)
class HeadTurn:
    """The head turns aside from `start_s` to `end_s` by `yaw` and `pitch` degrees, added to the
    performance."""

    start_s: float
    end_s: float
    yaw: float
    pitch: float


@dataclass(frozen=True, slots=True)
class FilmPlan:
    """What to film. `text` as of `cvi render`, with <break time="5s"/> and <emotion value="happy"/>.

    `voice` is a tts engine and voice, "espeak/en-us+f3"; None is the replica's own of flite, or of espeak
    where flite is not installed. `turns` make a faulty film; `faults` only label it.
    """

    replica: str
    seed: int
    text: str
    voice: str | None = None
    language: str = "en"
    width: int = 1280
    height: int = 720
    fps: int = 25
    turns: tuple[HeadTurn, ...] = ()
    faults: tuple[KnownFault, ...] = ()


def make_film(
    plan: FilmPlan, to: Path, progress: Callable[[int, int], None] = lambda done, of: None
) -> Labels:
    """Render the plan into `to` (.mp4), with its labels beside it. Interrupted, the same call continues.

    `progress` is called with (frames done, of). Raises CviError, MissingError, UsageError.
    """
    card = load_replica_card(find_replica(plan.replica))
    key = hashlib.sha256(json.dumps([asdict(plan), card.files], sort_keys=True).encode()).hexdigest()[:16]
    work = to.with_name(f".{to.stem}.{key}")
    work.mkdir(parents=True, exist_ok=True)
    track = load_track(work) or _speak(plan, dict(card.voices), work)
    controls = list(_turned(speech_poses(track, plan.fps, plan.seed), plan))
    paths: list[Path] = []
    counts: list[int] = []
    face = None
    try:
        for first in range(0, len(controls), SEGMENT_FRAMES):
            piece = controls[first : first + SEGMENT_FRAMES]
            paths.append(work / f"{first:06d}.mp4")
            counts.append(len(piece))
            if not paths[-1].exists():
                settings = FaceSettings(card.folder, plan.width, plan.height, plan.fps)
                face = face or build("face", card.renderer, settings)
                encode_segment(face, piece, plan.fps, paths[-1], lambda: False)
            progress(first + len(piece), len(controls))
    finally:
        if face is not None:
            face.close()
    join_segments(paths, counts, track.pcm, plan.fps, to)
    labels = _labels(plan, track, controls, Anchors(card.folder, plan.width, plan.height))
    save_labels(labels, to)
    shutil.rmtree(work)
    return labels


def write_film(to: Path, frames: Iterable[Rgb], pcm: np.ndarray | None, fps: int) -> int:
    """RGB frames and int16 sound at PLAYED_HZ (or none) -> an mp4; how many frames that were.

    The file appears whole or not at all. Raises CviError.
    """
    import av
    from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

    part = to.with_name(f".{to.stem}.part.mp4")
    count = 0
    try:
        with av.open(str(part), "w", format="mp4") as file:
            stream = file.add_stream("libx264", rate=fps, options=dict(X264))
            coder = stream.codec_context
            coder.thread_count, coder.gop_size, coder.time_base = 1, 2 * fps, Fraction(1, fps)
            coder.colorspace, coder.color_primaries, coder.color_trc, coder.color_range = 1, 1, 1, 1
            reformatter = VideoReformatter()
            for count, rgb in enumerate(frames, 1):
                if count == 1:
                    stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], "yuv420p"
                whole = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
                image = reformatter.reformat(
                    whole,
                    format="yuv420p",
                    dst_colorspace=Colorspace.ITU709,
                    src_color_range=ColorRange.JPEG,
                    dst_color_range=ColorRange.MPEG,
                )
                image.pts, image.time_base = count - 1, coder.time_base
                file.mux(stream.encode(image))
            file.mux(stream.encode(None))
        if pcm is None:
            part.replace(to)
        else:
            join_segments([part], [count], pcm, fps, to)
    except (av.FFmpegError, OSError) as error:
        raise CviError(f"Cannot write {to}: {error.strerror or error}.", "Check the disk.") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def _speak(plan: FilmPlan, voices: dict[str, str], work: Path) -> SpeechTrack:
    engine, _, voice = (plan.voice or "").partition("/")
    if not engine:
        engine = "flite" if plan.language == "en" and _has_flite() else "espeak"
    settings = TtsSettings(language=plan.language, voice=voice or voices.get(engine))
    speaker = build("tts", engine, settings)
    try:
        track = asyncio.run(synthesize(read_script(plan.text), speaker))
    finally:
        speaker.close()
    save_track(track, work)
    return track


def _has_flite() -> bool:
    from cvi.errors import MissingError

    try:
        build("tts", "flite", TtsSettings()).close()
    except MissingError:
        return False
    return True


def _turned(controls: Iterable[Controls], plan: FilmPlan) -> Iterator[Controls]:
    for index, pose in enumerate(controls):
        t_s = index / plan.fps
        for turn in plan.turns:
            share = ease((t_s - turn.start_s) / TURN_RAMP_S) * ease((turn.end_s - t_s) / TURN_RAMP_S)
            pose = replace(pose, yaw=pose.yaw + share * turn.yaw, pitch=pose.pitch + share * turn.pitch)
        yield pose


def _labels(plan: FilmPlan, track: SpeechTrack, controls: Sequence[Controls], anchors: Anchors) -> Labels:
    phones = tuple(
        Phone(phone.ipa, piece.start_s + phone.start_s, piece.start_s + phone.end_s, phone.stress)
        for piece in track.segments
        for phone in piece.phones
    )
    speech: list[Span] = [(piece.start_s, piece.end_s) for piece in track.segments]
    assert len(track.pcm) <= (len(controls) + 1) * PLAYED_HZ // plan.fps
    # The length of the speech is not known to the plan: faults after the film's end are dropped.
    end_s = len(controls) / plan.fps
    faults = tuple(
        replace(fault, end_s=min(fault.end_s, end_s))
        for fault in plan.faults
        if fault.start_s < end_s - LEAST_FAULT_S
    )
    return Labels(
        replica=plan.replica,
        seed=plan.seed,
        text=plan.text,
        fps=plan.fps,
        width=plan.width,
        height=plan.height,
        frames=len(controls),
        phones=phones,
        controls=tuple(control_row(pose) for pose in controls),
        blinks=blinks_of(controls, plan.fps),
        anchor_names=tuple(PLACES),
        anchors=tuple(anchors.at(pose) for pose in controls),
        speech=tuple(speech),
        faults=faults,
    )


PLACES = {
    "bridge": (0.0, 0.12),
    "nose tip": (0.0, -0.26),
    "nose left": (-0.16, 0.02),
    "nose right": (0.16, 0.02),
    "mouth at rest": (0.0, -0.52),
}
"""Head units, x to the viewer's right, y up; the skin's depth there comes from the baked character. All of
them move with the head alone; brows, cheeks and lips do not move them."""


class Anchors:
    """`at` tells the pixels of every place of `PLACES` in a frame of (width, height)."""

    def __init__(self, replica: Path, width: int, height: int) -> None:
        """Raises MissingError, UsageError for a folder that holds no sculpted replica."""
        atlas = Atlas(replica / "atlas.npz")
        self._fit = FrameFit.cover((atlas.width, atlas.height), width, height)
        self._size = atlas.width, atlas.height
        self._focal = FOCAL * atlas.height
        places = np.array(list(PLACES.values()), np.float32)
        depth = np.full(len(places), 0.5, np.float32)
        for _ in range(4):  # a place's pixel depends on the depth that is read there
            x, y = self._pixels(np.column_stack([places, depth]))
            depth = head_points(atlas, self._fit, x[None], y[None])[0, :, 2]
        self._points = np.column_stack([places, depth]).astype(np.float64)

    def at(self, controls: Controls) -> tuple[Point, ...]:
        """Pixels of the frame, in the order of `PLACES`."""
        yaw, pitch, roll = (
            math.radians(min(max(angle, -MOST_DEGREES), MOST_DEGREES))
            for angle in (controls.yaw, controls.pitch, -controls.roll)
        )
        sin, cos = math.sin, math.cos
        about_y = np.array([[cos(yaw), 0, sin(yaw)], [0, 1, 0], [-sin(yaw), 0, cos(yaw)]])
        about_x = np.array([[1, 0, 0], [0, cos(pitch), -sin(pitch)], [0, sin(pitch), cos(pitch)]])
        about_z = np.array([[cos(roll), -sin(roll), 0], [sin(roll), cos(roll), 0], [0, 0, 1]])
        turned = (self._points - PIVOT) @ (about_y @ about_x @ about_z).T + PIVOT
        x, y = self._pixels(turned)
        return tuple((round(float(a), 2), round(float(b), 2)) for a, b in zip(x, y, strict=True))

    def _pixels(self, points: np.ndarray) -> Sequence[np.ndarray]:
        far = CAMERA_Z - points[:, 2]
        x = points[:, 0] / far * self._focal + (self._size[0] - 1) / 2
        y = (CAMERA_Y - points[:, 1]) / far * self._focal + (self._size[1] - 1) / 2
        fit = self._fit
        return (
            ((x + 0.5) * fit.scale - 0.5 - fit.left).astype(np.float32),
            ((y + 0.5) * fit.scale - 0.5 - fit.top).astype(np.float32),
        )
