"""Pocket TTS's weights on this machine, and how they are read: nothing is fetched.

A model is a folder with `model.safetensors` (the one with voice cloning), `tokenizer.json` or
`tokenizer.model`, and, where it is not the English one of April 2026, the `config.yaml` it was trained with.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from cvi.errors import EngineError, MissingError
from cvi.paths import models_dir

MODEL = "pocket-tts-english"
WEIGHTS, CONFIG = "model.safetensors", "config.yaml"
_TOKENIZERS = {"tokenizer.json": "tokenizers", "tokenizer.model": "sentencepiece"}
_OWN_CONFIG = "english_2026-04.yaml"
_GET = f"cvi models pull {MODEL} (its licence is accepted on the hub first), or cvi models add"


@dataclass(frozen=True, slots=True)
class PocketModel:
    """`model`: the package's `TTSModel`; `sha256` of its weights, by which voices know it."""

    model: Any
    sha256: str


def find_model(given: str | None = None) -> Path:
    """The model's folder. Raises MissingError."""
    folder = Path(given).expanduser() if given else models_dir() / MODEL
    if not (folder / WEIGHTS).is_file() or _tokenizer(folder) is None:
        raise MissingError(f"There is no Pocket TTS model at {folder}.", f"Get it with: {_GET}")
    return folder


def ready() -> bool:
    """Whether package and weights are here."""
    folder = models_dir() / MODEL
    there = (folder / WEIGHTS).is_file() and _tokenizer(folder) is not None
    return there and find_spec("pocket_tts") is not None


def load_model(folder: Path) -> PocketModel:
    """Read the weights; seconds. Raises MissingError without the package, EngineError for wrong files."""
    try:
        from pocket_tts import TTSModel
    except ImportError as error:
        raise MissingError(
            f"Pocket TTS is not installed ({error}).", "Install it with: pip install 'cvi[clone]'"
        ) from error
    with tempfile.TemporaryDirectory(prefix="cvi-pocket-") as work:
        config = Path(work) / CONFIG
        config.write_text(yaml.safe_dump(_config(folder)), encoding="utf-8")
        try:
            model = TTSModel.load_model(config=config)
        except Exception as error:
            raise EngineError(
                f"The Pocket TTS model at {folder} cannot be read: {error}.",
                f"Get it again: cvi models remove {MODEL} && cvi models pull {MODEL}",
            ) from error
    with (folder / WEIGHTS).open("rb") as file:
        return PocketModel(model, hashlib.file_digest(file, "sha256").hexdigest())


def _config(folder: Path) -> dict[str, Any]:
    """The model's own description, every path of it in its folder."""
    import pocket_tts

    own = folder / CONFIG
    assert pocket_tts.__file__ is not None
    source = own if own.is_file() else Path(pocket_tts.__file__).parent / "config" / _OWN_CONFIG
    try:
        config = yaml.safe_load(source.read_text(encoding="utf-8"))
        table = config["flow_lm"]["lookup_table"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise EngineError(f"{source} describes no Pocket TTS model ({error}).", f"Get it: {_GET}") from error
    name = _tokenizer(folder)
    assert name is not None
    config["weights_path"] = str(folder / WEIGHTS)
    # Without it a voice could not be cloned, and it would be fetched.
    config.pop("weights_path_without_voice_cloning", None)
    table["tokenizer"], table["tokenizer_path"] = _TOKENIZERS[name], str(folder / name)
    return dict(config)


def _tokenizer(folder: Path) -> str | None:
    return next((name for name in _TOKENIZERS if (folder / name).is_file()), None)
