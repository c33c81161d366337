"""A stock face speaks with the voice that its card names, where that model is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvi import engines
from cvi.models.profiles import Resolution, build_profile
from cvi.persona.schema import Persona

LJ = "piper-en-us-ljspeech-medium"


def _resolved(replica: str, language: str = "english", **tts: object) -> engines.ResolvedConfig:
    persona = Persona.model_validate(
        {"persona_name": "P", "system_prompt": "Talk.", "language": language, "layers": {"tts": tts}}
    )
    return engines.resolve(persona, replica=replica, profile_of=lambda _: Resolution(build_profile("cpu")))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_installed", lambda model_id: object())
    monkeypatch.setattr(engines, "model_path", lambda model_id: Path("/models") / model_id)


def test_a_face_whose_voice_is_installed_speaks_with_it(installed: None) -> None:
    config = _resolved("june")
    assert config.tts.model == f"/models/{LJ}"
    assert engines.tts_settings(config).model == f"/models/{LJ}"
    assert config.note == ""


def test_without_it_the_profile_speaks_and_the_note_says_how_to_get_it() -> None:
    config = _resolved("june")
    assert config.tts.model is not None and "joe" in config.tts.model
    assert engines.tts_settings(config).voice is None
    assert f"cvi models pull {LJ}" in config.note


def test_a_persona_that_names_a_voice_keeps_it(installed: None) -> None:
    assert _resolved("june", tts_engine="piper", voice="mine").tts.voice == "mine"


def test_other_languages_keep_the_profiles_voice(installed: None) -> None:
    assert "joe" in str(_resolved("june", language="german").tts.model)
