"""What ships is what the baker makes: keys, sizes, and the depth by which heads turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvi.errors import UsageError
from cvi.face.replica import load_replica_card

pytest.importorskip("numba", reason="baking needs the train extra")

from cvi.characters import PARAMETERS_FILE, atlas_patches
from cvi.characters.atlas_patches import turning_depth
from cvi.characters.baker import HEIGHTS, BakeOptions, made_of
from cvi.characters.camera import DISTANCE, FOCAL_PX, HEIGHT, HEIGHT_PX, WIDTH_PX, crisp, project
from cvi.characters.character import load_character, load_parameters, make_params
from cvi.characters.eyes_and_mouth import lips_at
from cvi.characters.face_hair import make_lashes
from cvi.characters.head import RIM_BEND, RIM_Y, RIM_Z, head_distance
from cvi.characters.kernel import SKIN
from cvi.characters.scene import CELL, COARSE, LOW, resampled, sample_scene
from cvi.characters.subject import MOUTH_BOX

SHIPPED = sorted(
    path.parent for path in (Path(__file__).parents[2] / "replicas").glob("*/character.yaml")
)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_shipped_atlas_is_what_its_parameters_bake(folder: Path) -> None:
    """`python -m cvi.characters NAME`, with no option, makes this very atlas: its hash stands beside what it is of."""
    card = load_replica_card(folder)
    assert "atlas.npz" in card.files
    assert card.made_of == made_of(load_parameters(folder / PARAMETERS_FILE), BakeOptions())


def test_the_record_of_a_bake_changes_with_what_changes_the_picture() -> None:
    records = {made_of({"shape": {"smile": smile}}, BakeOptions()) for smile in (0.1, 0.2)}
    records |= {made_of({"shape": {"smile": 0.1}}, options) for options in (BakeOptions(height=1080), BakeOptions(quality=90))}
    assert len(records) == 4


def test_comments_and_order_do_not_change_the_record(tmp_path: Path) -> None:
    texts = ("# one\nshape: {smile: 0.2, age: 0.1}\n", "shape:\n  age: 0.1  # another\n  smile: 0.2\n")
    records = set()
    for text in texts:
        (tmp_path / PARAMETERS_FILE).write_text(text)
        records.add(made_of(load_parameters(tmp_path / PARAMETERS_FILE), BakeOptions()))
    assert len(records) == 1


def test_an_impossible_height_is_refused() -> None:
    with pytest.raises(UsageError, match="1000 pixels"):
        BakeOptions(height=1000)


@pytest.mark.parametrize("height", HEIGHTS)
def test_patches_have_whole_even_sides_at_every_height(height: int) -> None:
    """The live renderer cuts patches to even pixels: an odd one would be shifted by half of one."""
    scale = height / HEIGHT_PX
    for rect in (atlas_patches.HEAD, atlas_patches.MOUTH, *atlas_patches.EYES):
        sides = np.array([rect.x0, rect.y0, rect.x1, rect.y1]) * scale
        assert np.all(sides % 2 == 0)


def test_eyeball_directions_agree_at_every_scale() -> None:
    p = make_params({})
    small, large = (atlas_patches.eyeball_directions(p, atlas_patches.EYES[1], 1, scale) for scale in (1.0, 2.0))
    assert large.shape == (2 * small.shape[0], 2 * small.shape[1], 3)
    middle = large.reshape(small.shape[0], 2, small.shape[1], 2, 3).mean((1, 3))
    seen = (small[..., 2] > 0.3) & (np.abs(middle[..., 2] - small[..., 2]) < 0.1)
    assert seen.sum() > 500 and np.abs(middle - small)[seen].max() < 0.02


def test_sharpening_leaves_even_surfaces_and_keeps_edges_in_place() -> None:
    even = np.full((40, 40, 3), 0.4, np.float32)
    assert np.allclose(crisp(even), even, atol=1e-6)
    edge = even.copy()
    edge[:, 20:] = 0.6
    drawn = crisp(edge)
    assert np.array_equal(drawn[5, :, 0] > 0.5, edge[5, :, 0] > 0.5)
    assert drawn[5, 19, 0] < 0.4 and drawn[5, 20, 0] > 0.6 and drawn.max() < 0.65


def bare_head() -> np.ndarray:
    """An egg for a head: distance (720, 1280), FAR beside it."""
    row, column = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX] + 0.5
    x, y = (column - WIDTH_PX / 2) * 6.6 / FOCAL_PX, HEIGHT - (row - HEIGHT_PX / 2) * 6.6 / FOCAL_PX
    inside = 1 - (x / 0.7) ** 2 - ((y - 0.05) / 1.05) ** 2
    return np.where(inside > 0, DISTANCE - 0.75 * np.sqrt(np.maximum(inside, 0)), 1e9)


def test_a_turn_moves_glasses_rigidly() -> None:
    """All round a rim the depth is that of the rims' plane, so that a turn shifts them evenly."""
    worn = [load_character(f / "character.yaml").shape for f in SHIPPED]
    worn = [shape for shape in worn if shape.get("glasses")]
    assert worn, "somebody wears glasses"
    for shape in worn:
        p = make_params(shape)
        depth = turning_depth(bare_head(), p)
        bare = turning_depth(bare_head(), make_params({**shape, "glasses": 0}))
        wide, high = 0.225 * p["glasses_width"], 0.175 * p["glasses_height"]
        centre = p["eye_x"] + 0.03 + 0.12 * (p["glasses_width"] - 1)
        angle = np.linspace(0, 2 * np.pi, 64)
        x, y = centre + wide * np.cos(angle), p["eye_y"] + RIM_Y + high * np.sin(angle)
        z = RIM_Z - RIM_BEND * np.maximum(x - 0.05, 0) ** 2
        column, row, _ = project(np.stack([x, y, z], -1))
        at = (row / 4).astype(int), (column / 4).astype(int)
        off = np.abs(depth[at] - (DISTANCE - z))
        assert off.max() < 0.05 and off.max() < 0.25 * np.abs(bare[at] - (DISTANCE - z)).max()
        # No turn folds the picture: neighbouring columns never pass each other at 14 degrees.
        slope = np.abs(np.diff(depth, axis=1)) * np.sin(np.radians(14)) / (4 * 6.6 / FOCAL_PX)
        assert slope.max() < 1


def seen_gap(family: str, jaw: float) -> tuple[float, float]:
    """How much of the middle of a mouth shows no lip, and the gap its curves say; head units."""
    p = make_params({"smile": 0.25}, atlas_patches.mouth_pose(family, jaw))
    _, line, gap_up, gap_down, _, _, lip_z, _ = lips_at(0.0, p)
    heights = np.linspace(line - gap_down - 0.02, line + gap_up + 0.02, 200)
    inside = 0
    for y in heights:
        z, material = 1.0, SKIN
        for _ in range(90):
            d, material = head_distance(0.0, y, z, p)
            if d < 0.0006:
                break
            z -= 0.7 * d
        inside += material != SKIN or z < lip_z - 0.03
    return float(inside * (heights[1] - heights[0])), gap_up + gap_down


def test_a_resampled_box_holds_what_sampling_the_whole_field_does() -> None:
    resting, posed = make_params({}), make_params({}, {"jaw": 0.5})
    part, whole = resampled(sample_scene(resting), MOUTH_BOX, posed), sample_scene(posed)
    inside = tuple(
        slice(int((low - start) / CELL) + COARSE, int((high - start) / CELL) - COARSE)
        for (low, high), start in zip(MOUTH_BOX, LOW, strict=True)
    )
    assert np.array_equal(part.grid[inside], whole.grid[inside])
    assert not np.array_equal(part.grid[inside], sample_scene(resting).grid[inside])


def test_lips_at_rest_touch() -> None:
    assert seen_gap("neutral", 0.0)[0] == 0
    assert seen_gap("press", 0.0)[0] == 0


@pytest.mark.parametrize("family", ["neutral", "wide", "round", "neutral_smile"])
def test_modelled_lips_part_as_far_as_their_curves(family: str) -> None:
    seen = [seen_gap(family, jaw) for jaw in (0.05, 0.12, 0.22, 0.35, 0.5)]
    for modelled, told in seen:  # of wide lips, flesh covers a little
        assert modelled > 0 and abs(modelled - told) < 0.014
    opened = [modelled for modelled, _ in seen]
    assert opened == sorted(opened)


def test_depth_is_flat_on_near_surfaces() -> None:
    """Where a face ends before hair, the depth falls away behind it and not in it."""
    cliff = np.full((HEIGHT_PX, WIDTH_PX), DISTANCE + 0.2)
    cliff[:, 560:720] = DISTANCE - 0.6
    depth = turning_depth(cliff, make_params({}))[90]
    step = np.diff(depth) / (4 * 6.8 / FOCAL_PX)  # per head unit
    assert np.abs(step).max() < 1.4
    assert np.abs(depth[143:177] - (DISTANCE - 0.6)).max() < 0.06  # three coarse cells inside the edge


def test_lashes_grow_on_the_visible_lid() -> None:
    """Flesh that hides a lid's end hides its lashes, as long as the eye is open."""
    hooded = make_params({"hood": 0.5, "eye_size": 0.83, "lid_open": 0.37})
    options = load_character(SHIPPED[0] / "character.yaml").lashes
    some = len(make_lashes(options, hooded, True))
    assert options.count < some < 2 * options.count
    shut = make_params({"hood": 0.5, "eye_size": 0.83, "lid_left": 1.0, "lid_right": 1.0})
    assert len(make_lashes(options, shut, True)) == 2 * options.count
