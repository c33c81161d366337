"""Comparison of runs: ratios, findings, refusals and warnings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cvi.bench.compare import RunComparison, compare_runs
from cvi.bench.run import SHARE, BargeInRecord, Figure, Run, TurnRecord, Variant
from cvi.bench.run_store import PACKAGES, differences, save_run, take_fingerprint
from cvi.bench.statistics import ShareComparison
from cvi.cli.bench_runs import compare as command
from cvi.errors import UsageError


def _turn(number: int, variant: str, first_audio_ms: float | None, **more: Any) -> TurnRecord:
    fields: dict[str, Any] = {"journal": {"floor": 300.0 + number}, **more}
    return TurnRecord(
        f"q{number:02d}", "question", "Why?", variant, "s1", number * 10.0, number * 10.0 + 2, "answered",
        first_audio_ms, None, **fields,
    )  # fmt: skip


def _run(variant: str, values: list[float | None], kind: str = "latency", **more: Any) -> Run:
    turns = tuple(_turn(number, variant, value) for number, value in enumerate(values))
    return Run(kind, ("cvi", "bench", kind), "2026-01-02T03:04:05+00:00", 60.0, {"cpu": "X"}, (
        Variant(variant, turns=turns),
    ), **more)  # fmt: skip


def _answers(seed: int, median_ms: float, n: int = 50) -> list[float | None]:
    return [float(v) for v in median_ms * np.exp(np.random.default_rng(seed).normal(0, 0.2, n))]


def _row(found: RunComparison, name: str) -> Any:
    return next(row for row in found.rows if row.name == name)


def test_half_the_time_is_better_with_ratio_one_half() -> None:
    found = compare_runs(_run("cvi", _answers(1, 1000)), _run("cvi", _answers(2, 500)))
    row = _row(found, "first_audio_ms")
    assert row.finding == "better"
    assert row.comparison.ratio.low < 0.5 < row.comparison.ratio.high
    assert row.comparison.ratio.value == pytest.approx(0.5, abs=0.05)
    assert not found.warnings


def test_the_finding_follows_lower_is_better() -> None:
    def with_figure(values: list[float | None], lower: bool) -> Run:
        run = _run("cvi", [500.0, 600.0])
        figure = Figure("rate", "rate", "1/s", tuple(v for v in values if v is not None), lower)
        return replace(run, variants=(replace(run.variants[0], figures=(figure,)),))

    few, many = _answers(1, 10), _answers(2, 20)
    assert _row(compare_runs(with_figure(few, True), with_figure(many, True)), "rate").finding == "worse"
    assert _row(compare_runs(with_figure(few, False), with_figure(many, False)), "rate").finding == "better"


def test_the_same_distribution_drawn_twice_shows_no_difference() -> None:
    found = compare_runs(_run("cvi", _answers(1, 700)), _run("cvi", _answers(5, 700)))
    assert _row(found, "first_audio_ms").finding == "no difference shown"


def test_pairing_finds_a_difference_that_independent_samples_hide() -> None:
    base = [float(v) for v in np.linspace(300, 3000, 24)]
    slower = [value * 1.05 for value in base]
    paired = _row(compare_runs(_run("cvi", list(base)), _run("cvi", list(slower))), "first_audio_ms")
    assert paired.paired
    assert paired.finding == "worse"
    other = _run("cvi", list(slower))
    renamed = tuple(replace(turn, id=f"other-{turn.id}") for turn in other.variants[0].turns)
    strangers = replace(other, variants=(replace(other.variants[0], turns=renamed),))
    independent = _row(compare_runs(_run("cvi", list(base)), strangers), "first_audio_ms")
    assert not independent.paired
    assert independent.finding == "no difference shown"


def test_unanswered_turns_are_skipped_and_repeated_ids_are_numbered() -> None:
    values: list[float | None] = [500.0, None, 600.0]
    run = _run("cvi", values)
    twice = replace(run.variants[0], turns=(*run.variants[0].turns, _turn(0, "cvi", 900.0)))
    found = compare_runs(run, replace(run, variants=(twice,)))
    row = _row(found, "first_audio_ms")
    assert row.paired
    assert (row.comparison.n_a, row.comparison.median_a, row.comparison.median_b) == (2, 550.0, 550.0)


def test_interruptions_are_compared_too() -> None:
    def with_cuts(silence_ms: float) -> Run:
        cuts = tuple(
            BargeInRecord(f"b{n}", "cvi", "s1", 1.0, silence_ms + n, 2 * silence_ms) for n in range(9)
        )
        run = _run("cvi", [500.0])
        return replace(run, variants=(replace(run.variants[0], barge_ins=cuts),))

    found = compare_runs(with_cuts(200), with_cuts(400))
    assert _row(found, "silence_ms").finding == "worse"
    assert _row(found, "mouth_at_rest_ms").comparison.ratio.value == pytest.approx(2)


def _with_figure(figure: Figure) -> Run:
    return replace(_run("cvi", []), kind="barge-in", variants=(Variant("cvi", figures=(figure,)),))


def test_shares_are_compared_as_shares() -> None:
    def missed(hits: int, n: int, lower: bool = True) -> Run:
        values = tuple(float(number < hits) for number in range(n))
        return _with_figure(Figure("missed", "missed", SHARE, values, lower))

    row = _row(compare_runs(missed(0, 60), missed(20, 60)), "missed")
    assert row.finding == "worse"
    assert isinstance(row.comparison, ShareComparison)
    assert (row.comparison.share_a, row.comparison.share_b) == (0, pytest.approx(1 / 3))
    assert _row(compare_runs(missed(20, 60, False), missed(55, 60, False)), "missed").finding == "better"
    assert _row(compare_runs(missed(3, 20), missed(5, 20)), "missed").finding == "no difference shown"


def test_single_values_differ_only_with_disjoint_intervals() -> None:
    def rate(value: float, interval: tuple[float, float] | None) -> Run:
        return _with_figure(Figure("wer", "word error rate", "%", (value,), interval=interval))

    def finding(a: Run, b: Run) -> str:
        return str(_row(compare_runs(a, b), "wer").finding)

    assert finding(rate(20.0, None), rate(10.0, None)) == "too few to tell"
    assert finding(rate(20.0, (17, 23)), rate(10.0, (8, 13))) == "better"
    assert finding(rate(20.0, (17, 23)), rate(18.0, (15, 21))) == "no difference shown"


def test_runs_of_different_kinds_are_refused() -> None:
    with pytest.raises(UsageError, match=r"'latency' and B of 'soak'"):
        compare_runs(_run("cvi", [1.0]), _run("cvi", [1.0], kind="soak"))


def test_a_peer_is_compared_with_our_own_latency() -> None:
    found = compare_runs(_run("cvi", _answers(1, 500)), _run("their robot", _answers(2, 900), kind="ab"))
    assert _row(found, "first_audio_ms").variant_b == "their robot"


def test_variants_are_chosen_by_name_and_unknown_ones_refused() -> None:
    run = _run("cvi", _answers(1, 500))
    both = replace(run, variants=(*run.variants, _run("cascade", _answers(2, 1500)).variants[0]))
    row = _row(compare_runs(both, both, ("cascade", "cvi")), "first_audio_ms")
    assert (row.variant_a, row.variant_b, row.finding) == ("cascade", "cvi", "better")
    with pytest.raises(UsageError, match="B has no variant 'gone'"):
        compare_runs(both, both, ("cvi", "gone"))


def test_other_machines_options_and_disagreements_give_warnings() -> None:
    a = _run("cvi", [500.0, 600.0], options={"turns": 50})
    b = replace(a, fingerprint={"cpu": "Y"}, options={"turns": 24})
    warnings = "\n".join(compare_runs(a, b).warnings)
    assert "cpu: X / Y" in warnings
    assert "turns: 50 / 24" in warnings


def test_runs_without_a_common_figure_are_refused() -> None:
    with pytest.raises(UsageError, match="no figure in common"):
        compare_runs(_run("cvi", [500.0]), replace(_run("cvi", []), variants=(Variant("cvi"),)))


def test_the_command_prints_a_table_and_machine_readable_rows(tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(command)
    for name, seed, median_ms in (("a", 1, 1000.0), ("b", 2, 500.0)):
        (tmp_path / name).mkdir()
        save_run(_run("cvi", _answers(seed, median_ms)), tmp_path / name)
    arguments = [str(tmp_path / "a"), str(tmp_path / "b")]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0
    assert "better" in shown.output
    data = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    assert data["rows"][0]["real"] is True
    assert data["rows"][0]["comparison"]["ratio"]["value"] == pytest.approx(0.5, abs=0.05)
    wrong = CliRunner().invoke(app, [*arguments, "--sides", "cvi"])
    assert isinstance(wrong.exception, UsageError)


def test_a_fingerprint_holds_no_personal_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "somebody-by-name")
    found = take_fingerprint("embedded", {"stt": "pocketsphinx"})
    assert found["cores"] >= 1
    assert found["memory_gib"] > 0.1
    assert found["packages"]["numpy"] == np.__version__
    assert set(found["packages"]) <= set(PACKAGES)
    text = json.dumps(found)
    import socket

    assert "somebody-by-name" not in text
    assert str(Path.home()) not in text
    if len(socket.gethostname()) > 3:
        assert socket.gethostname() not in text


def test_the_load_is_no_difference_between_fingerprints() -> None:
    assert differences({"cpu": "X", "load_1min": 0.1}, {"cpu": "X", "load_1min": 7.0}) == []
    assert differences({"gpu": ""}, {"gpu": "H200"}) == ["gpu: none / H200"]


def test_the_command_prints_shares_in_percentage_points(tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(command)
    for name, hits in (("a", 0), ("b", 30)):
        values = tuple(float(number < hits) for number in range(60))
        (tmp_path / name).mkdir()
        save_run(_with_figure(Figure("missed", "missed", SHARE, values)), tmp_path / name)
    arguments = [str(tmp_path / "a"), str(tmp_path / "b")]
    shown = CliRunner().invoke(app, arguments).output
    for words in ("0.0 %", "50.0 %", "+50.0 pt", "worse"):
        assert words in shown
    (row,) = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)["rows"]
    assert row["real"] is True
    assert row["comparison"]["share_b"] == 0.5
