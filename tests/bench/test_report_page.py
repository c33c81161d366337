"""The page of `cvi bench report`: what is on it, that it is self-contained, and that no run breaks it."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_sample import QUESTIONS, latency_run, soak_run
from typer.testing import CliRunner

from cvi.bench.report.analysis import analyse, as_data, headline, key_numbers, number, signed
from cvi.bench.report.page import render, report_line, write_report
from cvi.bench.report.timeline import AxisRange, turn_timelines
from cvi.bench.run import SHARE, Figure, Run, Variant
from cvi.bench.run_store import save_run
from cvi.cli.bench_runs import report as command
from cvi.errors import CviError, MissingError

_VOID = {"meta", "br"}


class _Page(HTMLParser):
    """Checks nesting, gathers text, attributes and elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text)


def _page(*runs: Run) -> _Page:
    return _Page(render(analyse([(Path(f"run-{n}"), run) for n, run in enumerate(runs)])))


def test_the_page_is_well_formed_and_self_contained() -> None:
    text = render(analyse([(Path("a"), latency_run())]))
    page = _Page(text)
    assert not [a for name, a in page.elements if name in ("script", "link", "img", "iframe", "object")]
    assert not re.search(r"https?:|url\((?!#)|@import|src=", text)
    charts = page.all("svg")
    assert len(charts) == 6 and all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert not re.search(r"\bnan\b", text)


def test_every_turn_variant_percentile_and_check_is_on_it() -> None:
    run = latency_run()
    page = _page(run)
    assert len(page.all("details")) == 24
    for said in QUESTIONS:
        assert said in page.words
    for variant in run.variants:
        answers = [turn.first_audio_ms for turn in variant.turns if turn.first_audio_ms is not None]
        for share in (50, 90, 95, 99):
            assert number(float(np.percentile(answers, share))) in page.words
    for words in ("differs", "The machine was busy.", "Some processor", "cvi bench latency --turns 24"):
        assert words in page.words


def test_markup_in_a_transcript_is_escaped() -> None:
    text = render(analyse([(Path("a"), latency_run())]))
    assert "<something>" not in text
    assert "&lt;something&gt;" in text
    assert "how this works &amp; what" in text


def test_bars_stay_on_their_axis() -> None:
    axis, turns = turn_timelines(latency_run().variants)
    assert len(turns) == 24 and axis.low == -500
    answers = [answer for turn in turns for answer in turn.answers]
    for bar in (bar for answer in answers for bar in answer.bars):
        assert bar.width >= 0 and 0 <= bar.left <= bar.left + bar.width <= 100.01
    assert {lane.name for lane in answers[0].lanes} >= {"caller", "transcript", "the floor", "persona heard"}
    assert "final" in next(lane.events for lane in answers[0].lanes if lane.name == "transcript")


def test_a_chart_follows_the_style_sheet() -> None:
    text = render(analyse([(Path("a"), latency_run())]))
    charts = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "100 %" in charts and "speech end to first sound, ms" in charts
    assert "var(--variant-0)" in charts and "var(--variant-1)" in charts
    assert not re.search(r"(?:fill|stroke): #", charts), "no colour of its own"


def test_the_headline_says_the_median_and_the_ratio_is_a_tile() -> None:
    run = latency_run()
    found = analyse([(Path("a"), run)]).runs[0]
    median = float(np.median([t.first_audio_ms for t in run.variants[0].turns if t.first_audio_ms is not None]))
    assert f"within {number(median)} ms" in headline(found)
    assert any("cascade" in tile.name and "×" in tile.value for tile in key_numbers(found))


def test_a_soak_says_what_grew() -> None:
    assert headline(analyse([(Path("a"), soak_run())]).runs[0]) == "In 30 minutes nothing grew."
    run = soak_run()
    busy = tuple((at, value + min(200.0, max(0.0, at - 400))) for at, value in run.series["rss_mib"])
    once = headline(analyse([(Path("a"), replace(run, series={**run.series, "rss_mib": busy}))]).runs[0])
    assert once.startswith("In 30 minutes nothing went on growing; resident memory rose by")
    leaking = headline(analyse([(Path("a"), soak_run(leak_mib_per_hour=200))]).runs[0])
    assert "this grew: resident memory and proportional memory" in leaking
    assert "too short" in headline(analyse([(Path("a"), soak_run(minutes=1))]).runs[0])


def test_a_run_of_bare_figures_needs_no_turns() -> None:
    figures = (
        Figure("rtf", "real-time factor", "", (0.1, 0.2, 0.3), protocol="One clause at a time."),
        Figure("wer", "word error rate", "%", (12.0,), protocol="NIST scoring."),
    )
    run = replace(latency_run(), kind="tts", variants=(Variant("piper", figures=figures),), agreement=())
    page = _page(run)
    assert "Real-time factor: 0.2 at the median." in page.words
    assert "NIST scoring." in page.words
    assert not page.all("details")


def _turns_run() -> Run:
    """As `cvi bench turns` makes it: silence alone first, ours after it."""

    def variant(name: str, cuts: int, delay_ms: float) -> Variant:
        return Variant(
            name,
            f"about {name}",
            figures=(
                Figure("false_cut", "false cuts", SHARE, tuple(float(n < cuts) for n in range(50))),
                Figure("end_delay_ms", "delay", "ms", tuple(delay_ms + n for n in range(50))),
                Figure("auc", "area under the curve", "", (0.91,), False, interval=(0.88, 0.94)),
            ),
        )

    variants = (variant("silence", 20, 800.0), variant("words", 4, 350.0))
    return replace(latency_run(), kind="turns", variants=variants, agreement=())


def test_a_share_is_a_share_with_its_interval_and_no_median() -> None:
    page = _page(_turns_run())
    assert "False cuts: 8 % (about words)." in page.words
    for words in ("8 %", "3.15–18.8 %", "4 of 50", "40 %", "−32 points", "better"):
        assert words in page.words, words
    # Both figures of one side that are samples or single numbers, and no more than them.
    assert page.words.count("P50") - page.words.count("P50, ") <= 2
    assert "0.91" in page.words and "(0.88–0.94)" in page.words
    data = as_data(analyse([(Path("a"), _turns_run())]))
    figures = {found["figure"]["name"]: found for found in data["runs"][0]["variants"][1]["measured"]}
    assert figures["false_cut"]["share"]["value"] == 0.08
    assert figures["auc"]["figure"]["interval"] == [0.88, 0.94]


def test_the_programs_own_variant_is_what_a_run_of_turns_is_about() -> None:
    found = analyse([(Path("a"), _turns_run())]).runs[0]
    assert found.main is not None and found.main.variant.name == "words"
    assert {(row.variant_a, row.variant_b) for row in found.against} == {("silence", "words")}
    assert [tile.value for tile in key_numbers(found)][:1] == ["8 %"]


def test_more_variants_than_colours_are_still_seen() -> None:
    figure = Figure("ms", "a frame", "ms", tuple(float(n) for n in range(20)))
    variants = tuple(Variant(f"s{n}", figures=(figure,)) for n in range(7))
    page = _page(replace(latency_run(), kind="llm", variants=variants, agreement=()))
    (chart,) = page.all("svg")
    assert all(f"s{n}: median" in str(chart["aria-label"]) and page.text.count(f"s{n}") >= 2 for n in range(7))


def test_an_empty_run_still_makes_a_page() -> None:
    empty = replace(latency_run(), variants=(Variant("cvi"),), agreement=(), notes=())
    assert "without a figure" in _page(empty).words


def test_the_home_folder_is_not_on_the_page() -> None:
    run = replace(latency_run(3), command=("cvi", "bench", "latency", "-o", str(Path.home() / "runs" / "one")))
    page = _page(run)
    assert str(Path.home()) not in page.words
    assert "-o '~/runs/one'" in page.words or "-o ~/runs/one" in page.words


def test_outliers_are_counted_and_do_not_stretch_the_axis() -> None:
    figure = Figure("ms", "a frame", "ms", (*(10.0 + n / 10 for n in range(95)), 900.0, 950.0, 2000.0))
    page = _page(replace(latency_run(), kind="face", variants=(Variant("720p", figures=(figure,)),), agreement=()))
    assert "3 farther out" in page.words


def test_later_runs_are_compared_with_the_first() -> None:
    page = _page(latency_run(), latency_run(12), soak_run())
    assert "run-1 against run-0" in page.words
    assert "run-2 against run-0" not in page.words
    assert len(page.all("nav")) == 1


def test_the_command_writes_page_and_figures(tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(command)
    folder = tmp_path / "some-run"
    folder.mkdir()
    save_run(latency_run(), folder)
    assert CliRunner().invoke(app, [str(folder)]).exit_code == 0
    assert "<h1>" in (folder / "report.html").read_text(encoding="utf-8")
    data = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    run = data["runs"][0]
    measured, account = (run["variants"][0][part] for part in ("measured", "account"))
    assert {"first_audio_ms", "silence_ms"} <= {found["figure"]["name"] for found in measured}
    assert "journal.floor" in {found["figure"]["name"] for found in account}
    assert "values" not in measured[0]["figure"] and measured[0]["summary"]["n"] == 23
    assert run["against"][0]["comparison"]["ratio"]["value"] < 0.7
    printed = CliRunner().invoke(app, [str(folder), "--json"])
    assert json.loads(printed.output) == data


def test_a_page_that_cannot_be_written_is_one_clean_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(CviError, match="cannot be written"):
        write_report([(tmp_path, latency_run(3))], tmp_path / "file" / "report.html")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.042, "0.042"), (4.2, "4.2"), (12.34, "12.3"), (612.4, "612"), (1388, "1,388"), (-3, "−3")],
)
def test_numbers_have_as_many_digits_as_mean_something(value: float, shown: str) -> None:
    assert number(value) == shown


def test_differences_have_a_sign_and_axes_round_ticks() -> None:
    assert (signed(2.0), signed(-2.0), signed(0.0)) == ("+2", "−2", "0")
    assert AxisRange(-500.0, 2200.0).ticks() == [(18.52, "0"), (55.56, "1,000"), (92.59, "2,000")]


def test_without_its_packages_the_page_says_what_installs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("jinja2", "matplotlib"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            with pytest.raises(MissingError, match=rf"needs {package}.*\[bench\]"):
                write_report([(tmp_path, latency_run(1))], tmp_path / "report.html")
            assert "[bench]" in report_line(tmp_path, latency_run(1))
    assert list(tmp_path.iterdir()) == []
