"""Synthetic films agree with their labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ
from cvi.errors import UsageError
from cvi.face.base import Controls
from cvi.face.replica import find_replica
from cvi.testing.footage.faulty_film import FAULTS, add_fault
from cvi.testing.footage.film import PLACES, Anchors, FilmPlan, HeadTurn, make_film
from cvi.testing.footage.labels import blinks_of, load_labels
from cvi.testing.footage.plans import PLANS, good_plan
from cvi.training.footage.reader import open_footage

TEXT = (
    'Bob buys five big maps. <break time="3s"/> My mother moves the piano. We view the moon, and so do you.'
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    film = tmp_path_factory.mktemp("films") / "good.mp4"
    turn = HeadTurn(1.0, 2.0, 10.0, 0.0)
    plan = FilmPlan("june", 3, TEXT, voice="espeak/en-us+f3", width=192, height=108, turns=(turn,))
    make_film(plan, film)
    yield film


def test_a_film_and_its_labels_agree(good: Path) -> None:
    labels, footage = load_labels(good), open_footage(good)
    frames = list(footage.frames(labels.fps))
    assert len(frames) == labels.frames == len(labels.controls) == len(labels.anchors)
    assert frames[0].rgb.shape == (108, 192, 3)
    assert labels.phones[-1].end_s <= labels.duration_s
    assert {"b", "m", "f", "v"} <= {phone.ipa for phone in labels.phones}
    # Lips are pressed together where the labels say that a P, B or M is spoken.
    for phone in labels.phones:
        if phone.ipa in ("p", "b", "m") and phone.end_s - phone.start_s > 0.06:
            middle = (phone.start_s + phone.end_s) / 2
            near = range(int(middle * labels.fps) - 1, int(middle * labels.fps) + 2)
            assert max(labels.controls_at(frame).press for frame in near) > 0.5
    # The sound is loud where somebody speaks, and nowhere else.
    pcm = footage.sound()
    loud = [
        np.abs(pcm[round(a * HEARD_HZ) : round(b * HEARD_HZ)].astype(int)).mean() for a, b in labels.speech
    ]
    quiet = pcm[round((labels.speech[0][1] + 0.5) * HEARD_HZ) : round((labels.speech[1][0] - 0.5) * HEARD_HZ)]
    assert min(loud) > 20 * np.abs(quiet.astype(int)).mean()
    assert labels.controls_at(37).yaw > 6


def test_anchors_follow_the_head() -> None:
    anchors = Anchors(find_replica("june"), 1280, 720)
    names = list(PLACES)
    rest = dict(zip(names, anchors.at(Controls()), strict=True))
    assert rest["nose left"][0] < rest["bridge"][0] < rest["nose right"][0]
    assert rest["bridge"][1] < rest["nose tip"][1] < rest["mouth at rest"][1]
    turned = dict(zip(names, anchors.at(Controls(yaw=10.0)), strict=True))
    down = dict(zip(names, anchors.at(Controls(pitch=8.0)), strict=True))
    assert turned["nose tip"][0] > rest["nose tip"][0] + 10
    assert down["nose tip"][1] > rest["nose tip"][1] + 5


def test_blinks_are_spans() -> None:
    lids = [0.0, 0.2, 0.9, 1.0, 0.3, 0.0, 0.0, 0.8]
    poses = [Controls(lid_left=lid, lid_right=lid) for lid in lids]
    assert blinks_of(poses, 25) == ((2 / 25, 4 / 25), (7 / 25, 8 / 25))


def _edges(rgb: np.ndarray) -> float:
    return float(np.abs(np.diff(rgb.astype(int), axis=1)).mean())


@pytest.mark.parametrize("kind", list(FAULTS))
def test_a_faulty_film_has_its_fault_where_the_labels_say(good: Path, tmp_path: Path, kind: str) -> None:
    before = load_labels(good)
    film = tmp_path / f"{kind}.mp4"
    labels = add_fault(good, kind, 5, film)
    assert labels == load_labels(film)
    assert [fault.kind for fault in labels.faults] == [kind]
    footage = open_footage(film)
    frames = list(footage.frames(labels.fps))
    assert len(frames) == labels.frames == len(labels.controls)
    assert footage.has_sound == (kind != "no_sound")
    fault = labels.faults[0]
    if kind in ("noisy", "offset", "no_sound", "little_speech") or labels.frames != before.frames:
        return
    clean = list(open_footage(good).frames(before.fps))
    differs = np.array([np.abs(a.rgb.astype(int) - b.rgb).mean() for a, b in zip(frames, clean, strict=True)])
    first, last = round(fault.start_s * 25), round(fault.end_s * 25)
    if kind == "cut":  # from there on everything is nearer
        last = len(differs)
    if kind == "blur":  # at this size a blur changes little but the edges
        edges = np.array([_edges(a.rgb) / _edges(b.rgb) for a, b in zip(frames, clean, strict=True)])
        assert edges[first + 3 : last - 3].max() < edges[: first - 3].min() - 0.03
        assert edges[: first - 3].min() > 0.97
        return
    inside, before_it = differs[first + 3 : max(last - 3, 0)], differs[: max(first - 12, 0)]
    assert np.median(inside) > 1.0
    if len(before_it):
        # The encoder's own changes are smaller than the fault's.
        assert np.median(inside) > 2 * np.percentile(before_it, 95)


def test_an_unknown_fault_and_a_film_without_labels_are_refused(good: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no fault 'ugly'"):
        add_fault(good, "ugly", 1, tmp_path / "a.mp4")
    with pytest.raises(UsageError, match="no labels"):
        load_labels(tmp_path / "b.mp4")


def test_the_same_plan_is_the_same_film() -> None:
    assert good_plan("june", 1) == good_plan("june", 1)
    for kind, plan in PLANS.items():
        made = plan("kenji", 4)
        assert made == plan("kenji", 4)
        assert {fault.kind for fault in made.faults} == {kind}
