"""Both vocabularies mean the same, and nothing is lost on the way through YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cvi.errors import UsageError
from cvi.persona.language import CODES, language_code, language_name
from cvi.persona.policy import Tool
from cvi.persona.schema import PROFILES, Persona
from cvi.yaml_document import parse


def persona(**fields: Any) -> Persona:
    return Persona.model_validate({"persona_name": "Ada", "system_prompt": "You are Ada."} | fields)


def test_both_vocabularies() -> None:
    old = persona(
        default_replica_id="june",
        layers={"conversational_flow": {"replica_interruptibility": "high", "turn_detection_model": "timebased"}},
    )
    for word in ("pal", "face"):
        flow = {f"{word}_interruptibility": "high", "turn_detection_model": "time-based"}
        new = Persona.model_validate(
            {
                "pal_name": "Ada",
                "system_prompt": "You are Ada.",
                "default_face_id": "june",
                "layers": {"conversational_flow": flow},
            }
        )
        assert new == old
    assert "pal_name" not in old.model_dump()
    assert not old.layers.conversational_flow.uses_turn_model


def test_two_spellings_must_agree() -> None:
    assert persona(pal_name="Ada").persona_name == "Ada"
    with pytest.raises(ValidationError, match="two spellings"):
        persona(pal_name="Bob")


def test_the_prompt_fits_the_mode() -> None:
    echo = Persona.model_validate({"persona_name": "Ada", "pipeline_mode": "echo"})
    assert echo.system_prompt is None
    for fields in ({}, {"pipeline_mode": "echo", "system_prompt": "x"}, {"pipeline_mode": "echo", "context": "x"}):
        with pytest.raises(ValidationError):
            Persona.model_validate({"persona_name": "Ada"} | fields)
    with pytest.raises(ValidationError):
        persona(system_prompt="  ")


@pytest.mark.parametrize(
    ("written", "code"),
    [("English", "en"), ("de", "de"), ("pt-BR", "pt"), ("NB", "no"), ("tagalog", "tl"), ("multilingual", None)],
)
def test_languages(written: str, code: str | None) -> None:
    assert persona(language=written).language_code == code


def test_every_language_has_its_own_code() -> None:
    assert len(CODES) == len(set(CODES.values())) == 42
    assert all(language_name(code) == name and language_code(name) == code for name, code in CODES.items())
    with pytest.raises(ValidationError, match="no language"):
        persona(language="klingon")


@pytest.mark.parametrize("layer", ["stt", "llm", "tts"])
@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        ("localhost:8080", "not an address"),
        ("http://host/v1/chat/completions/", "contains the route"),
        ("http://host/v1?key=1", "contains a query"),
    ],
)
def test_addresses_of_endpoints_follow_the_clients_rule(layer: str, base_url: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        persona(layers={layer: {"base_url": base_url}})


def test_hosted_names_stand_for_the_local_default() -> None:
    layers = persona(
        layers={
            "llm": {"model": "tavus-gpt-oss"},
            "stt": {"stt_engine": "tavus-auto"},
            "tts": {"tts_engine": "cartesia", "external_voice_id": "a0e9", "tts_model_name": "sonic-3"},
        }
    ).layers
    assert (layers.llm.local_engine, layers.llm.local_model) == (None, None)
    assert layers.stt.local_engine is None
    assert (layers.tts.local_engine, layers.tts.local_voice, layers.tts.local_model) == (None, None, None)


def test_local_names_are_taken_as_they_are() -> None:
    layers = persona(
        layers={
            "llm": {"model": "qwen", "base_url": "http://127.0.0.1:8080/v1"},
            "stt": {"engine": "faster-whisper", "hotwords": "Ada, Bob\nCarol"},
            "tts": {"engine": "piper", "external_voice_id": "amy", "voice_settings": {"speed": "slow"}},
        }
    ).layers
    assert (layers.llm.local_engine, layers.llm.local_model) == ("openai", "qwen")
    assert (layers.stt.local_engine, layers.stt.hotword_list) == ("faster-whisper", ("Ada", "Bob", "Carol"))
    assert (layers.tts.local_engine, layers.tts.local_voice, layers.tts.speed) == ("piper", "amy", 0.85)


def test_retired_and_unknown_keys_do_not_stop_a_client() -> None:
    assert persona(persona_id="p1", nonsense=1, layers={"vqa": {"enable_vision": True}}) == persona()


def test_sampling_is_read_from_extra_body() -> None:
    llm = persona(layers={"llm": {"extra_body": {"temperature": 0.25, "max_tokens": 90, "seed": 1}}}).layers.llm
    assert (llm.temperature, llm.max_tokens, llm.top_p) == (0.25, 90, None)
    with pytest.raises(ValidationError):
        persona(layers={"llm": {"extra_body": {"temperature": "hot"}}})


def test_secrets_are_expanded_late_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CVI_TEST_KEY", raising=False)
    llm = persona(
        layers={
            "llm": {
                "base_url": "http://127.0.0.1:1/v1",
                "api_key": "${CVI_TEST_KEY}",
                "headers": {"X-Auth": "plain-secret", "Authorization": "Bearer ${CVI_TEST_KEY}"},
                "extra_body": {"nested": {"api_token": "plain-secret"}, "temperature": 0.5},
            }
        }
    ).layers.llm
    with pytest.raises(UsageError, match="CVI_TEST_KEY"):
        llm.connection()
    monkeypatch.setenv("CVI_TEST_KEY", "s3")
    connection = llm.connection()
    assert (connection.api_key, connection.headers["Authorization"]) == ("s3", "Bearer s3")
    shown = llm.model_dump(mode="json")
    assert "s3" not in repr(connection)
    assert "plain-secret" not in f"{llm!r}" .replace("api_token': 'plain-secret'", "")
    assert "plain-secret" not in str(shown)
    assert shown["api_key"] == "${CVI_TEST_KEY}"
    assert shown["extra_body"]["temperature"] == 0.5
    whole = llm.model_dump(mode="json", context={"secrets": True})
    assert type(llm).model_validate(whole) == llm


def test_a_role_may_ask_for_a_stronger_model() -> None:
    careful = persona(least_profile="cpu")
    assert [careful.may_run_on(profile) for profile in PROFILES] == [False, True, True, True]
    assert persona().may_run_on("embedded")
    own = persona(least_profile="cpu", layers={"llm": {"base_url": "http://127.0.0.1:1/v1"}})
    assert own.may_run_on("embedded")


def test_yaml_words_stay_texts() -> None:
    root, faults = parse("a: off\nb: no\nc: 12:30\nd: 2026-01-02\ne: 010\nf: true\ng: ~\nh: 1e3\ni: 0x10\n")
    assert faults == []
    assert root.value == {
        "a": "off",
        "b": "no",
        "c": "12:30",
        "d": "2026-01-02",
        "e": 10,
        "f": True,
        "g": None,
        "h": 1000.0,
        "i": "0x10",
    }


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
LEVEL = st.sampled_from(["low", "medium", "high"])
NAME = st.from_regex(r"[A-Za-z0-9_]{1,12}", fullmatch=True)
PERSONAS = st.fixed_dictionaries(
    {
        "persona_name": TEXT.filter(str.strip),
        "system_prompt": TEXT.filter(str.strip),
        "language": st.sampled_from(sorted(CODES)),
        "layers": st.fixed_dictionaries(
            {
                "conversational_flow": st.fixed_dictionaries({}, optional={"turn_taking_patience": LEVEL}),
                "llm": st.fixed_dictionaries(
                    {}, optional={"model": TEXT, "api_key": TEXT, "headers": st.dictionaries(NAME, TEXT, max_size=2)}
                ),
                "tts": st.fixed_dictionaries(
                    {"voice_settings": st.fixed_dictionaries({"speed": st.floats(0.5, 2.0)})}
                ),
            }
        ),
        "guardrails": st.lists(
            st.fixed_dictionaries({"guardrail_name": NAME, "guardrail_prompt": TEXT}),
            max_size=3,
            unique_by=lambda item: item["guardrail_name"],
        ),
    },
    optional={"greeting": TEXT, "context": TEXT, "default_replica_id": TEXT},
)


@settings(max_examples=60, deadline=None)
@given(PERSONAS)
def test_round_trip_through_yaml(fields: dict[str, Any]) -> None:
    first = Persona.model_validate(fields)
    dumped = first.model_dump(mode="json", context={"secrets": True})
    text = yaml.safe_dump(dumped, allow_unicode=True, default_style='"')
    root, faults = parse(text)
    assert faults == []
    assert Persona.model_validate(root.value) == first


def test_the_package_imports_without_reading_anything(tmp_path: Path) -> None:
    """`cvi --help` loads the command's module; pydantic and yaml must wait until it runs."""
    import subprocess
    import sys

    code = "import sys, cvi.cli.persona; print(sorted({'pydantic', 'yaml', 'rich.table'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ({"delivery": {"api": {"url": "https://example.com/done"}}}, True),
        ({"delivery": {"app_message": True}}, False),
        ({"delivery": {"api": {"url": "https://example.com/done"}}, "origin": "llm"}, False),
    ],
)
def test_a_tool_after_the_call_is_an_address_without_an_origin(fields: dict[str, Any], right: bool) -> None:
    tool = {"name": "save", "description": "Save it.", "trigger_type": "post_call", **fields}
    if right:
        Tool.model_validate(tool)
        return
    with pytest.raises(ValidationError, match="post_call has no origin and is delivered by api"):
        Tool.model_validate(tool)
