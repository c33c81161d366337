from __future__ import annotations

import pytest
from pydantic import ValidationError

from cvi.errors import UsageError
from cvi.models.manifest import Model, ModelFile, expand, find_model, hub_address, load_manifest
from cvi.models.profiles import NAMES


def test_the_shipped_manifest_is_whole() -> None:
    models = load_manifest()
    assert len({model.id for model in models}) == len(models)
    for model in models:
        assert model.entry == "." or model.entry in {file.path for file in model.files}
        assert model.licence and model.about
        assert model.revision != "main", "a moving revision cannot keep its hashes"
    for profile in NAMES[1:]:
        purposes = sorted(model.purpose for model in expand([profile]) if profile not in model.optional)
        assert purposes == ["llm", "stt", "tts"]


def test_files_that_nobody_here_has_fetched_are_pinned_by_hash_and_say_so() -> None:
    for model in load_manifest():
        if model.untried:
            assert not model.in_wheels and all(file.sha256 for file in model.files)
    laptop = [model for model in expand(["laptop"]) if "laptop" not in model.optional]
    assert all(model.untried and len(model.revision) == 40 for model in laptop)


def test_urls_hold_repository_revision_and_folder() -> None:
    voice = find_model("piper-en-us-lessac-medium")
    assert voice is not None
    assert voice.url(voice.files[0], "https://mirror.example/hub") == (
        "https://mirror.example/hub/rhasspy/piper-voices/resolve/v1.0.0/"
        "en/en_US/lessac/medium/en_US-lessac-medium.onnx"
    )


def test_expand_takes_ids_and_profiles_once_each() -> None:
    ids = [model.id for model in expand(["cpu", "faster-whisper-small", "smart-turn-v3"])]
    assert ids == [
        "whisper-base",
        "faster-whisper-small",
        "qwen2.5-coder-1.5b-instruct",
        "piper-en-us-joe-medium",
        "piper-en-us-ljspeech-medium",
        "smart-turn-v3",
    ]


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'faster-whisper-small'"):
        expand(["faster-wisper-small"])
    with pytest.raises(UsageError, match="cvi models list"):
        expand(["zzz"])


@pytest.mark.parametrize("path", ["../escape", "/etc/passwd", "a/../../b", "", "a\\b"])
def test_a_file_cannot_leave_its_folder(path: str) -> None:
    with pytest.raises(ValidationError):
        ModelFile(path=path, size=1, sha256=None)


@pytest.mark.parametrize("model_id", ["../x", ".hidden", "a/b", "Upper", ""])
def test_an_id_is_a_plain_name(model_id: str) -> None:
    good = load_manifest()[0].model_dump()
    with pytest.raises(ValidationError):
        Model.model_validate({**good, "id": model_id})


def test_the_hub_is_the_public_one_or_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert hub_address() == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example:8080/hf/")
    assert hub_address() == "http://mirror.example:8080/hf"


@pytest.mark.parametrize("address", ["ftp://x", "mirror.example", "http://", "http://[broken"])
def test_an_endpoint_that_is_no_address_is_misuse(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(UsageError, match="HF_ENDPOINT"):
        hub_address()
