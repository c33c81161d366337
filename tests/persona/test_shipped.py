"""The personas that ship, and the prompts made from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvi.errors import UsageError
from cvi.paths import shared_dir
from cvi.persona.field_effects import EFFECTS, FieldEffect, sections
from cvi.persona.loading import check_persona, find_persona, list_personas, load_persona
from cvi.persona.prompt import LIMITS, SMALL_BUDGET_TOKENS, context_message, first_sentences, system_message
from cvi.persona.schema import Persona

SHIPPED = ("compliance_coach", "guide", "interviewer", "patient_intake", "storyteller", "support_agent")

FACES = tuple(card.parent.name for card in shared_dir("replicas").glob("*/replica.yaml"))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CVI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_all_six_ship() -> None:
    assert tuple(file.name for file in list_personas() if file.shipped) == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_personas_have_no_findings(name: str) -> None:
    assert check_persona(shared_dir("personas") / f"{name}.yaml") == []
    persona = load_persona(name)
    assert persona.default_replica_id in FACES
    assert persona.greeting
    assert len(persona.greeting.split()) <= 30
    assert persona.spoken_name in (persona.system_prompt or "").split("\n")[0]


@pytest.mark.parametrize(
    ("name", "vital"), [("patient_intake", "emergency number"), ("compliance_coach", "compliance team")]
)
def test_roles_with_much_at_stake_are_kept_from_the_smallest_models(name: str, vital: str) -> None:
    persona = load_persona(name)
    assert not persona.may_run_on("embedded")
    message = system_message(persona, small_model=False)
    assert vital in message
    assert all(item.guardrail_prompt in message for item in persona.guardrails)


@pytest.mark.parametrize("name", SHIPPED)
def test_examples_stand_only_in_the_file_for_very_small_models(name: str) -> None:
    persona = load_persona(name)
    assert persona.examples == []
    assert persona.embedded is not None
    assert 8 <= len(persona.embedded.examples) <= 12
    assert persona.spoken_name in persona.embedded.system_prompt
    answers = [example.persona for example in persona.embedded.examples]
    assert len(set(answers)) == len(answers)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_very_small_model_gets_every_answer_more_than_once_and_asked_in_more_than_one_way(name: str) -> None:
    small = load_persona(name).for_small_model()
    asked: dict[str, list[str]] = {}
    for example in small.examples:
        asked.setdefault(example.persona, []).append(example.user)
    assert len(asked) >= 8
    assert len(small.examples) == 24
    assert all(len(users) >= 2 and len(set(users)) >= 2 for users in asked.values())
    assert small.system_prompt != load_persona(name).system_prompt


@pytest.mark.parametrize(
    ("wordings", "count", "asked"),
    [
        (["a"], 8, ["a", "a", "a"]),
        (["a", "b"], 8, ["a", "a", "b"]),
        (["a", "b", "c", "d"], 8, ["a", "b", "c"]),
        (["a", "b"], 12, ["a", "b"]),
    ],
)
def test_rounds_of_examples(wordings: list[str], count: int, asked: list[str]) -> None:
    others = [{"user": f"question {n}", "persona": f"answer {n}"} for n in range(count - 1)]
    examples = [{"user": wordings, "persona": "yes"}, *others]
    persona = made(embedded={"system_prompt": "You are small.", "examples": examples})
    small = persona.for_small_model()
    assert [example.user for example in small.examples if example.persona == "yes"] == asked
    assert [example.persona for example in small.examples[:2]] == ["yes", "answer 0"]
    assert small.system_prompt == "You are small."
    assert persona.system_prompt == "You are Ada."
    assert made().for_small_model() == made()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_small_model_gets_little_more_than_the_prompt(name: str) -> None:
    try:
        from cvi.llm.base import LlmSettings
        from cvi.llm.gguf import Gguf
        from cvi.llm.llama_cpp import shipped_model

        model = Gguf(shipped_model(), context_tokens=LlmSettings().context_tokens, threads=1, gpu_layers=0)
    except Exception as error:
        pytest.skip(f"the small model is not here: {error}")
    try:
        persona = load_persona(name).for_small_model()
        here = "The participant is called Tom. He was late today. " * 10
        for context in ("", here):
            parts = system_message(persona, small_model=True), context_message(persona, context, small_model=True)
            message = "\n\n".join(filter(None, parts))
            extra = len(model.tokenize(message)) - len(model.tokenize(persona.system_prompt or ""))
            assert extra <= SMALL_BUDGET_TOKENS
    finally:
        model.close()


def made(**fields: object) -> Persona:
    return Persona.model_validate({"persona_name": "Ada", "system_prompt": "You are Ada."} | fields)


def test_a_large_model_gets_everything() -> None:
    persona = made(
        context="The shop opens at nine.",
        language="de",
        objectives=[{"objective_name": "a", "objective_prompt": "Learn their name."}],
        guardrails=[{"guardrail_name": "b", "guardrail_prompt": "Promise nothing."}],
    )
    message = system_message(persona, small_model=False)
    assert context_message(persona, "Tom is calling.", small_model=False).endswith("Tom is calling.")
    parts = ["You are Ada.", "German", "nine", "1. Learn their name.", "- Promise nothing."]
    places = [message.index(part) for part in parts]
    assert places == sorted(places)


def test_a_large_model_is_told_what_no_persona_can_do_here(monkeypatch: pytest.MonkeyPatch) -> None:
    blind = made(layers={"perception": {"perception_model": "off"}})
    plain = system_message(blind, small_model=False)
    assert all(limit.text in plain for limit in LIMITS)
    assert "<user_appearance>" not in plain
    wants_all = made(
        memory={"remember": True},
        knowledge={"documents": ["d1"]},
        tools=[{"name": "book", "description": "Books a table."}],
    )
    lacking = [limit for limit in LIMITS if limit.field in EFFECTS and EFFECTS[limit.field].acts == "nowhere"]
    assert all(limit.text in system_message(wants_all, small_model=False) for limit in lacking)
    assert "<user_appearance>" in system_message(wants_all, small_model=False)
    # A later version in which these fields act: the lines go, for personas that ask for them.
    acting = {limit.field: FieldEffect("x", acts="everywhere") for limit in LIMITS}
    monkeypatch.setattr("cvi.persona.prompt.EFFECTS", acting)
    assert not any(limit.text in system_message(wants_all, small_model=False) for limit in LIMITS)
    assert all(limit.text in system_message(blind, small_model=False) for limit in LIMITS)


def test_every_limit_names_a_field() -> None:
    known = {f"{at}.{name}".lstrip(".") for at, part in sections() for name in part.model_fields}
    assert {limit.field for limit in LIMITS} <= known


def test_a_small_model_gets_the_prompt_and_what_this_conversation_adds() -> None:
    persona = made(context="The shop opens at nine.", language="fr")
    message = system_message(persona, small_model=True)
    assert message.startswith("You are Ada.")
    assert "nine" not in message
    here = context_message(persona, "Tom is calling. " * 50, small_model=True)
    assert 5 < here.count("Tom is calling.") < 50
    assert "French" in message


def test_echo_personas_have_no_system_message() -> None:
    persona = Persona.model_validate({"persona_name": "Ada", "pipeline_mode": "echo"})
    assert system_message(persona, small_model=True) == ""


@pytest.mark.parametrize(
    ("text", "most", "kept"),
    [
        ("One. Two. Three.", 100, "One. Two. Three."),
        ("One. Two. Three.", 10, "One. Two."),
        ("Version 1.5 is out. Good.", 21, "Version 1.5 is out."),
        ("A sentence without an end", 10, ""),
        ("One.\n\n  Two.", 20, "One. Two."),
    ],
)
def test_whole_sentences(text: str, most: int, kept: str) -> None:
    assert first_sentences(text, most) == kept


def test_names_paths_and_the_users_own(own_home: Path) -> None:
    assert find_persona("compliance-coach").name == "compliance_coach.yaml"
    folder = own_home / "personas"
    folder.mkdir(parents=True)
    (folder / "guide.yaml").write_text("persona_name: Mine\nsystem_prompt: x\n")
    assert load_persona("guide").persona_name == "Mine"
    assert load_persona(shared_dir("personas") / "guide.yaml").spoken_name == "June"
    with pytest.raises(UsageError, match="Did you mean 'storyteller'"):
        find_persona("storytelller")
    with pytest.raises(UsageError, match="no persona file"):
        find_persona("nowhere/guide.yaml")
