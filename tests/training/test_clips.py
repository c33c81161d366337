"""Clips are chosen by what they show and joined where frames match; blends show no double outline."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from puppet import FACE_PX, FPS, Puppet, posed, template

from cvi.errors import UsageError
from cvi.face.neural.clip_graph import UNREACHABLE, distances
from cvi.face.planes import Planes, to_i420
from cvi.training.clips.pose_features import FARTHEST, PoseFeatures, pose_distances, pose_features_of
from cvi.training.clips.selection import Clip, choose_clips
from cvi.training.clips.transitions import ClipGraphPlan, plan_clip_graph
from cvi.training.package.export import FrameBlender

COUNT = round(50 * FPS)
T = np.arange(COUNT) / FPS
# What the subject does: idles, listens, speaks, speaks happily.
IDLE, LISTENING, SPEAKING, HAPPY = (T < 9), (T >= 9) & (T < 22), (T >= 22) & (T < 40), T >= 40


def subject(apart: float = 0.0) -> PoseFeatures:
    """Sways round and round by a tenth of the face, more when something goes on; `apart` lifts the head while
    speaking, in widths of the face."""
    place = np.zeros((COUNT, 14), np.float32)
    reach = np.where(IDLE, 0.01, np.where(LISTENING, 0.03, 0.05))
    place[:, 0] = reach * np.sin(2 * np.pi * T / 4)
    place[:, 1] = reach * np.cos(2 * np.pi * T / 4) + apart * (SPEAKING | HAPPY)
    nothing = np.zeros(COUNT, np.float32)
    joy = np.where(HAPPY, 0.02, 0.0).astype(np.float32)
    speed = (reach * 2 * np.pi / 4).astype(np.float32)
    return PoseFeatures(place, speed, IDLE | LISTENING, nothing, nothing, joy, np.zeros(len(joy), np.bool_))


def chosen(features: PoseFeatures, cut_s: float = 0.0) -> list[Clip]:
    cut = round(cut_s * FPS)
    return choose_clips(
        features, np.ones(COUNT, np.bool_), [(0, cut), (cut, COUNT)] if cut else [(0, COUNT)], FPS
    )


def test_each_kind_is_taken_from_where_it_is_shown() -> None:
    clips = chosen(subject())
    assert [(clip.activity, clip.mood) for clip in clips] == [
        ("idle", "neutral"), ("speaking", "neutral"), ("listening", "neutral"), ("speaking", "happy"),
    ]  # fmt: skip
    for clip, where in zip(clips, (IDLE, SPEAKING, LISTENING, HAPPY), strict=True):
        assert where[clip.order].mean() > 0.8, clip.activity
        # They sway round in 4 s; a feeling is not shown for so long.
        assert clip.reverses == (clip.mood == "happy")
    shown = np.concatenate([np.unique(clip.order) for clip in clips])
    assert len(set(shown.tolist())) == len(shown) <= 31 * FPS


@pytest.mark.parametrize("begins", [22.0, 31.0])
def test_speaking_clips_avoid_a_wide_open_jaw(begins: float) -> None:
    since = T - begins
    gaping = (since >= 0) & (since < 9) & (np.sin(9 * since) > 0)
    clips = chosen(replace(subject(), wide_open=gaping))
    (speaking,) = (clip for clip in clips if clip.activity == "speaking" and clip.mood == "neutral")
    assert not gaping[speaking.order].any() and SPEAKING[speaking.order].mean() > 0.8


def test_a_silent_expression_is_for_listening_and_one_silence_serves_for_both() -> None:
    features = subject()
    grave = replace(features, joy=0 * features.joy, worry=np.where(LISTENING, 0.02, 0.0).astype(np.float32))
    kinds = [(clip.activity, clip.mood) for clip in chosen(grave)]
    assert ("listening", "concerned") in kinds and ("listening", "neutral") not in kinds


def test_without_silence_the_calmest_stretch_is_for_idling() -> None:
    features = replace(subject(), silent=np.zeros(COUNT, np.bool_))
    first = chosen(features)[0]
    assert first.activity == "idle" and IDLE[first.order].all()


def test_cuts_and_unusable_frames_are_in_no_clip() -> None:
    usable = np.ones(COUNT, np.bool_)
    usable[round(5 * FPS) : round(5.2 * FPS)] = False
    cut = round(30 * FPS)
    for clip in choose_clips(subject(), usable, [(0, cut), (cut, COUNT)], FPS):
        assert usable[clip.order].all() and len({bool(frame < cut) for frame in clip.order}) == 1
    usable[:] = False
    with pytest.raises(UsageError, match="Nowhere"):
        choose_clips(subject(), usable, [(0, COUNT)], FPS)


def joins(plan: ClipGraphPlan, features: PoseFeatures) -> list[float]:
    """Distance between the two frames of each transition in its middle, face widths."""
    found = []
    for _, first, end, _ in plan.graph.transitions.tolist():
        if first < end:
            shot = plan.shots[(first + end) // 2]
            assert 0.3 < shot.share < 0.7
            found.append(float(np.linalg.norm(features.pose[shot.frame] - features.pose[shot.other])))
    return found


def test_clips_are_joined_where_frames_match_and_every_kind_is_soon_reached() -> None:
    features = subject()
    plan = plan_clip_graph(chosen(features), features.pose, FPS)
    assert len(plan.graph.clips) == 4 and max(joins(plan, features)) < FARTHEST
    ways = plan.graph.successors(len(plan.shots))
    clip_of = plan.graph.clip_of(len(plan.shots))
    reachable = distances(ways, np.isin(np.arange(len(ways)), plan.graph.clips[:, 0])) < UNREACHABLE
    for clip in range(4):
        far = distances(ways, clip_of == clip)[reachable]
        assert far.max() <= 1.5 * FPS + 12, clip


def test_no_path_through_the_film_jumps() -> None:
    features = subject()
    plan = plan_clip_graph(chosen(features), features.pose, FPS)
    shown = np.array(
        [
            features.pose[shot.frame] * (1 - shot.share) + features.pose[shot.other] * shot.share
            for shot in plan.shots
        ]
    )
    for frame, following in enumerate(plan.graph.successors(len(plan.shots))):
        for after in following:
            # A third of the face's width a second: heads move so in speech.
            assert np.linalg.norm(shown[after] - shown[frame]) * FPS < 0.33, (frame, after)
            assert after == frame + 1 or after in plan.keys


def test_clips_without_transitions_are_left_out() -> None:
    features = subject(apart=0.5)
    plan = plan_clip_graph(chosen(features, cut_s=22.0), features.pose, FPS)
    assert plan.graph.clips[:, 2].tolist() == [0, 1], "idle and listening alone"
    assert {shot.frame < 22 * FPS for shot in plan.shots} == {True}


def test_a_single_clip_loops_or_reverses() -> None:
    features = subject()
    straight = features.pose.copy()
    straight[:, 0] = T * 0.05
    for place, turns in ((features.pose, False), (straight, True)):
        clip = Clip(np.arange(0, 150, dtype=np.int32), "idle", "neutral", False)
        plan = plan_clip_graph([clip], place, FPS)
        ways = plan.graph.successors(len(plan.shots))
        frame, seen = 0, []
        for _ in range(1000):
            (frame,) = ways[frame][:1]
            seen.append(plan.shots[frame])
        assert len({shot.frame for shot in seen}) > 60
        assert any(shot.share > 0 for shot in seen) != turns
        if turns:
            assert set(np.abs(np.diff([shot.frame for shot in seen])).tolist()) == {1}


def test_pose_distances_include_speed_and_end_at_clip_ends() -> None:
    place = np.zeros((40, 14), np.float32)
    place[:20, 0] = np.arange(20) * 0.01
    place[20:, 0] = 0.19 - np.arange(20) * 0.01
    there, back = np.arange(20, dtype=np.int32), np.arange(20, 40, dtype=np.int32)
    same = pose_distances(place, there, there, FPS, (False, False))
    other = pose_distances(place, there, back, FPS, (False, False))
    assert same[10, 10] == 0 and other[10, 9] > 0.01, "the same place in another direction is no match"
    assert np.isinf(same[0, 5]) and np.isinf(same[5, 19])
    assert np.isfinite(pose_distances(place, there, there, FPS, (True, True))).all()


def test_pose_features_are_read_from_landmarks() -> None:
    """Silence needs closed lips and no voice; lifted brows are seen, a nod is none."""
    count = 400
    rng = np.random.default_rng(2)
    nose = np.stack([96 + 3 * np.sin(np.arange(count) / 9), 74 + 3 * np.cos(np.arange(count) / 7)], 1)
    raised = np.arange(count) >= 300
    voiced = (np.arange(count) >= 100) & (np.arange(count) < 200)
    opening = np.where(voiced, 0.1 * (np.arange(count) % 10 < 5), 0.1 * (np.arange(count) > 390))
    points = []
    for index in range(count):
        face = template(float(opening[index])) + rng.normal(0, 0.0005, (478, 3)).astype(np.float32)
        face[[105, 66, 107, 334, 296, 336], 1] -= 0.03 * raised[index]
        points.append(posed(face.astype(np.float32), nose[index], 0.04 * np.sin(index / 11), FACE_PX))
    landmarks = np.stack(points)
    all_, none = np.ones(count, np.bool_), np.zeros(count, np.float32)
    found = pose_features_of(
        landmarks, all_, voiced, opening.astype(np.float32), none, none + 1, [(0, count)], template(0.0), FPS
    )
    assert found.silent[10:90].all() and not found.silent[100:200].any() and found.silent[220:380].all()
    assert not found.silent[393:].any(), "an open mouth without a voice"
    assert found.brows[raised].min() > found.brows[~raised].max() + 0.01
    step = np.abs(np.diff(found.pose[:, :2], axis=0)).max()
    assert 0 < step < 0.02


def test_a_blend_shows_one_moving_outline() -> None:
    def ball(x: float) -> np.ndarray:
        rgb = np.full((96, 128, 3), 90, np.uint8)
        rgb[:, :, 1] += (40 * np.random.default_rng(0).random((96, 128))).astype(np.uint8)
        cv2.circle(rgb, (round(x * 16), 48 * 16), 18 * 16, (220, 180, 150), -1, cv2.LINE_AA, 4)
        return to_i420(cv2.GaussianBlur(rgb, (0, 0), 0.8))

    before, after = ball(58), ball(66)
    morph = FrameBlender()
    for share in (0.25, 0.5, 0.75):
        shown, truth = Planes.of(morph.blend(before, after, share)).luma, Planes.of(ball(58 + 8 * share)).luma
        mixed = (1 - share) * Planes.of(before).luma + share * Planes.of(after).luma
        bent, faded = (np.abs(picture - truth.astype(float))[28:68].mean() for picture in (shown, mixed))
        assert bent < 0.5 * faded, share


def test_the_puppet_gives_a_clip_graph() -> None:
    puppet = Puppet.make(16.0)
    track = puppet.track()
    usable, none = np.ones(len(puppet), np.bool_), np.zeros(len(puppet), np.float32)
    voiced = puppet.opening > 0.01
    features = pose_features_of(
        track.landmarks, usable, voiced, puppet.opening.astype(np.float32), none, none + 1, [(0, len(puppet))],
        template(0.0), FPS,
    )  # fmt: skip
    plan = plan_clip_graph(choose_clips(features, usable, [(0, len(puppet))], FPS), features.pose, FPS)
    assert plan.graph.clips[0, 2] == 0 and len(plan.shots) >= 5 * FPS
