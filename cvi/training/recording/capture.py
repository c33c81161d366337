"""What the recorder films and hears: a camera and a microphone, or a film and a sound file in their place."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cvi.audio.level import FLOOR_DB, level_db
from cvi.errors import MissingError
from cvi.media.encode import SOUND_HZ
from cvi.training.arrays import Floats
from cvi.training.footage.reader import FootageFrame, Rgb
from cvi.transport.sound_card import Device, check_device, open_stream, portaudio

SIZES = ((1920, 1080), (1280, 720), (640, 480))
FPS = 30
START_TIMEOUT_S = 6.0


class RecordingCamera:
    """A camera at the largest picture that it delivers fast enough. A thread of its own reads frames and
    keeps the newest; `latest` may be called from any thread."""

    def __init__(self, device: int) -> None:
        """`device` is the camera's number. Raises MissingError."""
        import cv2

        self._changed = threading.Condition()
        self._latest: Rgb | None = None
        self._closed = False
        # Its messages about a camera that cannot be opened are replaced by the error below.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self._capture: Any = cv2.VideoCapture(device)
        if not self._capture.isOpened():
            self._capture.release()
            raise MissingError(
                f"Camera {device} cannot be opened.",
                "See `cvi devices` for the ones there are; close other programs that use it.",
            )
        # Uncompressed, most cameras are too slow for more than 640x480.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        for width, height in SIZES:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
            self._capture.set(cv2.CAP_PROP_FPS, FPS)
            rate = self._capture.get(cv2.CAP_PROP_FPS)
            if round(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)) == width and rate >= 24:
                break
        self._thread = threading.Thread(target=self._read, name="cvi-camera", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._latest is not None or self._closed, START_TIMEOUT_S)
        if self._latest is None:
            self.close()
            raise MissingError(f"Camera {device} gives no picture.", "Try another one, see `cvi devices`.")

    @property
    def over(self) -> bool:
        """The camera was closed or unplugged."""
        return self._closed

    def latest(self, now_s: float) -> Rgb | None:
        """The newest frame, uint8 [height, width, 3]; None before the first."""
        with self._changed:
            return self._latest

    def close(self) -> None:
        """Stop reading and release the camera."""
        self._closed = True
        self._thread.join(timeout=5)

    def _read(self) -> None:
        import cv2

        while not self._closed:
            grabbed, image = self._capture.read()
            if not grabbed:
                break
            rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
            with self._changed:
                self._latest = rgb
                self._changed.notify_all()
        self._capture.release()
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class FilmCamera:
    """A film in the camera's place, frame by frame at its time."""

    def __init__(self, frames: Iterator[FootageFrame], began_s: float = 0.0) -> None:
        """`began_s` is the recorder's time at which the film begins."""
        self._frames = frames
        self._began_s = began_s
        self._now = next(self._frames, None)
        self._next = next(self._frames, None)

    @property
    def over(self) -> bool:
        """The film has ended."""
        return self._next is None

    def latest(self, now_s: float) -> Rgb | None:
        """The film's frame at `now_s` of the recorder's time."""
        while self._next is not None and self._next.time_s <= now_s - self._began_s:
            self._now, self._next = self._next, next(self._frames, None)
        return None if self._now is None else self._now.rgb

    def close(self) -> None:
        """End the film."""
        self._next = None


Sound = Floats


class SoundSource(Protocol):
    """A microphone, or a sound file in its place."""

    @property
    def level_db(self) -> float:
        """The level of the last block; 0 is full scale."""

    def take(self, now_s: float) -> Sound:
        """The sound since the last call, float32 (n,) at 48 kHz."""

    def close(self) -> None:
        """Release the device."""


class RecordingMicrophone:
    """An input device. PortAudio's thread delivers; `take` and `level_db` may be called from any other."""

    def __init__(self, device: Device) -> None:
        """Raises MissingError, UsageError."""
        from cvi.audio.resample import Resampler

        self._lock = threading.Lock()
        self._blocks: list[npt.NDArray[np.int16]] = []
        self._level_db = FLOOR_DB
        check_device(device, "input")
        sd = portaudio()
        self._resampler: Resampler | None = None
        self._stream: Any
        self._stream, rate_hz = open_stream(
            sd.InputStream, device, "microphone", SOUND_HZ, callback=self._hand_over
        )
        self._resampler = Resampler(rate_hz, SOUND_HZ)

    @property
    def level_db(self) -> float:
        """The level of the last block; 0 is full scale."""
        return self._level_db

    def take(self, now_s: float) -> Sound:
        """The sound since the last call, float32 (n,) at 48 kHz."""
        with self._lock:
            blocks, self._blocks = self._blocks, []
        if not blocks or self._resampler is None:
            return np.zeros(0, np.float32)
        pcm = self._resampler.push(np.concatenate(blocks))
        return pcm.astype(np.float32) / np.float32(32768)

    def close(self) -> None:
        """Close the device."""
        self._stream.close(ignore_errors=True)

    def _hand_over(self, data: npt.NDArray[np.int16], count: int, times: Any, status: Any) -> None:
        block = data[:, 0].copy()
        with self._lock:
            self._blocks.append(block)
            self._level_db = level_db(block)


class RecordedSound:
    """A sound file in the microphone's place, at its time."""

    def __init__(self, pcm: npt.NDArray[np.int16], began_s: float = 0.0) -> None:
        """`pcm` int16 at 48 kHz; `began_s` is the recorder's time of its first sample."""
        self._pcm = pcm
        self._began_s = began_s
        self._at = 0
        self._level_db = FLOOR_DB

    @property
    def level_db(self) -> float:
        """The level of the last block; 0 is full scale."""
        return self._level_db

    def take(self, now_s: float) -> Sound:
        """The sound up to `now_s`, float32 (n,) at 48 kHz."""
        upto = min(max(round((now_s - self._began_s) * SOUND_HZ), self._at), len(self._pcm))
        block = self._pcm[self._at : upto]
        self._at = upto
        if len(block):
            self._level_db = level_db(block)
        return block.astype(np.float32) / np.float32(32768)

    def close(self) -> None:
        """End the sound."""
        self._at = len(self._pcm)
