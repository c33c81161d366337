"""Each mistake is named with its place and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvi.errors import UsageError
from cvi.persona.findings import Finding
from cvi.persona.loading import check_persona, load_persona

BROKEN = Path(__file__).parent / "broken"
GOOD = "persona_name: Ada\nsystem_prompt: You are Ada.\n"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "p.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def check_text(folder: Path, text: str | bytes) -> list[Finding]:
    return check_persona(written(folder, text))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "misspelt",
            [
                (3, 1, "'system_promt' is not a key of a persona", "'system_prompt'"),
                (4, 1, "'turn_taking_patience' is not a key", "under 'layers.conversational_flow'"),
                (7, 5, "'modle' is not a key of 'layers.llm'", "'model'"),
            ],
        ),
        ("syntax", [(2, 16, "a second colon", "quotes")]),
        (
            "values",
            [
                (3, 11, "'germn' is no language", "'german'"),
                (6, 27, "'hihg' is not a value", "Did you mean 'high'? Allowed: low, medium, high."),
                (9, 15, "base_url contains the route", "/chat/completions"),
                (11, 29, "a number is not a value of", "0.5 to 2.0"),
            ],
        ),
        (
            "repeated",
            [
                (6, 5, "'model' stands here for the second time (first in line 5)", "Remove one"),
                (7, 1, "'persona_name' stands here for the second time (first in line 1)", "Remove one"),
            ],
        ),
        ("rules", [(1, 1, "'system_prompt' is missing", "pipeline_mode: echo")]),
    ],
)
def test_broken_personas(name: str, expected: list[tuple[int, int, str, str]]) -> None:
    findings = [finding for finding in check_persona(BROKEN / f"{name}.yaml") if finding.severity == "error"]
    assert [(finding.line, finding.column) for finding in findings] == [place[:2] for place in expected]
    for finding, (_, _, message, remedy) in zip(findings, expected, strict=True):
        assert message in finding.message
        assert remedy in finding.remedy


def test_the_second_error_shows_once_the_first_is_corrected(tmp_path: Path) -> None:
    text = (BROKEN / "rules.yaml").read_text() + "system_prompt: You are Ada.\n"
    (finding,) = check_text(tmp_path, text)
    assert (finding.line, finding.column) == (7, 30)
    assert "no objective named 'secnd'" in finding.message
    assert "first" in finding.remedy


def test_loading_a_broken_persona_lists_every_error() -> None:
    with pytest.raises(UsageError) as caught:
        load_persona(BROKEN / "misspelt.yaml")
    assert [f"misspelt.yaml:{line}:" in str(caught.value) for line in (3, 4, 7)] == [True] * 3
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "empty"),
        ("# only a comment\n", 1, "empty"),
        ("- a\n- b\n", 1, "a list"),
        ("hello\n", 1, "a text"),
        (b"persona_name: Ada\nsystem_prompt: caf\xe9\n", 2, "UTF-8"),
        ("a: 1\n\tb: 2\n", 2, "not YAML"),
        ('persona_name: "Ada\n', 1, "never closed"),
        ("persona_name: Ada\n---\npersona_name: Bob\n", 2, "second document"),
        ("persona_name: !!python/object/apply:os.getcwd []\n", 1, "tag"),
        ("persona_name: *nobody\n", 1, "alias"),
        ("persona_name: &a [*a]\n", 1, "contains itself"),
        ("base: &b {x: 1}\nlayers:\n  <<: *b\n", 3, "merge key"),
        ("? [a, b]\n: 1\n", 1, "not a word"),
        ("persona_name: a\x07b\n", 1, "character"),
        ("a: " + "[" * 3000, 1, "deep"),
        (b"x: " + b"a" * (1 << 20), 1, "1 MiB"),
    ],
)
def test_files_that_are_no_personas(tmp_path: Path, text: str | bytes, line: int, message: str) -> None:
    findings = check_text(tmp_path, text)
    assert findings[0].line == line
    assert message in findings[0].message
    assert findings[0].remedy


def test_aliases_cannot_exhaust_memory(tmp_path: Path) -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for last, name in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{name}: &{name} [{', '.join([f'*{last}'] * 10)}]\n"
    (finding,) = check_text(tmp_path, bomb)
    assert "values once aliases are expanded" in finding.message
    (finding,) = check_text(tmp_path, "a: &a x\nb: [" + "*a, " * 300 + "]\n")
    assert "aliases" in finding.message


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    assert "no such file" in check_persona(tmp_path / "none.yaml")[0].message
    assert "folder" in check_persona(tmp_path)[0].message


@pytest.mark.parametrize(
    ("lines", "remedy"),
    [
        ("objectives_id: o123", "objectives"),
        ("custom_greeting: Hello", "greeting"),
        ("layers: {vqa: {enable_vision: true}}", ""),
        ("layers: {stt: {participant_pause_sensitivity: high}}", "turn_taking_patience"),
    ],
)
def test_keys_of_the_contract_warn_and_load(tmp_path: Path, lines: str, remedy: str) -> None:
    path = written(tmp_path, GOOD + lines + "\n")
    (finding,) = check_persona(path)
    assert (finding.severity, finding.line) == ("warning", 3)
    assert "no effect" in finding.message
    assert remedy in finding.remedy
    assert load_persona(path).persona_name == "Ada"


def test_a_value_that_asks_for_nothing_does_not_warn(tmp_path: Path) -> None:
    quiet = "memory: {remember: false}\nlayers: {perception: {perception_model: off}}\n"
    assert check_text(tmp_path, GOOD + quiet) == []


def test_secrets_in_the_file_and_unset_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CVI_TEST_KEY", raising=False)
    (finding,) = check_text(tmp_path, GOOD + "layers: {llm: {api_key: sk-very-secret}}\n")
    assert finding.severity == "warning"
    assert "sk-very-secret" not in str(finding)
    referring = GOOD + "layers: {llm: {api_key: '${CVI_TEST_KEY}'}}\n"
    (finding,) = check_text(tmp_path, referring)
    assert "export CVI_TEST_KEY" in finding.remedy
    monkeypatch.setenv("CVI_TEST_KEY", "x")
    assert check_text(tmp_path, referring) == []


def test_an_error_never_repeats_a_secret(tmp_path: Path) -> None:
    findings = check_text(tmp_path, GOOD + "layers: {llm: {api_key: [sk-very-secret], base_url: sk-very-secret}}\n")
    assert findings
    assert "sk-very-secret" not in "".join(map(str, findings))


def test_an_engine_that_is_not_installed_warns(tmp_path: Path) -> None:
    (finding,) = check_text(tmp_path, GOOD + "layers:\n  tts: {engine: espaek}\n")
    assert (finding.severity, finding.line, finding.column) == ("warning", 4, 17)
    assert "espeak" in finding.remedy
