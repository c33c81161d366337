"""One film: its speech, its segments drawn on all cores, the joined file; what is done is kept until then.

The work lies in a folder named after everything that shapes the film, so that the same request made again is
resumed, and another request never uses its segments.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from cvi import __version__
from cvi.engine_registry import build
from cvi.errors import CviError, UsageError
from cvi.face.base import Controls, FaceEngine
from cvi.face.replica import load_replica_card
from cvi.face.speech_mouth import SpeechEncoder, best_reader
from cvi.files import sha256_of
from cvi.media.encode import check_output
from cvi.paths import home
from cvi.rendering.film_request import FilmRequest, ResolvedFilm, resolve_film
from cvi.rendering.output import encode_segment, join_segments, write_captions
from cvi.rendering.speech_track import (
    SpeechTrack,
    frame_count,
    load_track,
    recorded_track,
    save_track,
    speech_poses,
    synthesize,
)
from cvi.threads import NativeThread

SHORTEST_SEGMENT_S, LONGEST_SEGMENT_S = 2, 8
MOST_THREADS = 4
KEPT_DAYS = 14
"""How long the segments of an unfinished film are kept."""

Step = Literal["speech", "picture", "joining"]
Progress = Callable[[Step, int, int], None]
"""Called with the step, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True)
class RenderedFilm:
    """A finished film.

    `reused` of its `frames` came from an earlier, interrupted run; `took_s` is this run's time. `captions` is
    the .vtt file, if one was asked for. `track` is the speech in it: a voice that speaks the same text again
    takes a few milliseconds more or less.
    """

    path: Path
    captions: Path | None
    track: SpeechTrack
    frames: int
    reused: int
    took_s: float

    @property
    def duration_s(self) -> float:
        """How long the film plays."""
        return self.track.duration_s

    @property
    def times_real_time(self) -> float:
        """How many seconds of film a second of work made."""
        return self.duration_s / max(self.took_s, 1e-9)


async def render_film(
    wanted: FilmRequest | ResolvedFilm, progress: Progress = lambda step, done, of: None
) -> RenderedFilm:
    """Make the film; its `output` appears whole or not at all.

    When the task is cancelled, or the process killed, what was drawn by then is used by the next call with
    the same request. `progress` is called from several threads, one at a time. Raises MissingError,
    UsageError, EngineError, CviError.
    """
    began = time.monotonic()
    plan = resolve_film(wanted) if isinstance(wanted, FilmRequest) else wanted
    check_output(plan.output)
    folder = _work_folder(plan)
    stage = NativeThread("render")
    stopped = threading.Event()
    try:
        # Before a word is spoken: an impossible size or background is an error at once.
        face = await stage.run(lambda: _build_face(plan))
        try:
            track = await _speech(plan, folder, progress)
            drawing = _SegmentDrawing(plan, track, folder, stopped, progress)
            running = asyncio.ensure_future(stage.run(lambda: drawing.run(face)))
            try:
                await asyncio.shield(running)
            finally:
                stopped.set()
                # The threads have ended before anybody else may start on the same segments.
                await asyncio.gather(running, return_exceptions=True)
        finally:
            face.close()
    finally:
        stage.close()
    progress("joining", 0, 1)
    join_segments(drawing.paths, drawing.counts, track.pcm, plan.face.fps, plan.output)
    captions_file = plan.output.with_suffix(".vtt") if plan.captions else None
    if captions_file is not None:
        write_captions(captions_file, track)
    shutil.rmtree(folder, ignore_errors=True)
    progress("joining", 1, 1)
    return RenderedFilm(
        path=plan.output,
        captions=captions_file,
        track=track,
        frames=sum(drawing.counts),
        reused=drawing.reused,
        took_s=time.monotonic() - began,
    )


def forget_old_films(now_s: float | None = None) -> int:
    """Remove the work of films left unfinished for `KEPT_DAYS`; returns how many. `now_s` is Unix time."""
    count = 0
    root = home() / "renders"
    for folder in root.iterdir() if root.is_dir() else ():
        if (now_s or time.time()) - folder.stat().st_mtime > KEPT_DAYS * 86400:
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


async def _speech(plan: ResolvedFilm, folder: Path, progress: Progress) -> SpeechTrack:
    """The track, made now or kept from an earlier run: a voice need not say the same thing twice."""
    stored = load_track(folder)
    if stored is not None:
        return stored
    if plan.audio is not None:
        track = recorded_track(plan.audio)
    else:
        voice = build("tts", plan.voice_engine, plan.voice)
        try:
            track = await synthesize(plan.script, voice, lambda done, of: progress("speech", done, of))
        finally:
            voice.close()
    save_track(track, folder)
    return track


def _build_face(plan: ResolvedFilm) -> FaceEngine:
    face: FaceEngine = build("face", plan.face_engine, plan.face)
    return face


class _SegmentDrawing:
    """Segments, handed out in order to threads that each own a face. `counts` are the frames of each."""

    def __init__(
        self,
        plan: ResolvedFilm,
        track: SpeechTrack,
        folder: Path,
        stopped: threading.Event,
        progress: Progress,
    ) -> None:
        self._plan, self._track, self._stopped, self._progress = plan, track, stopped, progress
        fps = plan.face.fps
        self._total = frame_count(track, fps)
        self._threads = min(MOST_THREADS, os.cpu_count() or 1)
        # Short films in segments short enough that all threads end at about the same time.
        share = self._total // (4 * self._threads)
        length = min(max(share, SHORTEST_SEGMENT_S * fps), LONGEST_SEGMENT_S * fps)
        self.counts = [min(length, self._total - first) for first in range(0, self._total, length)]
        self.paths = [folder / f"picture_{index:05d}.mp4" for index in range(len(self.counts))]
        self._done = self.reused = sum(
            count for path, count in zip(self.paths, self.counts, strict=True) if path.exists()
        )
        self._lock = threading.Lock()
        self._todo = self._segments()

    def run(self, face: FaceEngine) -> None:
        """Draw what is missing, with `face` on this thread and more faces on more threads.

        Blocking; ends early when `stopped` is set.
        """
        self._progress("picture", self._done, self._total)
        missing = sum(not path.exists() for path in self.paths)
        if not missing:
            return
        others = min(self._threads, missing) - 1
        with ThreadPoolExecutor(max(others, 1), thread_name_prefix="cvi-render") as pool:
            futures = [pool.submit(self._draw_with_own_face) for _ in range(others)]
            self._draw(face)
            for future in futures:
                future.result()
        if self._stopped.is_set():
            raise CviError("Rendering was stopped.", "Give the same command again to go on.")

    def _segments(self) -> Iterator[tuple[int, list[Controls]]]:
        """The poses of missing segments. The behaviour is advanced over finished ones too: it never jumps."""
        plan = self._plan
        without_phones = any(not segment.phones for segment in self._track.segments)
        encoder = SpeechEncoder(plan.encoder) if plan.encoder is not None and without_phones else None
        audio_mouth = best_reader(plan.face.replica, encoder)
        controls = speech_poses(self._track, plan.face.fps, plan.seed, plan.emotion, audio_mouth)
        for index, count in enumerate(self.counts):
            of_segment = [next(controls) for _ in range(count)]
            if not self.paths[index].exists():
                yield index, of_segment

    def _draw_with_own_face(self) -> None:
        try:
            face = _build_face(self._plan)
        except BaseException:  # raised again, after the other threads are told to stop
            self._stopped.set()
            raise
        try:
            self._draw(face)
        finally:
            face.close()

    def _draw(self, face: FaceEngine) -> None:
        try:
            while not self._stopped.is_set():
                with self._lock:
                    segment = next(self._todo, None)
                if segment is None:
                    return
                index, controls = segment
                encode_segment(face, controls, self._plan.face.fps, self.paths[index], self._before_frame)
        except BaseException:  # raised again, after the other threads are told to stop
            self._stopped.set()
            raise

    def _before_frame(self) -> bool:
        """Count a frame; whether drawing was stopped."""
        with self._lock:
            self._done += 1
            if self._done % 5 == 0 or self._done == self._total:
                self._progress("picture", min(self._done, self._total), self._total)
        return self._stopped.is_set()


def _work_folder(plan: ResolvedFilm) -> Path:
    """Where the film's segments lie: named by a hash of everything that shapes them. Raises UsageError."""
    if plan.audio is not None and not plan.audio.is_file():
        raise UsageError(f"There is no file {plan.audio}.", "Check the path.")
    face = plan.face
    shape = {
        "version": __version__,
        "script": [asdict(line) for line in plan.script],
        "voice": [plan.voice_engine, plan.voice.language, plan.voice.voice, plan.voice.model,
                  plan.voice.speed, plan.voice.pitch, plan.voice.base_url],
        "audio": sha256_of(plan.audio) if plan.audio is not None else None,
        "replica": load_replica_card(face.replica).files,
        "face": [plan.face_engine, face.width, face.height, face.fps, str(face.background)],
        "emotion": plan.emotion,
        "seed": plan.seed,
        "encoder": str(plan.encoder),
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:20]
    return home() / "renders" / key
