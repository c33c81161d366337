"""The camera at its best: the largest picture it gives fast enough.

TODO The microphone while recording: everything it hears at 48 kHz, and how loud it is now."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cvi.audio.level import FLOOR_DB, level_db
from cvi.errors import MissingError
from cvi.media.encode import SOUND_HZ
from cvi.training.footage.reader import FootageFrame, Rgb
from cvi.transport.portaudio import Device, check_device, open_stream, portaudio

SIZES = ((1920, 1080), (1280, 720), (640, 480))
FPS = 30
START_TIMEOUT_S = 6.0


class RecordingCamera:
    """Camera number `device`; frames are RGB, the newest wins. Raises MissingError.

    A thread of its own reads; `latest` may be called from any thread.
    """

    def __init__(self, device: int) -> None:
        import cv2

        self._changed = threading.Condition()
        self._latest: Rgb | None = None
        self._closed = False
        # What it would print of a camera that cannot be opened is said below, in a sentence.
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
        """The camera was unplugged."""
        return self._closed

    def latest(self, now_s: float) -> Rgb | None:
        """The newest frame, uint8 [height, width, 3]; None before the first."""
        with self._changed:
            return self._latest

    def close(self) -> None:
        self._closed = True
        self._thread.join(timeout=5)

    def _read(self) -> None:
        import cv2

        while not self._closed:
            there, image = self._capture.read()
            if not there:
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
    """A film in the camera's place, frame by frame as its time comes, for trying things out."""

    def __init__(self, frames: Iterator[FootageFrame], began_s: float = 0.0) -> None:
        """`began_s`: the booth's time at which the film begins."""
        self._frames = frames
        self._began_s = began_s
        self._now = next(self._frames, None)
        self._next = next(self._frames, None)

    @property
    def over(self) -> bool:
        return self._next is None

    def latest(self, now_s: float) -> Rgb | None:
        while self._next is not None and self._next.time_s <= now_s - self._began_s:
            self._now, self._next = self._next, next(self._frames, None)
        return None if self._now is None else self._now.rgb

    def close(self) -> None:
        self._next = None


Sound = npt.NDArray[np.float32]


class SoundSource(Protocol):
    """`level_db` of the last moment, 0 full scale; `take` what came since the last call, float32 (n,) at
    48 kHz."""

    @property
    def level_db(self) -> float: ...

    def take(self, now_s: float) -> Sound: ...

    def close(self) -> None: ...


class RecordingMicrophone:
    """An input device. PortAudio's thread hands over; `take` and `level_db` from any other thread."""

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
        return self._level_db

    def take(self, now_s: float) -> Sound:
        with self._lock:
            blocks, self._blocks = self._blocks, []
        if not blocks or self._resampler is None:
            return np.zeros(0, np.float32)
        pcm = self._resampler.push(np.concatenate(blocks))
        return pcm.astype(np.float32) / np.float32(32768)

    def close(self) -> None:
        self._stream.close(ignore_errors=True)

    def _hand_over(self, data: npt.NDArray[np.int16], count: int, times: Any, status: Any) -> None:
        block = data[:, 0].copy()
        with self._lock:
            self._blocks.append(block)
            self._level_db = level_db(block)


class RecordedSound:
    """Sound from a file in the microphone's place, as its time comes."""

    def __init__(self, pcm: npt.NDArray[np.int16], began_s: float = 0.0) -> None:
        """`pcm` int16 at 48 kHz; `began_s` the booth's time of its first sample."""
        self._pcm = pcm
        self._began_s = began_s
        self._at = 0
        self._level_db = FLOOR_DB

    @property
    def level_db(self) -> float:
        return self._level_db

    def take(self, now_s: float) -> Sound:
        upto = min(max(round((now_s - self._began_s) * SOUND_HZ), self._at), len(self._pcm))
        block = self._pcm[self._at : upto]
        self._at = upto
        if len(block):
            self._level_db = level_db(block)
        return block.astype(np.float32) / np.float32(32768)

    def close(self) -> None:
        self._at = len(self._pcm)
