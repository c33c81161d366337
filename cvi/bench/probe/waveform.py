"""Reads sound: when somebody speaks, where a known voice lies in a recording, how loud it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.audio.block import Pcm
from cvi.bench.probe.evidence import SoundTrack

_CELL_S = 0.001
_WINDOW_CELLS = 5
# A voice is heard above -50 dB, and where there is noise, 10 dB above that.
_FAINTEST_RMS = 100.0
_OVER_NOISE = 10 ** (10 / 20)
_SHORTEST_S = 0.020
# What a voice may rest between two words and still be one run.
JOIN_S = 0.25


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """From `start_s` to `end_s` on the session's axis."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class VoiceMatch:
    """Where a voice begins in a recording, and how similar they are there: 1 is the same up to loudness."""

    at_s: float
    similarity: float


def speech_spans(track: SoundTrack, *, join_s: float = JOIN_S) -> list[TimeSpan]:
    """When somebody speaks on the track: runs of loud 5 ms windows, joined over rests shorter than `join_s`.

    Edges are good to a millisecond on clean sound. A noisy track's floor is taken from its quietest tenth.
    """
    cell = round(_CELL_S * track.rate_hz)
    count = len(track.pcm) // cell
    if count < _WINDOW_CELLS:
        return []
    samples = track.pcm[: count * cell].reshape(count, cell).astype(np.float32)
    energy = np.einsum("ij,ij->i", samples, samples) / cell
    window = np.convolve(energy, np.full(_WINDOW_CELLS, 1 / _WINDOW_CELLS), mode="valid")
    level = np.sqrt(np.maximum(window, 0.0))
    threshold = max(_FAINTEST_RMS, float(np.percentile(level, 10)) * _OVER_NOISE)
    loud = np.flatnonzero(level > threshold)
    if not len(loud):
        return []
    spans: list[TimeSpan] = []
    breaks = np.flatnonzero(np.diff(loud) > join_s / _CELL_S) + 1
    for run in np.split(loud, breaks):
        first = int(run[0]) + _edge(energy[run[0] : run[0] + _WINDOW_CELLS], threshold, last=False)
        last = int(run[-1]) + _edge(energy[run[-1] : run[-1] + _WINDOW_CELLS], threshold, last=True) + 1
        if len(run) * _CELL_S >= _SHORTEST_S:
            spans.append(TimeSpan(track.time_s(first * cell), track.time_s(last * cell)))
    return spans


def _edge(cells: npt.NDArray[np.float32], threshold: float, *, last: bool) -> int:
    """The first or last cell of a loud window that is loud itself."""
    loud = np.flatnonzero(cells > threshold**2)
    if not len(loud):
        return len(cells) - 1 if last else 0
    return int(loud[-1] if last else loud[0])


def find_voice(voice: Pcm, track: SoundTrack, from_s: float, to_s: float | None = None) -> VoiceMatch | None:
    """Where `voice` (at the track's rate) is heard between two times, by normalized cross-correlation.

    None when the span is shorter than the voice. Exact to a sample where the voice is unchanged.
    """
    heard = track.between(from_s, to_s if to_s is not None else track.end_s).astype(np.float64)
    wanted = voice.astype(np.float64)
    if len(heard) < len(wanted) or not wanted.any():
        return None
    size = 1 << (len(heard) + len(wanted) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size)), size)
    product = product[: len(heard) - len(wanted) + 1]
    power = np.concatenate([[0.0], np.cumsum(heard**2)])
    local = np.sqrt(np.maximum(power[len(wanted) :] - power[: -len(wanted)], 0.0))
    # Near silence the quotient is of rounding errors alone.
    floor = 0.02 * float(local.max(initial=0.0)) + 1e-9
    match = product / (np.maximum(local, floor) * float(np.sqrt(np.sum(wanted**2))))
    at = int(np.argmax(match))
    return VoiceMatch(max(from_s, track.start_s) + at / track.rate_hz, float(match[at]))


def envelope(track: SoundTrack, times_s: npt.NDArray[np.float64], width_s: float) -> npt.NDArray[np.float64]:
    """How loud the track is around each time: root mean square over `width_s`, its square root taken, since
    a mouth opens with loudness rather than with power."""
    power = np.concatenate([[0.0], np.cumsum(track.pcm.astype(np.float64) ** 2)])

    def place(at_s: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        samples = np.rint((at_s - track.start_s) * track.rate_hz)
        return np.asarray(np.clip(samples, 0, len(track.pcm)), np.int64)

    first, last = place(times_s - width_s / 2), place(times_s + width_s / 2)
    mean = (power[last] - power[first]) / (width_s * track.rate_hz)
    return np.asarray(np.maximum(mean, 0.0) ** 0.25)
