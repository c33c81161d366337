"""The rig of a trained replica: read as it was written; older and damaged ones are refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from cvi.errors import UsageError
from cvi.face.neural.clip_graph import ClipGraph
from cvi.face.neural.decoder import FeatureRows, FeatureScales, feature_scales
from cvi.face.neural.eyes import EyeTrack, no_blink
from cvi.face.neural.rig import FORMAT, RIG, TERMS, MouthMap, NeuralRig, load_rig, rig_bytes

COUNT = 6


def rig() -> NeuralRig:
    rng = np.random.default_rng(0)
    shapes = {"weights": (TERMS, 4), "reach": (1,)}
    mouth = {
        field.name: rng.normal(size=shapes.get(field.name, (4,))).astype(np.float32)
        for field in fields(MouthMap)
    }
    return NeuralRig(
        size=np.array([192, 160], np.int32),
        fps=25.0,
        matrices=rng.normal(size=(COUNT, 2, 3)).astype(np.float32),
        features=rng.integers(0, 5, (COUNT, 2), np.int32),
        shares=np.linspace(0, 1, COUNT, dtype=np.float32),
        reach=np.ones((COUNT, 48), np.float32),
        side=96,
        mouth=MouthMap(**mouth),
        blink=no_blink(),
        eyes=EyeTrack(
            np.zeros((COUNT, 2, 2, 9, 2), np.float32), np.ones((COUNT, 2, 3), np.float32),
            np.array([-0.1, -0.1]), np.array([0.1, 0.1]),
        ),
        clips=ClipGraph(np.array([[0, COUNT, 0, 0]], np.int32), np.array([[5, 0, 0, 0]], np.int32), np.zeros(1, np.int32)),
        scales=FeatureScales(np.zeros(3, np.float32), np.ones(3, np.float32), np.array([4, 4, 1], np.int32)),
    )  # fmt: skip


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / RIG).write_bytes(rig_bytes(rig()))
    found, truth = load_rig(tmp_path / RIG), rig()
    assert len(found) == COUNT and found.side == 96 and found.fps == 25.0
    for name in ("matrices", "features", "shares", "reach"):
        assert np.array_equal(getattr(found, name), getattr(truth, name)), name
    for part in ("mouth", "blink", "eyes", "clips", "scales"):
        for field in fields(getattr(truth, part)):
            one, other = getattr(getattr(found, part), field.name), getattr(getattr(truth, part), field.name)
            assert np.allclose(one, other) and one.dtype != np.float64, (part, field.name)


def test_an_older_one_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    path = tmp_path / RIG
    path.write_bytes(rig_bytes(rig()))
    with np.load(path) as file:
        arrays = dict(file)
    with path.open("wb") as out:
        np.savez(out, **{**arrays, "format": np.int32(FORMAT - 1)})
    with pytest.raises(UsageError, match="another version") as told:
        load_rig(path)
    assert "Train the replica again" in told.value.remedy
    del arrays["reel_jumps"]
    with path.open("wb") as out:
        np.savez(out, **arrays)
    with pytest.raises(UsageError, match="cannot be read"):
        load_rig(path)
    path.write_bytes(b"no rig")
    with pytest.raises(UsageError, match="cannot be read"):
        load_rig(path)


def test_eight_bits_keep_each_channel_to_its_own_range(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    shapes = [(1, 2, 4, 4), (1, 3, 2, 2)]
    reach = np.repeat([0.01, 100.0, 1.0, 5.0, 0.0], [16, 16, 4, 4, 4])
    rows = (rng.uniform(-1, 1, (20, 44)) * reach).astype(np.float16)
    scales = feature_scales(rows.min(0).astype(np.float32), rows.max(0).astype(np.float32), shapes)
    np.save(tmp_path / "features.npy", np.stack([scales.bytes_of(row) for row in rows]))
    features = FeatureRows(tmp_path / "features.npy", scales, 44)
    for place, row in enumerate(rows):
        assert (np.abs(features.at(place, place, 0.0) - row) <= reach / 255 + 1e-5).all()
    with pytest.raises(UsageError, match="does not belong"):
        FeatureRows(tmp_path / "features.npy", scales, 45)
    (tmp_path / "features.npy").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="cannot be read"):
        FeatureRows(tmp_path / "features.npy", scales, 44)
