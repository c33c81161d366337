"""A replica's card says how high its voice is, by engine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from cvi.errors import UsageError
from cvi.face.replica import list_replicas, load_replica_card


def test_stock_faces_have_voices_of_their_own_and_pitches_in_range() -> None:
    cards = [load_replica_card(folder) for folder in list_replicas().values() if "replicas" in folder.parts]
    stock = [card for card in cards if card.kind == "stock"]
    pairs = {(card.voices.get("flite"), card.pitch.get("flite", 1.0)) for card in stock}
    assert len(pairs) >= 9
    for card in stock:
        woman = "woman" in card.description
        assert (card.voices["flite"] == "slt") == woman, card.name
        assert all(0.8 <= factor <= 1.2 for factor in card.pitch.values())


@pytest.mark.parametrize("value", ["high", {"flite": "high"}, {"flite": 9}])
def test_a_pitch_that_makes_no_sense_is_refused(tmp_path: Path, value: object) -> None:
    folder = tmp_path / "june"
    shutil.copytree(list_replicas()["june"], folder)
    card = yaml.safe_load((folder / "replica.yaml").read_text("utf-8"))
    (folder / "replica.yaml").write_text(yaml.safe_dump({**card, "pitch": value}), "utf-8")
    with pytest.raises(UsageError, match="'pitch'"):
        load_replica_card(folder)
