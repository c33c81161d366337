"""A trend's slope, interval and verdict."""

from __future__ import annotations

import numpy as np
import pytest

from cvi.bench.statistics import bin_width_s, binned, trend, warm_up_s


def _minutes(n: int) -> list[float]:
    return [60.0 * (i + 0.5) for i in range(n)]


def test_one_outlier_in_five_does_not_move_the_slope() -> None:
    rng = np.random.default_rng(1)
    at_s = _minutes(50)
    leak = np.asarray(at_s) / 3600 * 60 + rng.normal(0, 0.5, 50)
    leak[::5] += 400
    found = trend(at_s, leak, tolerance=5)
    assert found is not None
    assert found.slope == pytest.approx(60, rel=0.2)
    assert found.low < 60 < found.high


def test_level_noise_is_flat_and_a_leak_is_growing() -> None:
    rng = np.random.default_rng(3)
    at_s = _minutes(24)
    level = 577 + rng.normal(0, 2, 24)
    leak = level + np.asarray(at_s) / 3600 * 120
    found = trend(at_s, level, tolerance=29)
    assert found is not None
    assert found.verdict == "flat"
    found = trend(at_s, leak, tolerance=29)
    assert found is not None
    assert found.verdict == "growing"
    assert found.slope == pytest.approx(120, rel=0.15)


def test_growth_within_the_tolerance_is_flat_and_across_it_undecided() -> None:
    rng = np.random.default_rng(4)
    at_s = _minutes(30)
    small = trend(at_s, 500 + np.asarray(at_s) / 3600 * 5, tolerance=25)
    assert small is not None
    assert (small.verdict, round(small.slope)) == ("flat", 5)
    noisy = trend(at_s, 500 + np.asarray(at_s) / 3600 * 25 + rng.normal(0, 10, 30), tolerance=25)
    assert noisy is not None
    assert noisy.verdict == "undecided"


def test_a_falling_series_with_a_wide_interval_is_not_growing() -> None:
    at_s = _minutes(30)
    falling = 500 - np.asarray(at_s) / 3600 * 25 + np.random.default_rng(4).normal(0, 2, 30)
    found = trend(at_s, falling, tolerance=25)
    assert found is not None
    assert found.low < -25 < found.high < 25
    assert found.verdict == "not growing"


def test_constant_counts_are_flat_with_no_width() -> None:
    found = trend(_minutes(20), [41.0] * 20, tolerance=1)
    assert found is not None
    assert (found.slope, found.low, found.high, found.verdict) == (0, 0, 0, "flat")


def _minute_by_minute(seed: int, *pieces: tuple[int, float, float]) -> list[float]:
    """(minutes, from, to) one after the other, with two MiB of noise."""
    line = np.concatenate([np.linspace(a, b, count) for count, a, b in pieces])
    return list(line + np.random.default_rng(seed).normal(0, 2, len(line)))


def test_a_step_that_stays_is_levelled() -> None:
    values = _minute_by_minute(6, (5, 580, 580), (9, 600, 795), (16, 795, 795))
    found = trend(_minutes(30), values, tolerance=35)
    assert found is not None
    assert found.verdict == "levelled"
    assert found.rise == pytest.approx(215, abs=5)
    assert found.since_s == 930
    assert abs(found.slope) < 35


def test_a_leak_after_a_step_or_late_is_growing() -> None:
    stepped = trend(_minutes(30), _minute_by_minute(7, (8, 580, 580), (22, 700, 760)), tolerance=35)
    late = trend(_minutes(30), _minute_by_minute(8, (17, 580, 580), (13, 580, 640)), tolerance=35)
    steady = trend(_minutes(30), _minute_by_minute(9, (30, 580, 620)), tolerance=35)
    assert [found and found.verdict for found in (stepped, late, steady)] == ["growing"] * 3
    assert late is not None
    assert late.since_s > 0


def test_a_noisy_rise_is_undecided() -> None:
    rng = np.random.default_rng(10)
    values = [*np.linspace(580, 800, 15), *(800 + rng.normal(0, 60, 15))]
    found = trend(_minutes(30), values, tolerance=10)
    assert found is not None
    assert found.verdict == "undecided"


def test_too_few_points_are_undecided() -> None:
    found = trend(_minutes(4), [1.0, 2.0, 3.0, 4.0], tolerance=0.1)
    assert found is not None
    assert found.verdict == "undecided"
    assert trend([30.0, 90.0], [5.0, 6.0], tolerance=1) is None


def test_bins_are_medians_at_their_middles() -> None:
    assert binned([0, 1, 2, 61, 62], [5, 900, 6, 7, 9], 60) == ([30.0, 90.0], [6.0, 8.0])


def test_warm_up_and_bins_follow_the_length() -> None:
    assert [warm_up_s(minutes * 60) / 60 for minutes in (1, 5, 30, 60, 120)] == [0.5, 1, 6, 10, 10]
    assert [bin_width_s(minutes * 60) for minutes in (2, 10, 30)] == [10, 30, 60]
