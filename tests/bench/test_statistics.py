from __future__ import annotations

import numpy as np
import pytest

from cvi.bench.statistics import (
    FEWEST_TO_TELL,
    Interval,
    compare,
    compare_intervals,
    compare_pairs,
    compare_shares,
    share,
    summarize,
    theil_sen,
)


def test_percentiles_of_known_values() -> None:
    summary = summarize([float(n) for n in range(101)])
    assert summary is not None and summary.n == 101
    assert [summary.p50.value, summary.p90.value, summary.p95.value, summary.p99.value] == [50, 90, 95, 99]
    assert summary.p50.low < 50 < summary.p50.high
    assert summary.least == 0 and summary.most == 100


def test_none_values_are_not_counted() -> None:
    summary = summarize([None, 3.0, None])
    assert summary is not None and summary.n == 1
    assert (summary.p99.low, summary.p99.value, summary.p99.high) == (3.0, 3.0, 3.0)
    assert summarize([]) is None and summarize([None]) is None


def test_the_same_values_give_the_same_interval() -> None:
    values = list(np.random.default_rng(1).normal(500, 80, 50))
    assert summarize(values) == summarize(values)


def test_the_medians_interval_covers_it_in_95_percent() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        summary = summarize(list(rng.lognormal(0.0, 0.5, 40)))
        assert summary is not None
        held += summary.p50.low <= 1.0 <= summary.p50.high
    assert 0.88 <= held / 200 <= 0.99


def test_many_values_are_resampled_in_pieces() -> None:
    summary = summarize(list(np.arange(30_000.0)))
    assert summary is not None and summary.p50.low < 14_999.5 < summary.p50.high


def test_a_real_difference_is_found() -> None:
    rng = np.random.default_rng(5)
    slow, fast = rng.normal(1000, 100, 50), rng.normal(450, 90, 50)
    found = compare(list(slow), list(fast))
    assert found is not None and found.real
    assert found.ratio.low < found.ratio.value < found.ratio.high < 0.6
    assert found.difference.value == pytest.approx(found.median_b - found.median_a)


def test_false_positives_are_rare() -> None:
    rng = np.random.default_rng(6)
    called = 0
    for _ in range(100):
        same = compare(list(rng.normal(1000, 100, 50)), list(rng.normal(1000, 100, 50)))
        called += same is not None and same.real
    assert called <= 12


def test_pairing_narrows_the_interval() -> None:
    """Tasks differ a lot, the sides a little: only pairing shows it."""
    rng = np.random.default_rng(8)
    task = rng.uniform(200, 2000, 60)
    other = task * rng.normal(0.9, 0.01, 60)
    apart, paired = compare(list(task), list(other)), compare_pairs(list(zip(task, other, strict=True)))
    assert apart is not None and paired is not None
    assert paired.ratio.high - paired.ratio.low < apart.ratio.high - apart.ratio.low
    assert paired.real and not apart.real


def test_empty_values_compare_to_none() -> None:
    assert compare([], [1.0]) is None and compare([1.0], [None]) is None and compare([0.0], [1.0]) is None
    assert compare_pairs([]) is None


def test_the_slope_is_robust_to_outliers() -> None:
    x = np.arange(60.0)
    y = 3 + 0.5 * x + np.random.default_rng(2).normal(0, 0.2, 60)
    y[[5, 30, 55]] = 500
    slope = theil_sen(list(zip(x, y, strict=True)))
    assert slope is not None
    assert slope.value == pytest.approx(0.5, abs=0.02) and slope.low < 0.5 < slope.high
    assert theil_sen([(0.0, 1.0), (1.0, 2.0)]) is None
    assert theil_sen([(1.0, 1.0), (1.0, 2.0), (1.0, 3.0)]) is None


def test_wilson_intervals_at_0_and_1() -> None:
    none = share(0, 20)
    assert none is not None and none.value == 0 and none.low == 0 and 0.1 < none.high < 0.2
    half = share(50, 100)
    assert half is not None and half.low == pytest.approx(0.404, abs=0.002)
    assert share(0, 0) is None


def test_fewer_than_six_values_are_never_a_real_difference() -> None:
    few = compare([100.0] * (FEWEST_TO_TELL - 1), [200.0] * 40)
    enough = compare([100.0] * FEWEST_TO_TELL, [200.0] * 40)
    assert few is not None and not few.real and not few.enough
    assert enough is not None and enough.real
    alone = compare([5.0], [6.0])
    assert alone is not None and not alone.real


def test_newcombes_interval_of_two_shares() -> None:
    """Newcombe (1998), table II, method 10: 56/70 against 48/80, 9/10 against 3/10."""
    found = compare_shares(48, 80, 56, 70)
    assert found is not None
    assert (found.difference.value, found.difference.low, found.difference.high) == pytest.approx(
        (0.2, 0.0524, 0.3339), abs=1e-4
    )
    assert found.real
    found = compare_shares(3, 10, 9, 10)
    assert found is not None
    assert (found.difference.low, found.difference.high) == pytest.approx((0.1705, 0.8090), abs=1e-4)
    none_either = compare_shares(0, 10, 0, 10)
    assert none_either is not None and not none_either.real
    assert compare_shares(0, 0, 1, 2) is None


def test_disjoint_intervals_are_a_real_difference() -> None:
    apart = compare_intervals(Interval(20.0, 18.0, 22.0), Interval(10.0, 9.0, 12.0))
    near = compare_intervals(Interval(20.0, 18.0, 22.0), Interval(17.0, 15.0, 19.0))
    assert apart is not None and apart.real and apart.ratio.value == 0.5
    assert near is not None and not near.real
    assert compare_intervals(Interval(1.0, 0.0, 2.0), Interval(1.0, 0.5, 2.0)) is None


def test_intervals_of_0_and_1_end_exactly_there() -> None:
    none, every = share(0, 7), share(7, 7)
    assert none is not None and none.low == 0.0 and none.value == 0.0
    assert every is not None and every.high == 1.0
