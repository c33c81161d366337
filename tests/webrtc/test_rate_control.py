"""Bits a second, and the picture that fits."""

from __future__ import annotations

from cvi.transport.webrtc.rate_control import (
    LEAST_BPS,
    START_BPS,
    UP_EVERY_S,
    RateControl,
    ceiling_bps,
)


def after(rate: RateControl, loss: float, seconds: int, start_s: float = 0.0) -> float:
    for second in range(seconds):
        rate.reported(loss, 0.0, start_s + second)
        rate.shape(start_s + second)
    return start_s + seconds


def test_it_grows_to_the_ceiling_and_no_further() -> None:
    rate = RateControl(1280, 720, 25)
    assert rate.current.bitrate == START_BPS and rate.current.width == 1280
    after(rate, 0.0, 60)
    assert rate.target_bps == ceiling_bps(1280, 720, 25) == rate.current.bitrate


def test_a_few_losses_change_nothing_many_halve_the_rate_soon() -> None:
    rate = RateControl(1280, 720, 25)
    after(rate, 0.05, 20)
    assert rate.target_bps == START_BPS
    after(rate, 0.3, 5, 20)
    assert rate.target_bps < START_BPS / 2
    after(rate, 1.0, 30, 25)
    assert rate.target_bps == LEAST_BPS


def test_losses_that_are_nobodys_fault_do_not_hold_it_down() -> None:
    rate = RateControl(1280, 720, 25)
    rate.estimated(200_000)
    after(rate, 0.2, 5)
    low = rate.target_bps
    rate.estimated(1_500_000)
    after(rate, 0.05, 30, 5)
    assert rate.target_bps > low * 2


def test_the_receivers_estimate_is_the_upper_bound() -> None:
    rate = RateControl(1280, 720, 25)
    rate.estimated(300_000)
    assert rate.target_bps == 270_000
    small = rate.shape(1.0)
    assert small.bitrate == 270_000 and small.width < 1280
    assert small.width % 2 == small.height % 2 == 0 and abs(small.width / small.height - 16 / 9) < 0.02


def test_it_comes_back_in_steps_and_does_not_swing() -> None:
    rate = RateControl(1280, 720, 25)
    rate.estimated(250_000)
    after(rate, 0.0, 10)
    shapes = [rate.current]
    for second in range(10, 90):
        rate.estimated(min(250_000 + second * 20_000, 4_000_000))
        rate.reported(0.0, 0.0, second)
        shape = rate.shape(second)
        if shape != shapes[-1]:
            shapes.append(shape)
    assert shapes[-1].width == 1280
    widths = [shape.width for shape in shapes]
    assert widths == sorted(widths), "the picture only grows while the network does"
    assert len(shapes) < 12, "each change costs a key frame"


def test_a_swinging_estimate_does_not_change_the_encoder_each_time() -> None:
    rate = RateControl(1280, 720, 25)
    changes, before = 0, rate.current
    for step in range(200):
        rate.estimated(700_000 if step % 2 else 760_000)
        shape = rate.shape(step * 0.1)
        changes += shape != before
        before = shape
    assert changes <= 200 * 0.1 / UP_EVERY_S


def test_a_full_hd_picture_may_have_what_it_needs() -> None:
    assert 5_000_000 < ceiling_bps(1920, 1080, 25) < 6_500_000
