"""`cvi persona test`: every shipped persona passes its script, and a script can fail."""

import asyncio
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from cvi.cli.persona import app
from cvi.errors import UsageError
from cvi.paths import shared_dir
from cvi.persona.loading import list_personas, load_persona
from cvi.persona.schema import Persona
from cvi.testing.fakes import FakeLlm
from cvi.testing.persona_script import PersonaScript, junit, load_script, run_with_fakes
from cvi.tools.base import ToolCall
from cvi.tools.python_function import PythonDelivery

SHIPPED = [file for file in list_personas() if file.shipped]


@pytest.mark.parametrize("name", [file.name for file in SHIPPED])
def test_every_shipped_persona_passes_its_script(name):
    file = next(each for each in SHIPPED if each.name == name).path
    script = load_script(file.parent / "tests" / f"{file.stem}.yaml")
    faults = {each.name: each.faults for each in run_with_fakes(load_persona(name), script) if each.faults}
    assert not faults


def test_the_example_with_a_python_function_passes_its_script(monkeypatch):
    folder = shared_dir("personas") / "examples"
    script = load_script(folder / "tests" / "compliance_training.yaml")
    persona = load_persona(str(folder / "compliance_training.yaml"))
    assert not [fault for each in run_with_fakes(persona, script) for fault in each.faults]
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr("company_policy.LOOKUP_S", 0)
    rule = asyncio.run(PythonDelivery(persona.tools[0].delivery.python).call(ToolCall("c", "n", {"topic": "Gifts"}, "k")))
    assert "written approval" in rule.text


def script(**turn):
    turns = [{"user": "hello there", **turn}]
    return PersonaScript.model_validate({"conversations": [{"name": "one", "turns": turns}]})


def faults(asked, **fields):
    persona = Persona(persona_name="P", system_prompt="You are P.", **fields)
    (verdict,) = run_with_fakes(persona, asked)
    return " ".join(verdict.faults)


def test_what_is_not_as_expected_is_said():
    assert "says: /goodbye/ is missing" in faults(script(says=["goodbye"]))
    assert "never_says: /see/ is in" in faults(script(never_says=["see"]))
    assert "within_ms:" in faults(script(within_ms=1))
    assert "'look_up' was not called" in faults(script(calls=["look_up"]))
    assert "no human was asked for" in faults(script(escalates=True))
    assert "objective_completed: 'a' is not" in faults(script(objective_completed="a"))
    assert faults(script(says=["I see"], escalates=False)) == ""


def test_a_tool_is_called_without_leaving_the_machine():
    tool = {
        "name": "look_up",
        "description": "Look up a parcel.",
        "parameters": {"type": "object", "properties": {"number": {"type": "string"}}},
        "delivery": {"api": {"url": "https://parcels.invalid/x"}},
    }
    asked = script(
        tool={"name": "look_up", "arguments": {"number": "5509"}, "answer": "It arrives on Friday."},
        model="It arrives on Friday.",
        calls=["look_up"],
        says=["friday"],
    )
    assert faults(asked, tools=[tool]) == ""


def test_the_verdicts_as_junit(tmp_path: Path):
    persona = Persona(persona_name="P", system_prompt="You are P.")
    suite = ElementTree.fromstring(junit("p", run_with_fakes(persona, script(says=["goodbye"]))))
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert suite.find("testcase/failure") is not None


@pytest.mark.parametrize(
    "text", ["conversations: []", "nothing", "conversations: [{name: a, turns: [{user: b, says: ['(']}]}]"]
)
def test_a_script_that_is_none_is_refused(tmp_path: Path, text: str):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(UsageError):
        load_script(tmp_path / "s.yaml")


def test_with_real_engines_tools_run_as_far_as_they_are_allowed(monkeypatch, tmp_path):
    """`cvi persona test --engines real --allow-tool-module` hands its permissions to the persona's tools."""
    seen = []

    async def build(config, permissions):
        seen.append(permissions)
        raise UsageError("Enough.")

    async def model(config):
        return FakeLlm()

    monkeypatch.setattr("cvi.testing.persona_script.build_capabilities", build)
    monkeypatch.setattr("cvi.testing.persona_script.build_llm", model)
    file = shared_dir("personas") / "examples" / "compliance_training.yaml"
    monkeypatch.setattr("cvi.testing.persona_script.resolve", lambda persona, profile: None)
    monkeypatch.setattr("cvi.testing.persona_script.conversation_settings", lambda *_, **__: None)
    options = ["--engines", "real", "--allow-tool-module", "company_policy"]
    result = CliRunner().invoke(app, ["test", str(file), *options])
    assert isinstance(result.exception, UsageError)
    assert [each.modules for each in seen] == [("company_policy",)]
