from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from model_hub import CONTENTS, Hub, cut_after
from typer.testing import CliRunner

from cvi.cli import models as commands
from cvi.cli.doctor import doctor
from cvi.errors import CviError
from cvi.models import checks, download, manifest, profiles
from cvi.models.checks import Check
from cvi.models.manifest import Model
from cvi.models.profiles import build_profile

pytestmark = pytest.mark.usefixtures("cvi_home", "small_manifest")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_PAUSE_S", 0.0)


def run(*words: str) -> Any:
    return CliRunner().invoke(commands.app, list(words), env={"COLUMNS": "200"})


def run_json(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_list_shows_what_is_installed() -> None:
    run("pull", "tiny-mind")
    rows = {row["id"]: row for row in run_json("list")["models"]}
    assert rows["tiny-mind"]["installed"] == "yes"
    assert rows["tiny-ear"]["installed"] == "no" and rows["tiny-ear"]["path"] is None
    table = run("list").stdout
    assert "tiny-voice" in table and max(map(len, table.splitlines())) <= 80


def test_list_shows_models_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    run("add", str(tmp_path / "x.gguf"), "--id", "mine", "--purpose", "llm")
    rows = {row["id"]: row for row in run_json("list")["models"]}
    assert rows["mine"]["installed"] == "yes" and rows["mine"]["profiles"] == []


def test_pull_of_a_profile_brings_all_of_it(cvi_home: Path) -> None:
    result = run("pull", "cpu")
    assert result.exit_code == 0, result.output
    assert "tiny-ear, tiny-mind, tiny-voice" in result.stdout
    assert (cvi_home / "models" / "tiny-voice" / "voice.onnx").is_file()
    again = [card["id"] for card in run_json("pull", "cpu")["installed"]]
    assert again == ["tiny-ear", "tiny-mind", "tiny-voice"]


def test_pull_goes_on_over_a_cut_connection(hub: Hub) -> None:
    hub.faults = [cut_after(5_000)]
    assert run("pull", "tiny-mind").exit_code == 0
    assert hub.sent_bytes == len(CONTENTS["tiny-mind"]["mind.gguf"])


def test_misuse_and_failure_have_their_exit_statuses(hub: Hub, small_manifest: tuple[Model, ...]) -> None:
    misuse = run("pull", "tiny-mint").exception
    assert isinstance(misuse, CviError) and misuse.exit_status == 2
    hub.files.clear()
    failure = run("pull", "tiny-mind").exception
    assert isinstance(failure, CviError) and failure.exit_status == 1
    assert run("pull").exit_code == 2


def test_verify_fails_when_a_file_has_changed(cvi_home: Path) -> None:
    run("pull", "cpu")
    good = run("verify")
    assert good.exit_code == 0
    assert "no hash was known before" in good.stdout
    (cvi_home / "models" / "tiny-mind" / "mind.gguf").write_bytes(b"spoilt")
    bad = run("verify", "tiny-mind")
    assert bad.exit_code == 1
    assert "changed tiny-mind/mind.gguf" in bad.stdout
    document = json.loads(run("verify", "--json").stdout)
    assert document["ok"] is False and document["models"]["tiny-mind"] == {"mind.gguf": "changed"}
    assert isinstance(run("verify", "tiny-nothing").exception, CviError)


def test_remove(cvi_home: Path) -> None:
    run("pull", "tiny-mind")
    assert run_json("remove", "tiny-mind") == {"removed": ["tiny-mind"]}
    assert not (cvi_home / "models" / "tiny-mind").exists()


def _doctor(monkeypatch: pytest.MonkeyPatch, lines: list[Check], *words: str) -> Any:
    app = typer.Typer()
    app.command()(doctor)
    monkeypatch.setattr(checks, "run_checks", lambda: lines)
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


def test_doctor_fails_only_for_what_embedded_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        Check("machine", "python", "ok", "3.11", required=True),
        Check("media", "camera", "missing", "none found", "Connect one."),
    ]
    good = _doctor(monkeypatch, lines)
    assert good.exit_code == 0 and "Connect one." in good.stdout
    lines.append(Check("engines", "llm.llama-cpp", "broken", "it is damaged", "pip install it", True))
    bad = _doctor(monkeypatch, lines)
    assert bad.exit_code == 1 and "pip install it" in bad.stdout
    document = json.loads(_doctor(monkeypatch, lines, "--json").stdout)
    assert document["embedded_runs"] is False
    assert document["checks"][2]["status"] == "broken"


def test_the_commands_cost_nothing_to_import() -> None:
    heavy = "httpx", "pydantic", "yaml", "numpy", "onnxruntime", "llama_cpp", "rich.progress"
    code = f"import sys, cvi.cli.models, cvi.cli.doctor; print(sorted(set(sys.modules) & set({heavy})))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_person_is_asked_with_the_size() -> None:
    app = typer.Typer()

    @app.command()
    def offer() -> None:
        profile = build_profile("cpu")
        typer.echo(f"answer: {commands.offer_download(profile, 1_700_000_000)}")

    yes = CliRunner().invoke(app, input="\n")
    assert "1.70 GB" in yes.output and "answer: True" in yes.output
    assert "answer: False" in CliRunner().invoke(app, input="n\n").output


def test_without_a_person_an_installed_profile_is_not_replaced(
    small_manifest: tuple[Model, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    larger = small_manifest[0].model_copy(update={"id": "large-ear", "profiles": ("laptop",)})
    monkeypatch.setattr(manifest, "load_manifest", lambda path=None: (*small_manifest, larger))
    monkeypatch.setattr(profiles, "_fitting", lambda machine: ["cpu", "embedded"])
    assert commands.profile_of("auto").profile.name == "cpu", "the first one is fetched"
    monkeypatch.setattr(profiles, "_fitting", lambda machine: ["laptop", "cpu", "embedded"])
    kept = commands.profile_of("auto")
    assert kept.profile.name == "cpu" and "cvi models pull laptop" in kept.note
