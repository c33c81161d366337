"""One reader for all YAML of users: a few lines cannot become gigabytes, wherever they stand."""

from __future__ import annotations

import re
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cvi
from cvi.characters.character import load_character
from cvi.errors import CviError, UsageError
from cvi.face.replica import load_replica_card
from cvi.paths import shared_dir
from cvi.persona.loading import load_persona
from cvi.transport.scenario import load_scenario
from cvi.yaml_document import MAX_BYTES, read_yaml

LEVELS = "".join(f"k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
BOMBS = {
    "aliases": "audio: ./a.wav\nk0: &a0 [x, x, x, x, x, x, x, x, x]\n" + LEVELS,
    "depth": "a: " + "[" * 5000 + "]" * 5000,
    "itself": "a: &a [*a]",
    "merge": "a: &a {b: 1}\nc: {<<: *a}",
    "tag": "a: !!python/object/apply:os.system ['true']",
    "size": "a: " + "x" * MAX_BYTES,
    "bytes": "a: \udcff",
}
READERS: dict[str, Callable[[Path], Any]] = {
    "scenario": load_scenario,
    "persona": load_persona,
    "character": load_character,
    "card": lambda path: load_replica_card(path.parent),
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("reader", READERS)
def test_a_bomb_is_one_line_and_little_memory(tmp_path: Path, bomb: str, reader: str) -> None:
    path = tmp_path / ("replica.yaml" if reader == "card" else "file.yaml")
    path.write_bytes(BOMBS[bomb].encode("utf-8", "surrogateescape"))
    tracemalloc.start()
    with pytest.raises(CviError) as caught:
        READERS[reader](path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(caught.value, UsageError) and "\n" not in caught.value.message and peak < 100 << 20


def test_no_file_of_a_user_is_read_by_another_reader() -> None:
    """What is left reads files that ship, or that are checked by hash."""
    package = Path(cvi.__file__).parent
    pattern = re.compile(r"yaml\.(safe_load|load|full_load|unsafe_load)\(")
    found = {
        str(path.relative_to(package)) for path in package.rglob("*.py") if pattern.search(path.read_text())
    }
    own = {
        "bench/memory.py", "bench/policy.py", "bench/tools.py", "conversation/phrases.py", "models/manifest.py", "policy/families.py", "tts/pocket.py",
        "turns/floor_prediction.py", "turns/words.py",
    }  # fmt: skip
    assert found <= own, found - own


def test_shipped_cards_read_as_before(tmp_path: Path) -> None:
    shutil.copytree(shared_dir("replicas") / "june", tmp_path / "june")
    card = load_replica_card(tmp_path / "june")
    assert card.name == "June" and card.voices["flite"] == "slt"
    with pytest.raises(UsageError, match="Cannot read"):
        read_yaml(tmp_path / "nothing.yaml")
