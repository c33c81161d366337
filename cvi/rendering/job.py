"""One film: its speech, its segments on all cores, and the joining; what is done is kept until the end.

The work lies in a folder named after everything that shapes the film, so that the same command given
again goes on where it was stopped, and another command never meets its pieces.
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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from cvi import __version__
from cvi.engine_registry import build
from cvi.errors import CviError
from cvi.face.base import Controls, FaceEngine, FaceSettings
from cvi.face.replica import load_replica_card
from cvi.face.speech_encoder import SpeechEncoder
from cvi.face.speech_mouth import reader_for
from cvi.paths import home
from cvi.rendering.captions import write_captions
from cvi.rendering.joining import join
from cvi.rendering.recital import Recital, given_sound, load_recital, recite, save_recital
from cvi.rendering.score import frame_count, poses
from cvi.rendering.script import Line
from cvi.rendering.segment import render_segment
from cvi.threads import NativeThread
from cvi.transport.container import check_output
from cvi.tts.base import TtsSettings

SHORTEST_SEGMENT_S, LONGEST_SEGMENT_S = 2, 8
MOST_WORKERS = 4
KEPT_DAYS = 14
"""An unfinished film's pieces are forgotten after this."""

Step = Literal["speech", "picture", "joining"]
Progress = Callable[[Step, int, int], None]


@dataclass(frozen=True, slots=True)
class FilmRequest:
    """What to make. Either `script`, spoken by `voice`, or `audio`, a file of speech.

    `emotion` is the face's own; `seed` makes one performance of many. `encoder` is the file of what speech
    without phone times is heard through (`cvi.face.speech_encoder`), where it is here.
    """

    output: Path
    face: FaceSettings
    face_engine: str
    script: tuple[Line, ...] = ()
    voice_engine: str = ""
    voice: TtsSettings = field(default_factory=TtsSettings)
    audio: Path | None = None
    captions: bool = False
    emotion: str = "neutral"
    seed: int = 0
    encoder: Path | None = None


@dataclass(frozen=True, slots=True)
class Film:
    """What was made. `reused` frames came from an earlier, interrupted run; `took_s` is this run's time.

    `recital` is what is said in it: a voice that is asked again says it in a few milliseconds more or less.
    """

    path: Path
    captions: Path | None
    recital: Recital
    frames: int
    reused: int
    took_s: float

    @property
    def duration_s(self) -> float:
        return self.recital.duration_s

    @property
    def times_real_time(self) -> float:
        return self.duration_s / max(self.took_s, 1e-9)


async def render_film(request: FilmRequest, progress: Progress = lambda step, done, of: None) -> Film:
    """Make the film; `request.output` appears whole or not at all.

    When the task is cancelled, or the process killed, what was drawn by then is used by the next call
    with the same request. Raises MissingError, UsageError, EngineError, CviError.
    """
    began = time.monotonic()
    check_output(request.output)
    folder = _folder(request)
    stage = NativeThread("render")
    stopped = threading.Event()
    try:
        # Before a word is spoken: a size or a background that cannot be is told at once.
        face = await stage.run(lambda: _face(request))
        try:
            recital = await _speech(request, folder, progress)
            drawing = _Drawing(request, recital, folder, stopped, progress)
            running = asyncio.ensure_future(stage.run(lambda: drawing.run(face)))
            try:
                await asyncio.shield(running)
            finally:
                stopped.set()
                # The workers are gone before anybody else may start on the same pieces.
                await asyncio.gather(running, return_exceptions=True)
        finally:
            face.close()
    finally:
        stage.close()
    progress("joining", 0, 1)
    join(drawing.paths, drawing.counts, recital.pcm, request.face.fps, request.output)
    told = request.output.with_suffix(".vtt") if request.captions else None
    if told is not None:
        write_captions(told, recital)
    shutil.rmtree(folder, ignore_errors=True)
    progress("joining", 1, 1)
    return Film(
        path=request.output,
        captions=told,
        recital=recital,
        frames=sum(drawing.counts),
        reused=drawing.reused,
        took_s=time.monotonic() - began,
    )


def forget_old_films(now_s: float | None = None) -> int:
    """Remove the pieces of films that were left unfinished long ago; how many films that were."""
    count = 0
    root = home() / "renders"
    for folder in root.iterdir() if root.is_dir() else ():
        if (now_s or time.time()) - folder.stat().st_mtime > KEPT_DAYS * 86400:
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    return count


async def _speech(request: FilmRequest, folder: Path, progress: Progress) -> Recital:
    """The recital, spoken now or kept from before: a voice need not say the same thing twice."""
    kept = load_recital(folder)
    if kept is not None:
        return kept
    if request.audio is not None:
        recital = given_sound(request.audio)
    else:
        voice = build("tts", request.voice_engine, request.voice)
        try:
            recital = await recite(request.script, voice, lambda done, of: progress("speech", done, of))
        finally:
            voice.close()
    save_recital(recital, folder)
    return recital


def _face(request: FilmRequest) -> FaceEngine:
    face: FaceEngine = build("face", request.face_engine, request.face)
    return face


class _Drawing:
    """Segments, handed out in order to workers that each own a face."""

    def __init__(
        self,
        request: FilmRequest,
        recital: Recital,
        folder: Path,
        stopped: threading.Event,
        progress: Progress,
    ) -> None:
        self._request, self._recital, self._stopped, self._progress = request, recital, stopped, progress
        fps = request.face.fps
        total = frame_count(recital, fps)
        self._workers = min(MOST_WORKERS, os.cpu_count() or 1)
        # Short films in pieces short enough that all workers end at about the same time.
        share = total // (4 * self._workers)
        self._length = min(max(share, SHORTEST_SEGMENT_S * fps), LONGEST_SEGMENT_S * fps)
        self.counts = [min(self._length, total - first) for first in range(0, total, self._length)]
        self.paths = [folder / f"picture_{index:05d}.mp4" for index in range(len(self.counts))]
        self._total = total
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
        others = min(self._workers, missing) - 1
        with ThreadPoolExecutor(max(others, 1), thread_name_prefix="cvi-render") as pool:
            futures = [pool.submit(self._help) for _ in range(others)]
            self._work(face)
            for future in futures:
                future.result()
        if self._stopped.is_set():
            raise CviError("Rendering was stopped.", "Give the same command again to go on.")

    def _segments(self) -> Iterator[tuple[int, list[Controls]]]:
        """Every segment's poses. The behaviour is advanced over finished ones too, and so never jumps."""
        request = self._request
        reads = request.encoder is not None and any(not piece.phones for piece in self._recital.pieces)
        encoder = SpeechEncoder(request.encoder) if request.encoder is not None and reads else None
        ear = reader_for(request.face.replica, encoder)
        shown = poses(self._recital, request.face.fps, request.seed, request.emotion, ear)
        for index, count in enumerate(self.counts):
            controls = [next(shown) for _ in range(count)]
            if not self.paths[index].exists():
                yield index, controls

    def _help(self) -> None:
        try:
            face = _face(self._request)
        except BaseException:
            self._stopped.set()
            raise
        try:
            self._work(face)
        finally:
            face.close()

    def _work(self, face: FaceEngine) -> None:
        try:
            while not self._stopped.is_set():
                with self._lock:
                    segment = next(self._todo, None)
                if segment is None:
                    return
                index, controls = segment
                render_segment(face, controls, self._request.face.fps, self.paths[index], self._tick)
        except BaseException:
            self._stopped.set()
            raise

    def _tick(self) -> bool:
        """Called before each frame."""
        with self._lock:
            self._done += 1
            if self._done % 5 == 0 or self._done == self._total:
                self._progress("picture", min(self._done, self._total), self._total)
        return self._stopped.is_set()


def _folder(request: FilmRequest) -> Path:
    """Where the film's pieces lie: a name made from all that shapes them."""
    face = request.face
    card = load_replica_card(face.replica)
    told = {
        "version": __version__,
        "script": [asdict(line) for line in request.script],
        "voice": [request.voice_engine, request.voice.language, request.voice.voice, request.voice.model,
                  request.voice.speed, request.voice.pitch, request.voice.base_url],
        "audio": _digest(request.audio) if request.audio is not None else None,
        "replica": card.files,
        "face": [request.face_engine, face.width, face.height, face.fps, str(face.background)],
        "emotion": request.emotion,
        "seed": request.seed,
        "encoder": str(request.encoder),
    }  # fmt: skip
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:20]
    return home() / "renders" / key


def _digest(path: Path) -> str:
    from cvi.errors import UsageError

    if not path.is_file():
        raise UsageError(f"There is no file {path}.", "Check the path.")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
