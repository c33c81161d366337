"""`cvi persona` as a person and as a program uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cvi.cli.persona import app
from cvi.errors import UsageError
from cvi.paths import shared_dir
from cvi.persona.loading import check_persona, load_persona

BROKEN = Path(__file__).parent / "broken"
run = CliRunner()


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CVI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_check_passes_what_ships() -> None:
    files = sorted(map(str, shared_dir("personas").glob("*.yaml")))
    result = run.invoke(app, ["check", *files])
    assert result.exit_code == 0
    assert result.output.count("  ok") == len(files) == 6


def test_check_names_place_fault_and_remedy() -> None:
    path = BROKEN / "misspelt.yaml"
    result = run.invoke(app, ["check", str(path)])
    assert result.exit_code == 2
    line = f"{path}:3:1  error  'system_promt' is not a key of a persona — Did you mean 'system_prompt'?"
    assert line in result.output.splitlines()


def test_check_for_machines() -> None:
    files = [str(path) for path in sorted(BROKEN.glob("*.yaml"))]
    result = run.invoke(app, ["check", "--json", *files])
    assert result.exit_code == 2
    document = json.loads(result.output)
    assert document["files"] == files
    assert {row["file"] for row in document["findings"]} == set(files)
    assert document["errors"] == sum(row["severity"] == "error" for row in document["findings"])


def test_warnings_alone_pass(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("persona_name: Ada\nsystem_prompt: x\nis_template: true\n")
    result = run.invoke(app, ["check", str(path)])
    assert (result.exit_code, "warning" in result.output) == (0, True)


def test_new_writes_a_commented_copy_and_overwrites_nothing(own_home: Path) -> None:
    result = run.invoke(app, ["new", 'Dr. "Ada" Øst', "--from", "interviewer"])
    assert result.exit_code == 0
    path = Path(result.output.strip())
    assert path == own_home / "personas" / "dr_ada_øst.yaml"
    assert check_persona(path) == []
    assert load_persona("dr_ada_øst").persona_name == 'Dr. "Ada" Øst'
    assert path.read_text().count("#") >= 3
    before = path.read_text()
    again = run.invoke(app, ["new", 'Dr. "Ada" Øst'])
    assert isinstance(again.exception, UsageError)
    assert path.read_text() == before
    assert run.invoke(app, ["new", 'Dr. "Ada" Øst', "--force"]).exit_code == 0
    assert path.read_text() != before
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, "embedded"]
    assert [file.name for file in (path.parent / "embedded").iterdir()] == [path.name]


def test_a_copy_has_its_own_texts_for_very_small_models(own_home: Path, tmp_path: Path) -> None:
    run.invoke(app, ["new", "Ada", "--from", "guide"])
    path = own_home / "personas" / "ada.yaml"
    small = load_persona("ada").embedded
    assert small is not None
    assert "Ada" in small.system_prompt and "June" not in small.system_prompt
    assert [row["name"] for row in json.loads(run.invoke(app, ["list", "--json"]).output)["personas"]].count("ada") == 1
    # Over a copy of a persona without such a file, none is left behind.
    plain = tmp_path / "plain.yaml"
    plain.write_text("persona_name: Bo\nsystem_prompt: You are Bo.\n")
    assert run.invoke(app, ["new", "Ada", "--from", str(plain), "--force"]).exit_code == 0
    assert load_persona("ada").embedded is None
    assert list((path.parent / "embedded").iterdir()) == []


def test_check_reads_the_texts_for_very_small_models(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("persona_name: Ada\nsystem_prompt: x\n")
    small = tmp_path / "embedded" / "p.yaml"
    small.parent.mkdir()
    small.write_text("sistem_prompt: You are Ada.\nexamples:\n  - user: [hello, hi]\n    persona: \"\"\n")
    for checked in (path, small):
        result = run.invoke(app, ["check", str(checked)])
        assert result.exit_code == 2
        assert f"{small}:1:1  error  'sistem_prompt' is not a key of 'embedded' — Did you mean 'system_prompt'?" in (
            result.output.splitlines()
        )
        assert f"{small}:4" in result.output
    with pytest.raises(UsageError, match="sistem_prompt"):
        load_persona(path)
    small.write_text("system_prompt: You are Ada.\nexamples:\n  - user: [hello, hi]\n    persona: Hello.\n")
    assert run.invoke(app, ["check", str(path), str(small)]).output.count("  ok") == 2
    assert load_persona(path).for_small_model().system_prompt == "You are Ada."


def test_new_says_what_it_cannot_do(tmp_path: Path) -> None:
    for arguments in (["new", "!!!"], ["new", "Ada", "--from", "nobody"]):
        assert isinstance(run.invoke(app, arguments).exception, UsageError)
    result = run.invoke(app, ["new", "Ada", "-o", str(tmp_path / "deep" / "ada.yaml")])
    assert result.exit_code == 0
    assert load_persona(tmp_path / "deep" / "ada.yaml").persona_name == "Ada"


def test_list(own_home: Path) -> None:
    (own_home / "personas").mkdir(parents=True)
    (own_home / "personas" / "odd.yaml").write_text("- broken\n")
    rows = {row["name"]: row for row in json.loads(run.invoke(app, ["list", "--json"]).output)["personas"]}
    assert len(rows) == 7
    assert rows["guide"]["shipped"] is True
    assert rows["odd"] | {"path": ""} == {"name": "odd", "persona_name": None, "path": "", "shipped": False}
    assert "June, the guide" in run.invoke(app, ["list"]).output


def test_show_hides_secrets_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("pal_name: Ada\nsystem_prompt: x\nlayers: {llm: {api_key: sk-secret, headers: {k: sk-secret}}}\n")
    for arguments in (["show", str(path)], ["show", str(path), "--json"]):
        result = run.invoke(app, arguments)
        assert result.exit_code == 0
        assert "sk-secret" not in result.output
    shown = run.invoke(app, ["show", "storyteller"]).output
    copy = tmp_path / "copy.yaml"
    copy.write_text(shown)
    assert load_persona(copy) == load_persona("storyteller")


def test_schema_has_both_spellings_and_meanings() -> None:
    document = json.loads(run.invoke(app, ["schema"]).output)
    flow = document["$defs"]["ConversationalFlow"]["properties"]
    assert flow["pal_interruptibility"]["enum"] == flow["replica_interruptibility"]["enum"]
    assert "time-based" in flow["turn_detection_model"]["enum"]
    assert document["allOf"] == [{"anyOf": [{"required": ["persona_name"]}, {"required": ["pal_name"]}]}]
    assert document["properties"]["objectives_id"]["deprecated"] is True
    assert document["properties"]["greeting"]["description"]
    assert document["additionalProperties"] is False
