from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from model_hub import CONTENTS, Hub

from cvi.errors import CviError, MissingError, UsageError
from cvi.models import manifest, profiles
from cvi.models.hardware import GIB, Gpu, Hardware
from cvi.models.manifest import Model
from cvi.models.profiles import NAMES, Machine, Profile, best_installed, build_profile, resolve_profile
from cvi.models.pull import pull

LAYERS = {"vad", "stt", "llm", "tts", "face"}

pytestmark = pytest.mark.usefixtures("cvi_home")


def machine(cores: int = 2, ram_gib: int = 4, gpu_gib: int = 0, offloads: bool = True) -> Machine:
    gpu = Gpu("A GPU", gpu_gib * GIB) if gpu_gib else None
    return Machine(lambda: Hardware(cores, ram_gib * GIB, gpu), lambda: offloads)


def answering(answer: bool, asked: list[tuple[str, int]]) -> Callable[[Profile, int], bool]:
    def ask(profile: Profile, size: int) -> bool:
        asked.append((profile.name, size))
        return answer

    return ask


def never(*_: object) -> bool:
    raise AssertionError("nobody was to be asked")


def test_embedded_needs_no_model() -> None:
    found = resolve_profile("embedded", ask=never)
    assert found.profile.name == "embedded" and found.note == ""
    assert set(found.profile.choices) == LAYERS
    assert all(choice.model is None for choice in found.profile.choices.values())
    assert found.profile.choices["tts"].engine in ("flite", "espeak")


def test_the_voice_of_embedded_follows_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "flite_loads", lambda: False)
    assert build_profile("embedded").choices["tts"].engine == "espeak"
    monkeypatch.setattr(profiles, "flite_loads", lambda: True)
    assert build_profile("embedded").choices["tts"].engine == "flite"


def test_the_shipped_profiles_choose_an_engine_for_every_layer() -> None:
    for name in NAMES[1:]:
        profile = build_profile(name)
        assert set(profile.choices) == LAYERS
        for layer in ("stt", "llm", "tts"):
            assert Path(profile.choices[layer].model or "").is_absolute()


def test_auto_falls_back_with_a_note_where_nobody_can_be_asked(small_manifest: tuple[Model, ...]) -> None:
    found = resolve_profile(machine=machine())
    assert found.profile.name == "embedded"
    assert "cvi models pull cpu" in found.note and "\n" not in found.note


def test_auto_takes_what_is_installed(small_manifest: tuple[Model, ...], cvi_home: Path) -> None:
    pull(small_manifest)
    found = resolve_profile(ask=never, machine=machine())
    assert found.profile.name == "cpu" and found.note == ""
    choices = found.profile.choices
    assert choices["stt"].model == str(cvi_home / "models" / "tiny-ear")
    assert choices["llm"].model == str(cvi_home / "models" / "tiny-mind" / "mind.gguf")
    assert Path(choices["tts"].model or "").is_file()


def test_a_turn_model_is_used_where_it_is_and_never_missed(
    hub: Hub, small_manifest: tuple[Model, ...], cvi_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = small_manifest[2]
    extra = voice.model_copy(
        update={"id": "tiny-turns", "purpose": "turns", "engine": "smart-turn", "optional": ("cpu",)}
    )
    hub.add(extra, CONTENTS["tiny-voice"])
    monkeypatch.setattr(manifest, "load_manifest", lambda path=None: (*small_manifest, extra))
    pull(small_manifest)
    without = resolve_profile("cpu").profile
    assert set(without.choices) == LAYERS and "tiny-turns" in without.models
    pull((extra,))
    choice = resolve_profile("cpu").profile.choices["turns"]
    assert choice.engine == "smart-turn" and choice.model == str(cvi_home / "models" / "tiny-turns" / "voice.onnx")


@pytest.mark.parametrize("weak", [machine(cores=1), machine(ram_gib=2)])
def test_auto_offers_nothing_to_a_weak_machine(small_manifest: tuple[Model, ...], weak: Machine) -> None:
    pull(small_manifest)
    found = resolve_profile(ask=never, machine=weak)
    assert found.profile.name == "embedded" and found.note == ""


def test_a_person_is_offered_the_download_and_gets_it(hub: Hub, small_manifest: tuple[Model, ...]) -> None:
    asked: list[tuple[str, int]] = []
    found = resolve_profile(ask=answering(True, asked), machine=machine())
    assert asked == [("cpu", sum(model.size for model in small_manifest))]
    assert found.profile.name == "cpu" and found.note == ""
    assert hub.sent_bytes == asked[0][1]


def test_a_person_who_declines_is_asked_once(hub: Hub, small_manifest: tuple[Model, ...]) -> None:
    asked: list[tuple[str, int]] = []
    for _ in range(2):
        found = resolve_profile(ask=answering(False, asked), machine=machine())
        assert found.profile.name == "embedded" and "cvi models pull cpu" in found.note
    assert len(asked) == 1
    assert hub.requests == []


def test_a_download_that_fails_falls_back(small_manifest: tuple[Model, ...]) -> None:
    def fail(_: tuple[Model, ...]) -> None:
        raise CviError("The network is down.", "Mend it.")

    found = resolve_profile(ask=lambda *_: True, fetch=fail, machine=machine())
    assert found.profile.name == "embedded"
    assert "The network is down." in found.note


def names_asked(machine: Machine) -> list[str]:
    asked: list[tuple[str, int]] = []
    resolve_profile(ask=answering(False, asked), machine=machine)
    return [name for name, _ in asked]


def test_two_cores_and_4_gib_are_offered_the_cpu_profile_alone() -> None:
    assert names_asked(machine(cores=2, ram_gib=4)) == ["cpu"]


@pytest.mark.parametrize("smaller", [machine(cores=3, ram_gib=16), machine(cores=8, ram_gib=11)])
def test_the_laptop_profile_is_offered_from_4_cores_and_12_gib(smaller: Machine) -> None:
    assert names_asked(smaller) == ["cpu"]


def test_who_declines_the_laptop_profile_is_offered_the_smaller_one() -> None:
    assert names_asked(machine(cores=4, ram_gib=12)) == ["laptop", "cpu"]
    assert names_asked(machine(cores=4, ram_gib=12)) == [], "each is asked once"


def test_a_laptop_profile_that_cannot_be_fetched_leaves_the_cpu_profile() -> None:
    def fetch(models: tuple[Model, ...]) -> None:
        if any("laptop" in model.profiles and "cpu" not in model.profiles for model in models):
            raise CviError("The hub cannot be reached.", "Check the network.")

    found = resolve_profile(ask=lambda *_: True, fetch=fetch, machine=machine(cores=4, ram_gib=12))
    assert found.profile.name == "cpu"
    assert found.note.startswith("Using the profile 'cpu'. The hub cannot be reached.")


def test_the_best_installed_profile(small_manifest: tuple[Model, ...]) -> None:
    assert best_installed(machine()) == "embedded"
    pull(small_manifest)
    assert best_installed(machine()) == "cpu"
    assert best_installed(machine(cores=1)) == "embedded"


def test_a_gpu_asks_for_the_workstation_profile() -> None:
    asked: list[tuple[str, int]] = []
    resolve_profile(ask=answering(False, asked), machine=machine(gpu_gib=24))
    assert asked[0][0] == "workstation"


@pytest.mark.parametrize("plain", [machine(gpu_gib=4), machine(gpu_gib=24, offloads=False)])
def test_a_gpu_that_cannot_be_used_does_not_count(plain: Machine) -> None:
    asked: list[tuple[str, int]] = []
    resolve_profile(ask=answering(False, asked), machine=plain)
    assert asked[0][0] == "cpu"


def test_a_named_profile_without_its_models_says_how_to_get_them(small_manifest: tuple[Model, ...]) -> None:
    pull(small_manifest[:2])
    with pytest.raises(MissingError, match="tiny-voice") as failure:
        resolve_profile("cpu")
    assert failure.value.remedy == "Get them with: cvi models pull cpu"
    asked: list[tuple[str, int]] = []
    with pytest.raises(MissingError, match="tiny-voice"):
        resolve_profile("cpu", ask=answering(False, asked))
    assert asked == [("cpu", small_manifest[2].size)]


def test_a_named_profile_is_fetched_on_yes(small_manifest: tuple[Model, ...]) -> None:
    found = resolve_profile("cpu", ask=lambda *_: True)
    assert found.profile.name == "cpu"
    resolve_profile("cpu", ask=never)


def test_an_unknown_profile_is_misuse() -> None:
    with pytest.raises(UsageError, match="Did you mean 'embedded'"):
        resolve_profile("embeded")
