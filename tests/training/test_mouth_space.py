"""Stable crops, mouth coefficients without the head's pose, the map from controls to a person's mouth."""

from __future__ import annotations

import numpy as np
import pytest
from puppet import FACE_PX, FPS, Puppet, speaking, template

from cvi.face.base import Controls
from cvi.face.neural.compose import drawn_region
from cvi.face.neural.rig import terms
from cvi.training.audio.mouth_controls import learn_mouth, resting_mouth, shown_controls
from cvi.training.audio.speech import delayed_to_film
from cvi.training.evaluation.held_out import uncorrelated_pairs
from cvi.training.footage.face_geometry import (
    ANCHORS,
    LIPS,
    crop,
    crop_matrices,
    filled,
    frontal,
    lip_box,
    moved,
    reaches,
    side_for,
    similarities,
)
from cvi.training.footage.mouth_space import learn_space, opening, width
from cvi.training.footage.preparation import pieces_of, split_frames
from cvi.training.footage.tracking import FaceTrack


def turned(points: np.ndarray, yaw: float, pitch: float) -> np.ndarray:
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    return (points @ (about_x @ about_y).T).astype(np.float32)


def heads(openings: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack(
        [
            turned(template(float(gap)), *rng.uniform(-0.3, 0.3, 2)) * rng.uniform(80, 120)
            + np.array([*rng.uniform(50, 100, 2), 0], np.float32)
            for gap in openings
        ]
    ).astype(np.float32)


def test_similarities_undo_turn_size_and_shift() -> None:
    reference = template(0.0)[list(ANCHORS), :2]
    turn = np.array([[0.8, -0.5], [0.5, 0.8]], np.float32)
    placed = np.stack([reference @ turn.T + [3, 4], reference * 2 - 7]).astype(np.float32)
    back = moved(placed, similarities(placed, reference))
    assert back == pytest.approx(np.stack([reference, reference]), abs=1e-4)


def test_missing_frames_are_interpolated() -> None:
    points = np.arange(12, dtype=np.float32).reshape(6, 2)
    holed = points.copy()
    holed[2:4] = np.nan
    present = np.array([True, True, False, False, True, True])
    assert filled(holed, present) == pytest.approx(points)


def test_a_turned_head_is_no_open_mouth() -> None:
    gaps = 0.08 * (1 + np.sin(np.arange(60)))
    landmarks = heads(gaps)
    space = learn_space(landmarks, 4)
    found = opening(space.decode(space.encode(landmarks)))
    assert found == pytest.approx(gaps, abs=0.006)
    # What varies is one thing, the mouth: its component holds nearly everything.
    assert space.scale[0] > 8 * space.scale[1]
    upright, _ = frontal(landmarks, space.reference)
    still = upright[:, list(ANCHORS)]
    assert float(still.std(0).max()) < 0.003


def test_the_crop_holds_the_face_still_and_hides_the_lower_face() -> None:
    puppet = Puppet.make(3.0)
    track = puppet.track()
    side = side_for(FACE_PX, 160)
    assert side == 96 and side_for(400.0, 256) == 256
    matrices = crop_matrices(track.landmarks, [(0, len(track))], side)
    spots = moved(track.landmarks[..., :2], matrices)
    assert float(spots[:, list(ANCHORS)].std(0).max()) < 0.35
    lips = spots[:, 13]
    rows, _ = lip_box(track.landmarks, matrices, side)
    assert rows.start < lips[:, 1].min() and rows.stop > lips[:, 1].max()
    regions = [drawn_region(row, side) for row in reach_of(track, matrices, side)]
    for index, region in enumerate(regions):
        assert all(region.hidden[int(y), int(x)] == 1 for x, y in lips)
        assert not region.hidden[0].any() and not region.hidden[-1].any() and not region.hidden[:, 0].any()
        assert (region.ring * region.hidden).max() == 0 and region.ring.sum() > 0
        assert region.mask.max() == 1.0 and not region.mask[region.hidden == 0].any()
        # The widest open jaw is within, wherever the head is.
        jaw = moved(track.landmarks[index : index + 1, 152:153, :2], matrices[index : index + 1])[0, 0]
        assert region.hidden[int(jaw[1]), int(jaw[0])] == 1
    crops = np.stack([crop(puppet.picture(i), matrices[i], side) for i in (0, 30, 60)]).astype(float)
    outside = (regions[0].hidden + regions[30].hidden) == 0
    assert np.abs(crops[0] - crops[1])[outside].mean() < 6 < np.abs(crops[0]).mean()


def reach_of(track: FaceTrack, matrices: np.ndarray, side: int) -> np.ndarray:
    reference = learn_space(track.landmarks).reference
    train = np.ones(len(track), np.bool_)
    return reaches(track.landmarks, matrices, [(0, len(track))], train, reference, side)


def test_the_hidden_region_follows_the_head_and_not_the_mouth() -> None:
    """Two films of one head, moved alike, one of them silent but for one wide open mouth."""
    talks = Puppet.make(3.0)
    wide = np.zeros(len(talks))
    wide[40:44] = talks.opening.max()
    still = Puppet(wide, talks.place, talks.roll)
    side, pieces = 96, [(0, len(talks))]
    reference = learn_space(talks.track().landmarks).reference
    train = np.ones(len(talks), np.bool_)
    rows = []
    for puppet in (talks, still):
        landmarks = puppet.track().landmarks
        matrices = crop_matrices(talks.track().landmarks, pieces, side)
        rows.append(reaches(landmarks, matrices, pieces, train, reference, side))
    steps = np.abs(np.diff(rows[0], axis=0)).max()
    opened = talks.opening[1:] - talks.opening[:-1]
    follows = np.corrcoef(np.abs(opened), np.abs(np.diff(rows[0], axis=0)).max(1))[0, 1]
    assert steps < 0.02 and abs(follows) < 0.4
    assert np.abs(rows[0] - rows[1]).max() < 0.02


def test_cuts_divide_the_footage_and_the_last_seconds_are_held_out() -> None:
    track = Puppet.make(8.0).track()
    track.landmarks[80:] += 12.0
    track.landmarks[120] = np.nan
    track.present[120] = False
    pieces = pieces_of(track)
    assert pieces == [(0, 80), (80, 120), (121, 200)]
    train, test = split_frames(track, pieces, 2.0)
    assert test.sum() == 50 and test[150:].all()
    assert not train[120] and not train[136:].any() and train[:120].all()
    everything, nothing = split_frames(track, pieces, 0.0)
    assert everything.sum() == 199 and not nothing.any()


def learned(seconds: float = 10.0) -> tuple[object, ...]:
    puppet = Puppet.make(seconds)
    landmarks = puppet.track().landmarks
    space = learn_space(landmarks, 6)
    mouth = space.encode(landmarks)
    # A driver that is right but says less than there is, and is never quite sure.
    rng = np.random.default_rng(1)
    asked = np.clip(puppet.opening / 0.16 * 0.6 + 0.05 * rng.standard_normal(len(puppet)), 0, 1)
    spoken = speaking(np.arange(len(puppet)) / FPS) > 0
    asked[~spoken] = 0
    controls = [Controls(jaw=float(value)) for value in asked]
    train = np.ones(len(puppet), np.bool_)
    return puppet, space, mouth, controls, learn_mouth(space, mouth, controls, train, spoken)


def test_a_person_opens_as_far_as_they_do_and_rests_exactly() -> None:
    puppet, space, _, controls, found = learned()
    told = np.stack([found.mouth(control) for control in controls])
    shown = opening(space.decode(told))
    assert np.corrcoef(shown, puppet.opening)[0, 1] > 0.9
    assert 0.85 < shown.std() / puppet.opening.std() < 1.1
    assert found.lag_frames == 0 and found.agreement > 0.85 and not found.smiled
    rest = found.mouth(Controls(moment_s=3.0))
    assert np.array_equal(rest, found.mouth(Controls())) and np.array_equal(rest, found.mouth.rest)
    assert float(opening(space.decode(rest[None]))[0]) < 0.01


def test_requested_contact_closes_the_lips_whatever_else_is_requested() -> None:
    _, space, _, _, found = learned()
    for jaw in (0.0, 0.5, 1.0):
        met = found.mouth(Controls(jaw=jaw, round=0.8, press=0.92))
        assert float(opening(space.decode(met[None]))[0]) < 0.012
    parted = found.mouth(Controls(jaw=1.0))
    assert float(opening(space.decode(parted[None]))[0]) > 0.05


def test_no_request_makes_a_mouth_the_footage_never_showed() -> None:
    _, _, mouth, _, found = learned()
    farthest = np.linalg.norm(mouth - found.mouth.rest, axis=1).max()
    for wild in (
        Controls(jaw=1, wide=1, round=1, tuck=1, tongue=1, smile=1),
        Controls(round=1, tuck=1, smile=-1),
    ):
        asked = found.mouth(wild)
        assert np.linalg.norm(asked - found.mouth.rest) <= farthest + 1e-4
        assert (asked >= found.mouth.least - 1e-4).all() and (asked <= found.mouth.most + 1e-4).all()


def test_the_footages_smile_can_be_requested() -> None:
    """Wide and round are told apart from the jaw, in a person who spreads and purses their lips."""
    puppet = Puppet.make(12.0)
    count = len(puppet)
    landmarks = puppet.track().landmarks.copy()
    spread = 0.15 * np.sin(np.arange(count) * 0.37)
    lips = list(LIPS)
    middle = landmarks[:, lips].mean(1, keepdims=True)
    landmarks[:, lips, 0] += (landmarks[:, lips] - middle)[..., 0] * spread[:, None]
    space = learn_space(landmarks, 6)
    mouth = space.encode(landmarks)
    train = np.ones(count, np.bool_)
    spoken = speaking(np.arange(count) / FPS) > 0
    rest = resting_mouth(space, mouth, train, spoken)
    gauge = shown_controls(space, mouth, train, rest)
    assert np.corrcoef(gauge[:, 0], puppet.opening)[0, 1] > 0.97
    assert np.corrcoef(gauge[:, 1] - gauge[:, 2], spread)[0, 1] > 0.95
    controls = [Controls(jaw=float(j), wide=float(w), round=float(r)) for j, w, r in gauge]
    found = learn_mouth(space, mouth, controls, train, spoken).mouth
    told = space.decode(np.stack([found(control) for control in controls]))
    assert np.corrcoef(opening(told), puppet.opening)[0, 1] > 0.97
    assert np.corrcoef(width(told), width(space.decode(mouth)))[0, 1] > 0.95
    shapes = space.decode(np.stack([found(Controls(wide=1.0)), found.rest, found(Controls(round=1.0))]))
    assert width(shapes)[0] > width(shapes)[1] + 0.01 and width(shapes)[2] < width(shapes)[1] - 0.01
    assert float(np.ptp(opening(shapes))) < 0.02


def test_a_late_picture_is_noticed() -> None:
    puppet, space, mouth, controls, _ = learned()
    late = np.roll(mouth, 3, axis=0)
    spoken = np.ones(len(puppet), np.bool_)
    assert learn_mouth(space, late, controls, spoken, spoken).lag_frames == 3


def test_a_film_is_compared_with_its_own_offset() -> None:
    controls = [Controls(jaw=index / 10) for index in range(6)]
    assert delayed_to_film(controls, 0) == controls
    assert [control.jaw for control in delayed_to_film(controls, 2)] == pytest.approx(
        [0, 0, 0, 0.1, 0.2, 0.3]
    )
    assert [control.jaw for control in delayed_to_film(controls, -1)] == pytest.approx(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.5]
    )


def test_swapped_frames_are_uncorrelated() -> None:
    openings = np.abs(np.sin(np.arange(200) * 0.1)).astype(np.float32)
    openings[7] = np.nan
    bases, mouths = uncorrelated_pairs(openings, 60)
    assert len(bases) == len(mouths) == 60 and 7 not in bases and 7 not in mouths
    assert abs(np.corrcoef(openings[bases], openings[mouths])[0, 1]) < 0.02


def test_controls_beyond_their_range_count_as_its_end_and_rest_is_nothing() -> None:
    assert not terms(Controls()).any()
    assert np.array_equal(terms(Controls(jaw=5.0, wide=-2.0)), terms(Controls(jaw=1.0)))
