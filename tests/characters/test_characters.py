"""The stock people: their parameter files, people invented from seeds, and bakes that go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import yaml

from cvi.errors import MissingError, UsageError
from cvi.face.base import Controls, FaceSettings
from cvi.face.replica import find_replica, list_replicas, load_replica_card
from cvi.face.sculpted import build
from cvi.face.sculpted.atlas import Atlas

pytest.importorskip("numba", reason="baking needs the train extra")

from cvi.characters import baker
from cvi.characters.backdrop import KINDS, RoomOptions, make_room
from cvi.characters.character import load_character, make_params
from cvi.characters.generated import generate_parameters

SHIPPED = Path(__file__).parents[2] / "replicas"
SCULPTED = sorted(path.parent for path in SHIPPED.glob("*/character.yaml"))


@pytest.mark.parametrize("folder", SCULPTED, ids=lambda folder: folder.name)
def test_shipped_parameter_files_are_valid(folder: Path) -> None:
    character = load_character(folder / "character.yaml")
    assert make_params(character.shape)["smile"] > 0
    assert character.room.kind in KINDS


def test_shipped_atlases_are_small() -> None:
    sizes = [path.stat().st_size for path in SHIPPED.glob("*/atlas.npz")]
    assert sizes and max(sizes) <= 8e6 and sum(sizes) <= 60e6
    for folder in SHIPPED.glob("*/replica.yaml"):
        load_replica_card(folder.parent)


def test_shipped_characters_differ() -> None:
    shapes = [make_params(load_character(folder / "character.yaml").shape) for folder in SCULPTED]
    names = ("face_width", "face_length", "jaw_width", "nose_width", "nose_length", "eye_size", "lip_upper")
    bones = np.array([[shape[name] for name in names] for shape in shapes])
    apart = np.abs(bones[:, None] - bones[None]).sum(-1) + 9 * np.eye(len(bones))
    assert apart.min() > 0.1


def test_the_same_seed_gives_the_same_parameters() -> None:
    assert generate_parameters(5) == generate_parameters(5)
    assert len({yaml.safe_dump(generate_parameters(seed)) for seed in range(40)}) == 40


@pytest.mark.parametrize("seed", range(40))
def test_generated_parameters_can_be_baked(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "character.yaml"
    path.write_text(yaml.safe_dump(generate_parameters(seed)))
    character = load_character(path)
    p = make_params(character.shape)
    assert 0.85 <= p["face_width"] <= 1.1 and 0.3 <= p["lid_open"] <= 0.45
    assert np.all(p["skin"] > 0) and np.all(p["skin"] < 0.75) and p["skin"][0] > p["skin"][2]


def test_a_varied_character_resembles_the_one_named() -> None:
    june = yaml.safe_load((find_replica("june") / "character.yaml").read_text())
    kin, stranger = generate_parameters(1, "june"), generate_parameters(1)
    assert kin != generate_parameters(2, "june")
    assert kin["look"] == june["look"] != stranger["look"]
    for name in ("jaw_width", "nose_width", "face_width"):
        assert kin["shape"][name] == pytest.approx(june["shape"].get(name, 1.0), rel=0.2)


def test_varying_an_unknown_replica_is_refused() -> None:
    with pytest.raises(MissingError, match="There is no replica 'nobody'"):
        generate_parameters(1, "nobody")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_rooms_are_pictures(kind: str) -> None:
    room = make_room(RoomOptions(kind=kind))
    assert room.shape == (720, 1280, 3) and np.isfinite(room).all() and room.min() >= 0
    assert room.std() > 0.01


def test_an_unknown_room_is_refused() -> None:
    with pytest.raises(UsageError, match="There is no room 'cave'"):
        make_room(RoomOptions(kind="cave"))


class _Steps:
    """Stands in for the baker: three steps, which may be interrupted."""

    taken: ClassVar[list[str]] = []
    stop_at = ""

    def __init__(self, *_: Any) -> None:
        self.remembered = False

    def steps(self) -> list[tuple[str, Any]]:
        return [(name, lambda name=name: self._do(name)) for name in ("head", "mouth", "eyes")]

    def _do(self, name: str) -> dict[str, Any]:
        if name == self.stop_at:
            raise KeyboardInterrupt
        assert name == "head" or self.remembered or "head" in self.taken
        self.taken.append(name)
        return {name: np.arange(3), "_inner": np.zeros(1)} if name == "head" else {name: np.ones(2)}

    def remember(self, head: dict[str, Any]) -> None:
        self.remembered = "_inner" in head


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(baker, "Baker", _Steps)
    _Steps.taken, _Steps.stop_at = [], ""
    (tmp_path / "character.yaml").write_text("shape: {smile: 0.2}\n")
    return tmp_path


def test_an_interrupted_bake_resumes(folder: Path) -> None:
    _Steps.stop_at = "eyes"
    with pytest.raises(KeyboardInterrupt):
        baker.bake(folder)
    assert not (folder / "atlas.npz").exists()
    _Steps.stop_at = ""
    assert baker.bake(folder) == folder / "atlas.npz"
    assert _Steps.taken == ["head", "mouth", "eyes"]
    assert not (folder / ".bake").exists()
    with np.load(folder / "atlas.npz") as atlas:
        assert sorted(atlas.files) == ["eyes", "head", "made_of", "mouth"]


def test_a_bake_renews_the_card(folder: Path) -> None:
    card = {"name": "Zoe", "kind": "stock", "renderer": "sculpted", "source": "modelled", "licence": "Apache-2.0"}
    (folder / "replica.yaml").write_text(yaml.safe_dump({**card, "files": {"atlas.npz": "0" * 64}}))
    baker.bake(folder)
    renewed = load_replica_card(folder)
    assert renewed.made_of == baker.made_of({"shape": {"smile": 0.2}}, baker.BakeOptions())
    with np.load(folder / "atlas.npz") as atlas:
        assert str(atlas["made_of"]) == renewed.made_of


def test_a_bake_stops_at_its_time_limit(folder: Path) -> None:
    assert baker.bake(folder, seconds=-1) is None
    assert _Steps.taken == [] and not (folder / "atlas.npz").exists()


def test_changed_parameters_and_damaged_steps_are_baked_again(folder: Path) -> None:
    _Steps.stop_at = "eyes"
    with pytest.raises(KeyboardInterrupt):
        baker.bake(folder)
    next((folder / ".bake").glob("*/01.npz")).write_bytes(b"half a step")
    _Steps.stop_at = ""
    baker.bake(folder)
    assert _Steps.taken == ["head", "mouth", "mouth", "eyes"]
    _Steps.stop_at = "mouth"
    with pytest.raises(KeyboardInterrupt):
        baker.bake(folder)
    (folder / "character.yaml").write_text("shape: {smile: 0.3}\n")
    _Steps.stop_at = ""
    baker.bake(folder)
    assert _Steps.taken[4:] == ["head", "head", "mouth", "eyes"]


def test_raised_brows_leave_glasses_still() -> None:
    worn = [
        path
        for path in list_replicas().values()
        if (path / "atlas.npz").exists() and Atlas(path / "atlas.npz").has("rigid")
    ]
    if not worn:
        pytest.skip("no replica with glasses is baked")
    atlas = Atlas(worn[0] / "atlas.npz")
    held = np.kron(atlas.image("rigid"), np.ones((4, 4))) > 250
    assert held.sum() > 2000
    face = build(FaceSettings(worn[0]))
    rest, raised = (face.render(Controls(brow_left=v, brow_right=v))[:720].astype(int) for v in (0.0, 1.0))
    face.close()
    eyes = np.zeros_like(held)
    for side in (0, 1):
        box = atlas.box(f"eye_rect_{side}")
        eyes[box.y0 : box.y1, box.x0 : box.x1] = True  # lids follow the brows a little, behind the rims
    moved = np.abs(raised - rest)
    assert moved[held & ~eyes].max() <= 3 and moved.max() > 25
