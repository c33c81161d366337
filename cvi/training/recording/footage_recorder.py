"""The footage recorder: one loop that films, records sound, shows the script and handles the keys.

The film grows as a fragmented MP4, so that everything but the last half second survives any end; when the
recording is over it is copied into an ordinary MP4. One thread does everything: each frame of the film is the
newest at its time, so a slow screen delays nothing. What a killed recorder left behind can be recovered.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from cvi.errors import CviError, MissingError, UsageError
from cvi.files import write_bytes
from cvi.media.encode import SOUND_HZ, FragmentedMp4, remux
from cvi.perception.face_detection import FaceTracker
from cvi.training.footage.reader import Rgb, open_footage
from cvi.training.recording.capture import SoundSource
from cvi.training.recording.reading_script import Teleprompter
from cvi.training.recording.screen import RecorderView, draw_view, framing_advice

FPS = 25
ADVICE_EVERY_S = 0.4
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
WINDOW = (1280, 860)
_BEFORE, _DURING = "Space starts · Q leaves", "Space next · R again · Q stops and keeps all"


class CameraSource(Protocol):
    """A camera, or a film in its place."""

    @property
    def over(self) -> bool:
        """No more frames will come."""

    def latest(self, now_s: float) -> Rgb | None:
        """The newest frame, uint8 [height, width, 3] RGB; None before the first."""

    def close(self) -> None:
        """Release the camera."""


@dataclass(frozen=True, slots=True)
class RecordedFootage:
    """`film` and, beside it, `script`, the lines that were read; `complete` whether that was all of the
    script."""

    film: Path
    script: Path
    duration_s: float
    complete: bool


class FootageRecorder:
    """Records one film; `run` blocks until the script is over or the reader stops. Used once."""

    def __init__(
        self,
        camera: CameraSource,
        microphone: SoundSource,
        prompter: Teleprompter,
        tracker: FaceTracker | None,
        now_s: Callable[[], float] = time.monotonic,
        start_at_once: bool = False,
    ) -> None:
        self._camera, self._microphone, self._prompter = camera, microphone, prompter
        self._now_s = now_s
        self._advisor = None if tracker is None else _Advisor(tracker)
        self._start_at_once = start_at_once
        self._began_s: float | None = None
        self._left = False
        self._file: FragmentedMp4 | None = None
        self._frames = self._samples = 0

    def run(self, output: Path, screen: object | None = None) -> RecordedFootage | None:
        """Record into `output` (.mp4); None when the reader left before starting.

        Ctrl-C in the terminal is the same as Q. Raises MissingError without a display, CviError when the disk
        refuses; the error names the file with everything filmed until then.
        """
        # Keeps pygame's greeting out of the command's output.
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        import pygame

        part = recording_path(output)
        surface = screen if isinstance(screen, pygame.Surface) else _open_window()
        try:
            self._loop(surface, part)
        except KeyboardInterrupt:
            if self._file is None:
                raise
        finally:
            if self._advisor is not None:
                self._advisor.close()
            self._camera.close()
            self._microphone.close()
            if not isinstance(screen, pygame.Surface):
                pygame.display.quit()
        if self._file is None:
            return None
        script = output.with_suffix(".txt")
        with self._naming(part):
            self._file.close()
            remux(part, output)
        part.unlink(missing_ok=True)
        try:
            write_bytes(script, (self._prompter.spoken + "\n").encode())
        except CviError as error:
            raise CviError(
                f"The film is in {output}, but: {error.message}",
                "`cvi replica script --text` prints what you read.",
            ) from error
        return RecordedFootage(output, script, self._frames / FPS, self._prompter.over)

    def _loop(self, surface: object, part: Path) -> None:
        import pygame

        assert isinstance(surface, pygame.Surface)
        while not (self._left or self._prompter.over or self._camera.over):
            now_s = self._now_s()
            if pygame.display.get_init():
                for event in pygame.event.get():
                    self._handle(event, now_s)
            rgb = self._camera.latest(now_s)
            if self._start_at_once and self._began_s is None and rgb is not None:
                self._start(now_s)
            if rgb is not None:
                if self._advisor is not None:
                    self._advisor.look(rgb, now_s)
                if self._began_s is not None:
                    self._film(rgb, now_s, part)
            sound = self._microphone.take(now_s)
            if self._file is not None and len(sound):
                with self._naming(part):
                    self._add_sound(sound)
            draw_view(surface, self._view(rgb, now_s))
            if pygame.display.get_init():
                pygame.display.flip()
            self._wait(now_s)

    def _start(self, now_s: float) -> None:
        self._began_s = now_s
        self._microphone.take(now_s)  # what came before is not in the film
        self._prompter.again(now_s)

    def _film(self, rgb: Rgb, now_s: float, part: Path) -> None:
        assert self._began_s is not None
        self._prompter.at(now_s)
        if self._file is None:
            height, width = _film_size(rgb)
            self._file = FragmentedMp4(part, width=width, height=height, fps=FPS, channels=1)
        due = int((now_s - self._began_s) * FPS)
        if due >= self._frames:
            # A machine that is too slow skips frames; the one before is shown longer.
            with self._naming(part):
                self._file.picture(_i420(rgb), due)
            self._frames = due + 1

    @contextmanager
    def _naming(self, part: Path) -> Iterator[None]:
        """Where the disk refuses, keep the part of the film that is whole and name it in the error."""
        assert self._file is not None
        try:
            yield
        except CviError as error:
            self._file.abandon()
            remedy = f"{error.remedy} What was filmed until then is in {part}; recording again rescues it."
            raise CviError(error.message, remedy) from error

    def _add_sound(self, sound: np.ndarray) -> None:
        """Append sound, with silence for what a microphone that began late or lost blocks did not deliver."""
        assert self._file is not None
        missing = round(self._frames / FPS * SOUND_HZ) - self._samples - len(sound)
        if missing > SOUND_HZ // 5:
            self._file.sound(np.zeros((missing, 1), np.float32))
            self._samples += missing
        self._file.sound(sound[:, None])
        self._samples += len(sound)

    def _view(self, rgb: Rgb | None, now_s: float) -> RecorderView:
        started = self._began_s is not None
        return RecorderView(
            rgb=rgb,
            cue=self._prompter.cue,
            coming=self._prompter.coming,
            share=self._prompter.share(now_s) if started else 0.0,
            level_db=self._microphone.level_db,
            advice="" if self._advisor is None else self._advisor.advice,
            elapsed_s=None if self._began_s is None else now_s - self._began_s,
            left_s=self._prompter.left_s,
            hint=_DURING if started else _BEFORE,
        )

    def _handle(self, event: object, now_s: float) -> None:
        import pygame

        assert isinstance(event, pygame.event.Event)
        if event.type == pygame.QUIT:
            self._left = True
        elif event.type == pygame.KEYDOWN:
            if event.key in (pygame.K_q, pygame.K_ESCAPE):
                self._left = True
            elif event.key in (pygame.K_SPACE, pygame.K_RETURN, pygame.K_RIGHT):
                if self._began_s is None:
                    self._start(now_s)
                else:
                    self._prompter.skip(now_s)
            elif event.key in (pygame.K_r, pygame.K_LEFT) and self._began_s is not None:
                self._prompter.again(now_s)

    def _wait(self, began_s: float) -> None:
        """Wait until the next frame is due."""
        left_s = 1 / FPS - (self._now_s() - began_s)
        if left_s > 0 and self._now_s is time.monotonic:
            time.sleep(left_s)


class _Advisor:
    """Tracks the face now and then on a thread of its own, so that the film never waits for it."""

    def __init__(self, tracker: FaceTracker) -> None:
        self.advice = ""
        self._tracker = tracker
        self._last_s = -ADVICE_EVERY_S
        self._shape: tuple[int, ...] | None = None
        self._busy: threading.Thread | None = None

    def look(self, rgb: Rgb, now_s: float) -> None:
        """Track this frame if it is time and the last one is done."""
        if now_s - self._last_s < ADVICE_EVERY_S or (self._busy is not None and self._busy.is_alive()):
            return
        if self._shape is not None and rgb.shape != self._shape:
            return
        self._last_s, self._shape = now_s, rgb.shape
        self._busy = threading.Thread(target=self._see, args=(rgb,), name="cvi-guide", daemon=True)
        self._busy.start()

    def close(self) -> None:
        if self._busy is not None:
            self._busy.join(timeout=10)
        self._tracker.close()

    def _see(self, rgb: Rgb) -> None:
        try:
            seen = self._tracker.see(rgb)
        except CviError as error:
            self.advice = str(error.message)
            return
        self.advice = framing_advice(seen, rgb.shape[1], rgb.shape[0])


def _film_size(rgb: Rgb) -> tuple[int, int]:
    """Height and width of the film: multiples of 4, for which `av_frame` needs no copy."""
    return rgb.shape[0] // 4 * 4, rgb.shape[1] // 4 * 4


def _i420(rgb: Rgb) -> np.ndarray:
    """RGB -> I420, BT.709 limited range, of the film's size."""
    import av
    from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

    height, width = _film_size(rgb)
    whole = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb[:height, :width]), format="rgb24")
    return (
        VideoReformatter()
        .reformat(
            whole,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
        .to_ndarray()
    )


def _open_window() -> object:
    if not any(os.environ.get(name) for name in DISPLAYS):
        raise MissingError(
            "There is no display for the teleprompter.",
            "Film with any camera and read `cvi replica script`; then check it with `cvi replica check`.",
        )
    import pygame

    try:
        pygame.display.init()
        pygame.font.init()
        info = pygame.display.Info()
        scale = min(1.0, 0.95 * info.current_w / WINDOW[0], 0.9 * info.current_h / WINDOW[1])
        size = round(WINDOW[0] * scale), round(WINDOW[1] * scale)
        screen = pygame.display.set_mode(size, pygame.RESIZABLE)
        pygame.display.set_caption("cvi replica record")
    except pygame.error as error:
        raise MissingError(f"No window can be opened ({error}).", "Run it on a desktop.") from error
    return screen


def recording_path(output: Path) -> Path:
    """The file that a film is recorded into before it is finished."""
    return output.with_name(f".{output.stem}.recording.mp4")


def rescue_recording(output: Path) -> Path | None:
    """Make a film of what an interrupted recording of this name left behind; its path, beside `output`.

    None where nothing was left, or nothing with a picture, which is removed. Raises CviError when the disk
    refuses; what was left is then kept.
    """
    left = recording_path(output)
    if not left.is_file():
        return None
    try:
        open_footage(left)
    except UsageError:
        left.unlink()
        return None
    number, film = 1, output.with_name(f"{output.stem}-rescued.mp4")
    while film.exists():
        number += 1
        film = output.with_name(f"{output.stem}-rescued-{number}.mp4")
    remux(left, film)
    left.unlink()
    return film
