"""Variants over several routes: their names, the delay a route adds, and the tolerances of the account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from cvi.bench.agreement import NETWORK_MS, TOLERANCE_MS, agreements
from cvi.bench.compare import added_delays
from cvi.bench.latency import LatencyOptions, plan_latency
from cvi.bench.measured_session import CallerRoute, variant_setups
from cvi.bench.probe.evidence import Evidence
from cvi.bench.probe.session_measurement import measure
from cvi.bench.recordings.caller_blocks import CallerTurn
from cvi.bench.run import Run, TurnRecord, Variant
from cvi.bench.statistics import percentile_difference
from cvi.bench.tables import print_latency_run
from cvi.errors import UsageError
from cvi.testing.network_emulation import NetworkConditions


def turn(number: int, audio_ms: float, errors: dict[str, float] | None = None) -> TurnRecord:
    return TurnRecord(
        f"t{number}", "question", "hello", "cvi", "s", 1.0, 2.0, "answered", audio_ms, audio_ms + 20,
        journal_error_ms=errors or {},
    )  # fmt: skip


def run_of(*variants: Variant) -> Run:
    return Run("latency", (), "", 1.0, {}, variants)


def test_variants_over_the_first_route_keep_plain_names() -> None:
    made = variant_setups("cascade", [CallerRoute("file"), CallerRoute("webrtc")])
    assert [variant.name for variant in made] == ["cvi", "cascade", "cvi-webrtc", "cascade-webrtc"]
    assert [variant.route.transport for variant in made] == ["file", "file", "webrtc", "webrtc"]
    assert "WebRTC" in made[2].about and "WebRTC" not in made[0].about
    assert [variant.name for variant in variant_setups(None, [CallerRoute("webrtc")])] == ["cvi"]


def test_ours_is_compared_with_itself_without_perception() -> None:
    """The caller shows the same film to both."""
    made = variant_setups("unseen", [CallerRoute(camera=Path("caller.mp4"))])
    assert [(variant.name, variant.perceives) for variant in made] == [("cvi", True), ("unseen", False)]
    assert {variant.route.camera for variant in made} == {Path("caller.mp4")}
    turns = [tuple(turn(n, ms) for n in range(6)) for ms in (400.0, 380.0)]
    delays = added_delays(run_of(Variant("cvi", turns=turns[0]), Variant("unseen", turns=turns[1])))
    assert [(one.variant, one.plain, one.turn.value) for one in delays] == [("cvi", "unseen", 20.0)] * 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"baseline": "unseen"}, "nothing is seen"),
        ({"camera": Path("caller.mp4"), "transports": ("webrtc",)}, "--transport file"),
    ],
)
def test_what_is_to_be_seen_must_be_there(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        plan_latency(LatencyOptions(**options))


def test_added_delay_is_paired_turn_by_turn(capsys: pytest.CaptureFixture[str]) -> None:
    """What is hard for both ways does not blur what one of them adds."""
    hard = [300.0, 340.0, 900.0, 420.0, 310.0, 1500.0, 380.0, 500.0]
    plain = Variant("cvi", turns=tuple(turn(n, ms) for n, ms in enumerate(hard)))
    far = Variant("cvi-webrtc", turns=tuple(turn(n, ms + 60 + n) for n, ms in enumerate(hard)))
    run = run_of(plain, far)
    found = {one.label: one for one in added_delays(run)}
    assert set(found) == {"first sound", "first moving mouth"}
    sound = found["first sound"]
    assert (sound.variant, sound.plain, sound.n) == ("cvi-webrtc", "cvi", 8)
    assert sound.turn.value == 63.5 and 60 <= sound.turn.low <= sound.turn.high <= 67
    assert 60 <= sound.p50.low <= sound.p50.value <= sound.p50.high <= 67
    assert 60 <= sound.p95.value <= 67
    print_latency_run(run, Console(width=100))
    shown = capsys.readouterr().out
    assert "Added, ms" in shown and "+6" in shown
    assert added_delays(run_of(plain)) == []


def test_percentile_difference_of_known_pairs() -> None:
    rng = np.random.default_rng(0)
    pairs = [(float(a), float(a) + 50) for a in rng.uniform(100, 900, 40)]
    for percent in (50, 95):
        found = percentile_difference(pairs, percent)
        assert found.value == pytest.approx(50) and found.low == pytest.approx(50) == found.high
    noisy = [(a, b + rng.normal(0, 80)) for a, b in pairs]
    found = percentile_difference(noisy, 50)
    assert found.low < found.value < found.high and found.excludes(-200)


def test_tolerances_are_wider_over_a_network() -> None:
    off = TOLERANCE_MS["first_audio"] + NETWORK_MS["first_audio"] - 1
    turns = [turn(number, 300.0, {"first_audio": off}) for number in range(6)]
    (near,), (far,) = agreements("cvi", turns), agreements("cvi", turns, jitter_ms=0.0)
    assert not near.ok and far.ok and far.tolerance_ms == off + 1
    beyond = [turn(number, 300.0, {"first_audio": off + 2}) for number in range(6)]
    assert not agreements("cvi", beyond, jitter_ms=0.0)[0].ok
    assert agreements("cvi", beyond, jitter_ms=100.0)[0].ok


def test_only_speech_end_is_checked_on_a_lossy_network() -> None:
    turns = [turn(number, 300.0, {"speech_end": 900.0, "first_audio": 900.0}) for number in range(6)]
    (check,) = agreements("cvi", turns, jitter_ms=100.0, loses=True)
    assert check.quantity == "speech_end" and not check.ok, "what came in is checked all the same"
    assert [NetworkConditions.of_text(text).loses for text in ("5%", "300kbit", "100ms")] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("300kbit,5%,100ms", NetworkConditions(0.05, 0.1, 300_000)),
        ("2.5%", NetworkConditions(0.025)),
        ("40ms, 1000kbit", NetworkConditions(0.0, 0.04, 1_000_000)),
    ],
)
def test_network_conditions_are_parsed(text: str, wanted: NetworkConditions) -> None:
    assert NetworkConditions.of_text(text) == wanted


@pytest.mark.parametrize("text", ["", "fast", "5", "5%,6%", "-3%", "100%", "5%;100ms"])
def test_invalid_network_conditions_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        NetworkConditions.of_text(text)


def test_a_session_without_the_callers_words_has_no_turns() -> None:
    """As at the near end of a network that spoilt every word."""
    rng = np.random.default_rng(2)
    silence = Evidence(
        "s", 25, 0.01 * np.arange(1, 301), np.zeros((300, 160), np.int16), 0.04 * np.arange(75),
        np.zeros((75, 960), np.int16), None, np.zeros(0),
    )  # fmt: skip
    spoken = CallerTurn("t", "question", "hello", 0.4, 1.6, 0.5, 1.5)
    voice = rng.normal(0, 3000, 2 * 16_000).astype(np.int16)
    assert measure(silence, [spoken], voice, "near", partial=True).turns == ()
