"""The microphone while recording: everything it hears at 48 kHz, and how loud it is now."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cvi.audio.level import FLOOR_DB, level_db
from cvi.media.encode import SOUND_HZ
from cvi.transport.portaudio import Device, check_device, open_stream, portaudio

Sound = npt.NDArray[np.float32]


class SoundSource(Protocol):
    """`level_db` of the last moment, 0 full scale; `take` what came since the last call, float32 (n,) at
    48 kHz."""

    @property
    def level_db(self) -> float: ...

    def take(self, now_s: float) -> Sound: ...

    def close(self) -> None: ...


class Microphone:
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
