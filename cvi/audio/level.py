"""The level of sound, and when speech ended in the waveform.

A voice activity detector reports the end of speech tens to hundreds of milliseconds late. Latency is counted
from the waveform itself: `SpeechEdges` measures levels and uses no detector.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, AudioBlock, Pcm

FLOOR_DB = -100.0
_CELL_S = 0.002
_CELL = round(_CELL_S * HEARD_HZ)
_FRAME_CELLS = 5
_DIP_CELLS = 20
_MIN_RUN_CELLS = 8
_GAP_TOLERANCE_S = 0.004
_OFFSET_SAMPLES = HEARD_HZ // 2

# Above the noise, less where the voice itself is not far above it; and not more than so far below the
# loudest speech: a room's echo dies away over 0.1-0.4 s, and breath is heard in a clean recording's
# pauses. Chosen on the 42 hand-labelled pauses of ten-vad's test set (median -33 ms against the labels,
# 40 % within 0.1 s, the best of 48 choices; the labels are coarse) and on sentences of flite.
_ABOVE_NOISE_DB = (4.5, 9.0)
_SHARE_OF_CONTRAST = 0.5
_BELOW_PEAK_DB = 28.0
_FAINTEST_DB = -72.0

Energies = npt.NDArray[np.float32]


def level_db(pcm: Pcm) -> float:
    """The level of int16 samples in dB: 0 is a full-scale square wave, `FLOOR_DB` silence or nothing."""
    if len(pcm) == 0:
        return FLOOR_DB
    samples = pcm.reshape(-1).astype(np.float32)
    return _db(float(samples @ samples) / len(samples) / 32768.0**2)


class SpeechEdges:
    """Keeps the levels of the last seconds and finds where the last speech in them ended.

    Fed block by block from one thread; a 10 ms block costs about 15 microseconds, a question 0.1 ms. The
    noise floor is the quietest 40 ms of the window, so an answer is exact once some 50 ms of pause have been
    fed.
    """

    def __init__(self, window_s: float = 8.0) -> None:
        """`window_s` is how far back levels are kept."""
        self._cells = max(round(window_s / _CELL_S), 2 * _DIP_CELLS)
        self._energy: Energies = np.zeros(2 * self._cells, np.float32)
        self.reset()

    def reset(self) -> None:
        """Start anew with the next block."""
        self._filled = 0
        self._rest: Pcm = np.zeros(0, np.int16)
        self._offset = np.float32(0.0)
        self._end_s: float | None = None

    def feed(self, block: AudioBlock) -> None:
        """Take the next block, of any length. After a gap in time, everything before it is dropped."""
        if self._end_s is not None and abs(block.start_s - self._end_s) > _GAP_TOLERANCE_S:
            self.reset()
        self._end_s = block.end_s
        pcm = np.concatenate((self._rest, block.pcm)) if len(self._rest) else block.pcm
        whole = len(pcm) // _CELL * _CELL
        self._rest = pcm[whole:].copy()
        if not whole:
            return
        samples = pcm[:whole].astype(np.float32)
        # A sound card's offset is not sound.
        self._offset += (samples.mean() - self._offset) * min(1.0, whole / _OFFSET_SAMPLES)
        cells = (samples - self._offset).reshape(-1, _CELL)
        self._remember(np.einsum("ij,ij->i", cells, cells) * np.float32(1 / (_CELL * 32768.0**2)))

    def last_loud_s(self, before_s: float = math.inf) -> float | None:
        """When the last speech that ended at or before `before_s` ended, in the blocks' own time.

        Exact to about 2 ms on clean sound. None where no speech stands out from the noise.
        """
        energy, end_s = self._until(before_s)
        if len(energy) < _DIP_CELLS:
            return None
        floor_db, peak_db = _floor_and_peak(energy)
        least_db, most_db = _ABOVE_NOISE_DB
        above_db = min(most_db, max(least_db, _SHARE_OF_CONTRAST * (peak_db - floor_db)))
        threshold_db = max(floor_db + above_db, peak_db - _BELOW_PEAK_DB, _FAINTEST_DB)
        loud = _means(energy, _FRAME_CELLS) > _power(threshold_db)
        last = _last_run(loud)
        if last is None:
            return None
        # `last` begins the last loud 10 ms; the speech ends with the last of its cells that is loud itself.
        cells = energy[last : last + _FRAME_CELLS] > _power(threshold_db)
        inner = int(np.flatnonzero(cells)[-1]) + 1 if cells.any() else _FRAME_CELLS
        return end_s - (len(energy) - last - inner) * _CELL_S

    def contrast_db(self) -> float:
        """Level of the loudest 40 ms of the window above its quietest 40 ms; 0 before there are any."""
        energy, _ = self._until(math.inf)
        if len(energy) < _DIP_CELLS:
            return 0.0
        floor_db, peak_db = _floor_and_peak(energy)
        return peak_db - floor_db

    def _remember(self, energy: Energies) -> None:
        energy = energy[-self._cells :]
        if self._filled + len(energy) > len(self._energy):
            recent = self._energy[self._filled - self._cells : self._filled].copy()
            self._energy[: self._cells] = recent
            self._filled = self._cells
        self._energy[self._filled : self._filled + len(energy)] = energy
        self._filled += len(energy)

    def _until(self, before_s: float) -> tuple[Energies, float]:
        """The remembered cells that end by `before_s`, and when the last of them ends."""
        if self._end_s is None:
            return self._energy[:0], 0.0
        end_s = self._end_s - len(self._rest) / HEARD_HZ
        first = max(0, self._filled - self._cells)
        dropped = max(0, math.ceil((end_s - before_s) / _CELL_S - 1e-6)) if before_s < end_s else 0
        last = max(first, self._filled - dropped)
        return self._energy[first:last], end_s - (self._filled - last) * _CELL_S


def _floor_and_peak(energy: Energies) -> tuple[float, float]:
    means = _means(energy, _DIP_CELLS)
    return _db(float(means.min())), _db(float(means.max()))


def _last_run(loud: npt.NDArray[np.bool_]) -> int | None:
    """The last index of the last run long enough not to be a click."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], loud, [False])).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    long = np.flatnonzero(ends - starts >= _MIN_RUN_CELLS)
    return int(ends[long[-1]]) - 1 if len(long) else None


def _means(energy: Energies, width: int) -> npt.NDArray[np.float64]:
    sums = np.concatenate(([0.0], np.cumsum(energy, dtype=np.float64)))
    return np.asarray(sums[width:] - sums[:-width]) / width


def _db(power: float) -> float:
    return max(FLOOR_DB, 10.0 * math.log10(power)) if power > 0 else FLOOR_DB


def _power(db: float) -> float:
    return float(10.0 ** (db / 10.0))


CUT_FADE_SAMPLES = PLAYED_HZ // 200


def faded_from(pcm: Pcm, at: int) -> Pcm:
    """A copy that falls silent within 5 ms from sample `at`; before its beginning, all of it is silent."""
    if at < 0:
        return np.zeros_like(pcm)
    out = pcm.copy()
    fade = min(CUT_FADE_SAMPLES, len(out) - at)
    out[at : at + fade] = (out[at : at + fade] * np.linspace(1, 0, fade)).astype(np.int16)
    out[at + fade :] = 0
    return out
