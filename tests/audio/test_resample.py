from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvi.audio.resample import Resampler, resample, resampled_length
from cvi.errors import UsageError

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000]


def sine(hz: float, rate: int, samples: int) -> np.ndarray:
    return np.rint(20_000 * np.sin(2 * np.pi * hz * np.arange(samples) / rate)).astype(np.int16)


@pytest.mark.parametrize("to_hz", [16_000, 24_000])
@pytest.mark.parametrize("from_hz", RATES)
def test_a_sine_stays_a_sine(from_hz: int, to_hz: int) -> None:
    hz = 0.4 * min(from_hz, to_hz) * 0.97
    got = resample(sine(hz, from_hz, from_hz // 2), from_hz, to_hz)
    assert len(got) == resampled_length(from_hz // 2, from_hz, to_hz)
    middle = slice(to_hz // 20, -to_hz // 20)
    ideal = 20_000 * np.sin(2 * np.pi * hz * np.arange(len(got)) / to_hz)
    noise = got[middle] - ideal[middle]
    snr_db = 10 * np.log10(np.mean(ideal[middle] ** 2) / np.mean(noise**2))
    assert snr_db > 60


@pytest.mark.parametrize("from_hz", [32_000, 44_100, 48_000, 96_000])
def test_frequencies_above_the_new_rate_are_removed(from_hz: int) -> None:
    got = resample(sine(9_500, from_hz, from_hz // 2), from_hz, 16_000)[800:-800]
    assert np.sqrt(np.mean(got.astype(float) ** 2)) < 20_000 * 10 ** (-60 / 20)


@settings(max_examples=60, deadline=None)
@given(
    from_hz=st.sampled_from([*RATES, 22_051]),
    to_hz=st.sampled_from([16_000, 24_000]),
    samples=st.integers(0, 3_000),
    cuts=st.lists(st.integers(0, 3_000), max_size=8),
    seed=st.integers(0, 1_000),
)
def test_a_stream_cut_anywhere_is_the_whole(
    from_hz: int, to_hz: int, samples: int, cuts: list[int], seed: int
) -> None:
    pcm = np.random.default_rng(seed).integers(-32768, 32768, samples).astype(np.int16)
    resampler = Resampler(from_hz, to_hz)
    parts = [resampler.push(part) for part in np.split(pcm, sorted(min(cut, samples) for cut in cuts))]
    streamed = np.concatenate([*parts, resampler.flush()])
    whole = resample(pcm, from_hz, to_hz)
    assert len(streamed) == len(whole) == resampled_length(samples, from_hz, to_hz)
    assert np.array_equal(streamed, whole)


def test_long_streams_do_not_drift() -> None:
    resampler = Resampler(22_050, 24_000)
    block = np.zeros(22_050 * 60 + 7, dtype=np.int16)
    made = sum(len(resampler.push(block)) for _ in range(5)) + len(resampler.flush())
    assert made == resampled_length(5 * len(block), 22_050, 24_000)


def test_it_starts_anew_after_a_flush() -> None:
    resampler = Resampler(44_100, 16_000)
    pcm = sine(440, 44_100, 5_000)
    first = np.concatenate([resampler.push(pcm), resampler.flush()])
    assert np.array_equal(first, np.concatenate([resampler.push(pcm), resampler.flush()]))


def test_loud_sound_is_clipped_and_never_wraps() -> None:
    square = np.where(np.arange(2_000) // 20 % 2, 32767, -32768).astype(np.int16)
    got = resample(square, 16_000, 24_000).astype(int)
    assert np.all(np.sign(got[45:55]) == np.sign(got[50]))


def test_a_rate_of_zero_is_refused() -> None:
    with pytest.raises(UsageError, match="positive"):
        Resampler(0, 16_000)
