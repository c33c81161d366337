"""Compositing of the drawn lower face, the base film beneath it, and the quality metrics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from puppet import FPS, SIZE, Puppet

from cvi.errors import UsageError
from cvi.face.neural.base_footage import BaseFilm, Framing
from cvi.face.neural.compose import drawn_region, paste
from cvi.face.planes import Planes, to_i420, to_rgb
from cvi.training.evaluation import quality_metrics as metrics
from cvi.training.footage.face_geometry import covered, crop, crop_matrices, reaches
from cvi.training.footage.mouth_space import learn_space
from cvi.training.package.export import fetch_frames, write_base_film

SIDE = 96


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray, object]:
    puppet = Puppet.make(1.0)
    track = puppet.track()
    matrices = crop_matrices(track.landmarks, [(0, len(track))], SIDE)
    reference = learn_space(track.landmarks).reference
    train = np.ones(len(track), np.bool_)
    reach = reaches(track.landmarks, matrices, [(0, len(track))], train, reference, SIDE)
    return puppet.picture(10), matrices[10], drawn_region(reach[10], SIDE)


def laid(scene: tuple[np.ndarray, np.ndarray, object], change: float) -> tuple[np.ndarray, np.ndarray]:
    rgb, matrix, region = scene
    before = to_i420(rgb)
    after = before.copy()
    drawn = np.clip(crop(rgb, matrix, SIDE).astype(np.float32) + change, 0, 255)
    paste(after, drawn, matrix, region.mask, region.ring)
    return before, after


def test_pasting_the_same_picture_changes_nothing(scene: tuple[np.ndarray, np.ndarray, object]) -> None:
    before, after = laid(scene, 0.0)
    assert metrics.psnr(to_rgb(before), to_rgb(after)) > 36
    assert not np.array_equal(before, after)


def test_a_wide_open_jaw_is_not_covered() -> None:
    puppet = replace(Puppet.make(4.0), opening=np.linspace(0, 0.16, 100))
    track = puppet.track()
    pieces, often = [(0, len(track))], puppet.opening < 0.1
    matrices = crop_matrices(track.landmarks, pieces, SIDE)
    reference = learn_space(track.landmarks).reference
    reach = reaches(track.landmarks, matrices, pieces, often, reference, SIDE)
    shown = covered(track.landmarks, matrices, reach, SIDE)
    assert shown[:5].min() > 0.85 > 0.3 > shown[-10:].max() and (np.diff(shown) < 0.05).all()


def test_another_light_is_matched_and_nothing_beyond_the_mask_is_touched(
    scene: tuple[np.ndarray, np.ndarray, object],
) -> None:
    before, after = laid(scene, -7.0)
    assert metrics.psnr(to_rgb(before), to_rgb(after)) > 34
    _, matrix, region = scene
    reach = cv2.warpAffine(region.mask, matrix, SIZE, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    untouched = cv2.dilate(reach, np.ones((5, 5))) == 0
    assert np.array_equal(Planes.of(before).luma[untouched], Planes.of(after).luma[untouched])


def test_a_frame_that_the_face_leaves_is_still_drawn(scene: tuple[np.ndarray, np.ndarray, object]) -> None:
    rgb, matrix, region = scene
    away = matrix.copy()
    away[:, 2] += [2000, 0]
    frame = to_i420(rgb)
    paste(frame, np.zeros((SIDE, SIDE, 3), np.float32), away, region.mask, region.ring)
    assert np.array_equal(frame, to_i420(rgb))


def test_colours_come_back() -> None:
    colours = np.array([[200, 150, 120], [10, 20, 30], [255, 255, 255], [0, 0, 0]], np.uint8)
    picture = np.repeat(np.repeat(colours[None], 4, 0), 4, 1)
    assert np.abs(to_rgb(to_i420(picture)).astype(int) - picture.astype(int))[:, 1::4].max() <= 3


def test_the_film_gives_any_frame_in_any_order(tmp_path: Path) -> None:
    puppet = Puppet.make(2.0)
    order = np.concatenate([np.arange(50), np.arange(48, 0, -1)]).astype(np.int32)
    path = tmp_path / "base.mp4"
    kept = fetch_frames(puppet.frames(), set(order.tolist()), tmp_path)
    assert np.array_equal(kept[7], to_i420(puppet.picture(7))) and list(tmp_path.iterdir()) == []
    write_base_film(path, len(order), lambda place: kept[int(order[place])], FPS, {61, 33})
    film = BaseFilm(path)
    for index in (0, 1, 40, 3, 97, 96, 2, 61, 62, 33, 50):
        truth = puppet.picture(int(order[index]))
        shown = to_rgb(film.frame(index))
        assert metrics.psnr(shown, truth) > 34, index
        other = puppet.picture(int(order[(index + 7) % 98]))
        assert metrics.psnr(shown, truth) > metrics.psnr(shown, other)
    frame = film.frame(5)
    mine = frame.copy()
    frame[:] = 0
    assert np.array_equal(film.frame(5), mine)
    with pytest.raises(UsageError, match="no frame 98"):
        film.frame(98)
    film.close()
    with av.open(str(path)) as opened:
        keys = {
            round(packet.pts * packet.time_base * FPS)
            for packet in opened.demux(video=0)
            if packet.is_keyframe
        }
    assert keys >= {0, 33, 61}
    path.write_bytes(b"no film")
    with pytest.raises(UsageError, match="cannot be played"):
        BaseFilm(path)


@pytest.mark.parametrize("size", [(192, 160), (384, 320), (640, 360), (360, 640), (1280, 720)])
def test_any_size_is_filled(size: tuple[int, int]) -> None:
    framing = Framing(SIZE, *size, (96.0, 74.0))
    source = to_i420(Puppet.make(0.1).picture(0))
    shown = framing.fit(source)
    assert shown.shape == (size[1] * 3 // 2, size[0]) and shown.dtype == np.uint8
    luma = Planes.of(shown).luma
    assert luma.min() >= 15 and luma.max() <= 236 and luma.std() > 5
    # The face is in the middle of what is shown, as wide as it must be.
    wide = shown[: size[1], size[0] // 2 - 4 : size[0] // 2 + 4]
    assert wide.mean() > luma.mean()
    assert framing.same == (size == SIZE)


def test_sizes_that_cannot_be_are_named() -> None:
    with pytest.raises(UsageError, match="33x90"):
        Framing(SIZE, 33, 90, (1.0, 1.0))


def test_quality_metrics() -> None:
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.uniform(0, 255, (64, 64, 3)).astype(np.float32), (0, 0), 2)
    noisy = picture + 10 * rng.standard_normal(picture.shape)
    assert metrics.psnr(picture, picture) == 100.0
    assert metrics.psnr(picture, noisy) == pytest.approx(10 * np.log10(255**2 / 100), abs=0.3)
    for measure in (metrics.ssim, metrics.ms_ssim, metrics.gradient_similarity):
        same, worse = measure(picture, picture), measure(picture, noisy)
        assert same == pytest.approx(1.0, abs=1e-4) and worse < 0.97
    soft = cv2.GaussianBlur(picture, (0, 0), 3)
    assert metrics.sharpness(soft) < 0.6 * metrics.sharpness(picture)
    wave = np.sin(np.arange(80) * 0.7).astype(np.float32)
    assert metrics.lag_frames(wave, np.roll(wave, 2))[0] == 2
    assert metrics.amplitude(wave, 0.5 * wave) == pytest.approx(0.5)
    line = np.arange(20, dtype=np.float32)[:, None, None] * np.ones((1, 3, 2), np.float32)
    assert metrics.jitter(line) == 0.0
