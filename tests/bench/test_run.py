from __future__ import annotations

import json

import pytest

from cvi.bench.run import (
    Agreement,
    BargeInRecord,
    Figure,
    Gap,
    Mark,
    OwnCost,
    Playout,
    Run,
    SyncPoint,
    TurnRecord,
    Variant,
)
from cvi.bench.run_store import RUN_NAME, load_run, new_run_folder, save_run
from cvi.errors import UsageError


def example() -> Run:
    turn = TurnRecord(
        "q01", "question", "Hello?", "cvi", "cvi-01", 1.5, 2.25, "answered",
        first_audio_ms=431.5, first_frame_ms=None, conditions={"voice": "rms", "snr_db": 20.0},
        cut_ins_s=(1.75,), journal={"floor": 250.0, "first_frame": None},
        journal_error_ms={"first_audio": -1.5}, marks=(Mark("caller", "speech", 1.5, 2.25, "Hello?"),),
    )  # fmt: skip
    playout = Playout(25.0, 10, 1, 0, 2, (0.1, 44.0), (Gap(3.0, 80.0, "cvi-01"),), (SyncPoint(2.0, -12.0, 0.8),))
    variant = Variant(
        "cvi", "ours", {"stt": "pocketsphinx"}, (turn,),
        (BargeInRecord("b01", "cvi", "cvi-01", 5.0, 180.0, None, {"silence": 175.0}),),
        playout, (Figure("first_audio_ms", "first sound", "ms", (431.5,)),),
    )  # fmt: skip
    return Run(
        "latency", ("cvi", "bench", "latency"), "2026-01-02T03:04:05+00:00", 12.5,
        {"cpu": "x", "cores": 2, "packages": {"numpy": "2"}}, (variant,), {"turns": 1, "profile": None},
        (Agreement("cvi", "first_audio", 1, -1.5, -1.5, 15.0, 0, 0.1, True),),
        OwnCost(0.5, 10.0, 12.0), {"memory_mib": ((0.0, 100.0), (5.0, 101.0))}, ("cvi-01.wav",), ("A note.",),
    )  # fmt: skip


def test_a_run_round_trips(tmp_path) -> None:
    run = example()
    save_run(run, tmp_path)
    assert load_run(tmp_path) == run
    assert load_run(tmp_path / RUN_NAME) == run
    assert [path.name for path in tmp_path.iterdir()] == [RUN_NAME]


def test_a_folder_with_a_run_is_not_used_again(tmp_path) -> None:
    folder = new_run_folder("latency", tmp_path / "a" / "b")
    save_run(example(), folder)
    with pytest.raises(UsageError, match="holds a run already"):
        new_run_folder("latency", folder)


def test_folders_are_named_by_time_and_kind(tmp_path) -> None:
    folder = new_run_folder("soak", root=tmp_path)
    assert folder.is_dir() and folder.parent == tmp_path and folder.name.endswith("-soak")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is not a record"),
        ("[1]", "is not a record"),
        ('{"kind": "latency"}', "is not a record"),
        ('{"format": 99}', "has format 99"),
        ('{"format": 1, "kind": 5}', "kind"),
    ],
)
def test_an_invalid_record_gives_a_one_line_error(tmp_path, text, complaint) -> None:
    (tmp_path / RUN_NAME).write_text(text)
    with pytest.raises(UsageError, match=complaint) as told:
        load_run(tmp_path)
    assert "\n" not in told.value.message


def test_a_folder_without_a_run_is_a_usage_error(tmp_path) -> None:
    with pytest.raises(UsageError, match="There is no run in"):
        load_run(tmp_path)


def test_an_interrupted_measurement_has_its_own_message(tmp_path) -> None:
    (tmp_path / "cvi-01.journal.jsonl").write_text("")
    with pytest.raises(UsageError, match="did not come to an end"):
        load_run(tmp_path)
    with pytest.raises(UsageError, match="is not empty"):
        new_run_folder("latency", tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        new_run_folder("latency", tmp_path / "cvi-01.journal.jsonl")


def test_nan_is_refused(tmp_path) -> None:
    """JSON has no NaN; a record with one could not be read elsewhere."""
    bad = Variant("cvi", figures=(Figure("x", "x", "ms", (float("nan"),)),))
    with pytest.raises(ValueError, match="JSON"):
        save_run(Run("latency", (), "", 0.0, {}, (bad,)), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_plain_json(tmp_path) -> None:
    document = json.loads(save_run(example(), tmp_path).read_text())
    assert document["sides"][0]["turns"][0]["marks"][0]["lane"] == "caller"
    assert document["own_cost"] == {"probe_cpu_s": 0.5, "process_cpu_s": 10.0, "wall_s": 12.0}
