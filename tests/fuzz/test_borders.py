"""A short form of `scripts/fuzz`: some inputs for each border, the same at each run, the kept faults first."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server extra is not installed")

from borders import BORDERS
from harness import Border, feed_all, input_of, plain, run_border, run_file
from mutation import mutated_bytes, mutated_value

INPUTS = {"persona": 25, "recipe": 25, "script": 40, "media": 40, "endpoint": 60, "rest": 100}
MANY = 150
SEED = 14


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", BORDERS)
def test_no_input_causes_a_trace(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    border = BORDERS[name]
    inputs = (input_of(border, SEED, number) for number in range(INPUTS.get(name, MANY)))
    report = asyncio.run(feed_all(border, inputs, tmp_path, tmp_path / "faults"))
    assert report.good, report.faults
    assert report.tried == INPUTS.get(name, MANY)


def test_inputs_are_the_same_for_the_same_seed() -> None:
    border = BORDERS["channel"]
    assert [input_of(border, 1, n) for n in range(20)] == [input_of(border, 1, n) for n in range(20)]
    assert input_of(border, 1, 5) != input_of(border, 2, 5)
    assert len({mutated_bytes(b"some bytes", random.Random(n)) for n in range(100)}) > 50
    value = {"a": [1, {"b": 2}]}
    assert mutated_value(value, random.Random(3)) is not value and value == {"a": [1, {"b": 2}]}


def test_faults_are_counted_and_their_inputs_kept(tmp_path: Path) -> None:
    """The harness itself: a border that breaks is told, and the input that broke it can be fed again."""

    def breaks(data: bytes) -> None:
        if data == b"2":
            raise KeyError("what a caller must not see")

    border = Border("toy", lambda rng: b"", lambda folder: plain(breaks))
    inputs = iter([b"1", b"2", b"3", b"2"])
    report = asyncio.run(feed_all(border, inputs, tmp_path, tmp_path))
    assert (report.tried, report.traces, report.good) == (4, 2, False)
    assert len(report.faults) == 1 and "KeyError" in report.faults[0]
    (kept,) = (tmp_path / "toy").iterdir()
    assert kept.read_bytes() == b"2" and not run_file(border, kept, tmp_path, tmp_path).good


def test_a_process_that_hangs_or_dies_is_counted_and_the_next_one_goes_on(tmp_path: Path) -> None:
    for name in ("sticks", "dies"):
        report = run_border(name, 1, 1.0, tmp_path, tmp_path / "faults", module="toy_borders", hang_s=0.2)
        assert not report.good and report.tried > 2, report
        assert (report.hangs > 0, report.crashes > 0) == (name == "sticks", name == "dies"), report
        assert (tmp_path / "faults" / name).is_dir()
