"""What a persona's fields do, said alike by the check, by `talk` and by the API."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvi.persona.field_effects import EFFECTS, FieldEffect, foreign_keys, not_in_effect, sections
from cvi.persona.loading import check_persona


def fields(document: dict, **about: object) -> list[str]:
    return [each.field for each in not_in_effect(document, **{"served": False, **about})]


def test_every_path_of_the_table_is_a_field_or_an_accepted_key() -> None:
    known = dict(sections())
    for path in EFFECTS:
        at, _, key = path.rpartition(".")
        assert key in known[at].model_fields or key in foreign_keys(at), path


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS)
def test_every_reason_reads_as_a_part_of_a_sentence_and_every_remedy_as_a_whole_one(effect: FieldEffect) -> None:
    assert effect.why and effect.why[0].islower() and not effect.why.endswith(".")
    assert not effect.remedy or (effect.remedy[0].isupper() and effect.remedy[-1] in ".4")


def test_remedies_name_only_fields_that_act() -> None:
    known = {f"{at}.{name}".lstrip(".") for at, part in sections() for name in part.model_fields}
    for path, effect in EFFECTS.items():
        for name in effect.remedy.split("'")[1::2]:
            assert name in known, f"{path}: {name}"
            assert EFFECTS.get(name, FieldEffect(acts="everywhere")).acts == "everywhere", f"{path}: {name}"


def test_what_is_given_and_does_nothing_is_named_with_its_place() -> None:
    document = {
        "system_prompt": "You are Ada.",
        "tools": [{"name": "x", "tags": ["a"]}],
        "memory": {"remember": False},
        "guardrails": [{"guardrail_name": "a", "modality": "visual"}, {"guardrail_name": "b", "tags": []}],
        "layers": {"stt": {"smart_turn_detection": True}, "tts": {"voice_settings": {"style": 1}}},
    }
    assert fields(document) == [
        "tools[0].tags",
        "guardrails[0].modality",
        "layers.stt.smart_turn_detection",
        "layers.tts.voice_settings.style",
    ]


def test_some_fields_act_only_in_served_conversations_or_with_larger_models() -> None:
    document = {"recording": {"enabled": True}, "objectives_id": "o1", "context": "It rains."}
    assert fields(document) == ["recording.enabled", "objectives_id"]
    assert fields(document, served=True) == []
    assert fields(document, served=True, small_model=True) == ["objectives_id", "context"]


def test_the_check_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "ada.yaml"
    path.write_text("persona_name: Ada\nsystem_prompt: You are Ada.\nrecording:\n  keep_days: 3\n")
    (finding,) = check_persona(path)
    (effect,) = not_in_effect({"recording": {"keep_days": 3}}, served=False)
    assert (finding.line, finding.severity, finding.remedy) == (4, "warning", effect.remedy)
    assert finding.message == f"'keep_days' is accepted and has no effect here: {effect.why}"


def test_a_part_can_be_judged_alone() -> None:
    rule = {"guardrail_name": "a", "tool_call": {"name": "x"}}
    assert [each.field for each in not_in_effect(rule, served=False, at="guardrails")] == ["guardrails.tool_call"]
    assert not not_in_effect(rule, served=True, at="guardrails")
