"""Pocket TTS on a real, tiny model of its own architecture with random weights, and the voices cloned for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pocket_tts", reason="Pocket TTS is not installed: pip install 'cvi-local[clone]'")
from tiny_pocket import make_model

from cvi.audio.block import PLAYED_HZ
from cvi.engine_registry import build as build_engine
from cvi.errors import EngineError, MissingError, UsageError
from cvi.testing.contracts.tts import check_cloner
from cvi.tts.base import TtsSettings
from cvi.tts.cloning import LEAST_SPEECH_S, LONGEST_S, reference
from cvi.tts.pocket import CLONING, MODEL, build


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("pocket") / "model")


@pytest.fixture
def voice(model: Path, tmp_path: Path) -> Iterator[Path]:
    cloner = CLONING.open(TtsSettings(model=str(model)))
    path = tmp_path / "voice.safetensors"
    path.write_bytes(cloner.clone(speech_of(6.0)))
    yield path
    cloner.close()


def speech_of(seconds: float, pitch_hz: float = 140.0) -> np.ndarray:
    t = np.arange(round(seconds * PLAYED_HZ)) / PLAYED_HZ
    return (9000 * np.sin(2 * np.pi * pitch_hz * t) * (0.7 + 0.3 * np.sin(9 * t))).astype(np.int16)


async def test_it_clones_and_speaks_as_the_protocols_say(model: Path, tmp_path: Path) -> None:
    cloner = CLONING.open(TtsSettings(model=str(model)))
    await check_cloner(cloner, lambda path: build(TtsSettings(voice=str(path), model=str(model))), tmp_path)
    cloner.close()


def test_it_is_found_by_name(model: Path, voice: Path) -> None:
    engine = build_engine("tts", "pocket", TtsSettings(voice=str(voice), model=str(model)))
    assert engine.name == "pocket"

    async def spoken() -> int:
        return sum([len(piece.pcm) async for piece in engine.speak("Hello there.")])

    assert asyncio.run(spoken()) > 0.2 * PLAYED_HZ
    engine.close()


def test_the_configuration_downloads_nothing(model: Path, voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pocket_tts.utils.utils as package

    def refuse(*given: object, **more: object) -> None:
        raise AssertionError(f"fetched: {given}")

    monkeypatch.setattr(package, "hf_hub_download", refuse)
    monkeypatch.setattr(package.requests, "get", refuse)
    engine = build(TtsSettings(voice=str(voice), model=str(model)))
    assert engine.name == "pocket"
    engine.close()


def test_a_voice_of_another_model_is_refused(voice: Path, tmp_path: Path) -> None:
    other = make_model(tmp_path / "other", seed=1)
    with pytest.raises(UsageError, match="another model"):
        build(TtsSettings(voice=str(voice), model=str(other)))


def test_missing_packages_and_files_are_errors(model: Path, voice: Path, tmp_path: Path, cvi_home: Path) -> None:
    with pytest.raises(MissingError, match="cloned for it") as caught:
        build(TtsSettings(model=str(model)))
    assert "cvi replica voice" in caught.value.remedy
    with pytest.raises(MissingError, match="no voice at"):
        build(TtsSettings(voice="nowhere.safetensors", model=str(model)))
    assert not CLONING.ready()
    with pytest.raises(MissingError, match="no Pocket TTS model") as caught:
        build(TtsSettings(voice=str(voice)))
    assert MODEL in caught.value.remedy
    (tmp_path / "no.safetensors").write_bytes(b"not a voice")
    with pytest.raises(EngineError, match="cannot be read"):
        build(TtsSettings(voice=str(tmp_path / "no.safetensors"), model=str(model)))


def test_damaged_weights_are_an_error(model: Path, voice: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    for name in ("tokenizer.model", "config.yaml"):
        (bad / name).write_bytes((model / name).read_bytes())
    (bad / "model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(EngineError, match="cannot be read"):
        build(TtsSettings(voice=str(voice), model=str(bad)))
    (bad / "config.yaml").write_text("flow_lm: 3")
    with pytest.raises(EngineError, match="describes no Pocket TTS model"):
        build(TtsSettings(voice=str(voice), model=str(bad)))


def test_the_released_configuration_fits_the_manifest(model: Path, tmp_path: Path) -> None:
    """A folder as `cvi models pull` leaves it has no config.yaml: the package's own is taken, with local files."""
    from cvi.models.manifest import find_model
    from cvi.tts.pocket import _config

    known = find_model(MODEL)
    assert known is not None and known.engine == "pocket" and known.entry == "."
    for file in known.files:
        (tmp_path / file.path).write_bytes(b"")
    config = _config(tmp_path)
    assert "hf://" not in json.dumps(config)
    table = config["flow_lm"]["lookup_table"]
    assert (table["tokenizer"], table["n_bins"]) == ("sentencepiece", 4000)
    assert config["weights_path"] == str(tmp_path / "model.safetensors")


def test_the_reference_has_the_most_speech() -> None:
    quiet = np.zeros(round(8 * PLAYED_HZ), np.int16)
    sound = np.concatenate([quiet, speech_of(25.0), quiet])
    chosen = reference(sound)
    assert len(chosen) == round(LONGEST_S * PLAYED_HZ) and np.abs(chosen).min() >= 0
    assert np.mean(np.abs(chosen[::50].astype(int)) > 200) > 0.9
    short = reference(np.concatenate([quiet, speech_of(6.0)]))
    assert len(short) == 14 * PLAYED_HZ
    for too_little in (speech_of(LEAST_SPEECH_S - 1), quiet, np.zeros(0, np.int16)):
        with pytest.raises(UsageError, match="s of speech are heard"):
            reference(too_little)
