"""The sculpted renderer, on every character that ships."""

from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from cvi.errors import EngineError, UsageError
from cvi.face.base import Controls, FaceEngine, FaceSettings
from cvi.face.sculpted import build
from cvi.paths import shared_dir
from cvi.testing.contracts.face import check_face

SHIPPED = sorted(card.parent for card in shared_dir("replicas").glob("*/replica.yaml"))
MOUTH = slice(400, 520), slice(560, 720)  # the lips of every stock face at 1280x720


@pytest.fixture(scope="module", params=SHIPPED, ids=lambda folder: folder.name)
def face(request: pytest.FixtureRequest) -> FaceEngine:
    return build(FaceSettings(request.param))


def luma(face: FaceEngine, **controls: float) -> np.ndarray:
    return face.render(Controls(**controls))[: face.height].astype(int)


def lips(face: FaceEngine, **controls: float) -> np.ndarray:
    """Where the lips and what is between them must lie, (h, w) bool: from the curves the atlas was baked
    with. Only there can a mouth be told from a beard by its pixels."""
    mouth = face._mouth  # type: ignore[attr-defined]
    weights, curves = mouth._basis.weights(Controls(**controls)), mouth._warp._curves
    x, y = weights @ curves.x, np.tensordot(weights, curves.y, 1)
    corner = np.array([mouth.box.x0, mouth.box.y0])
    edges = [np.stack([x, y[row]], 1) + corner for row in (1, 4)]
    filled = np.zeros((face.height, face.width), np.uint8)
    cv2.fillPoly(filled, [np.rint(np.concatenate([edges[0], edges[1][::-1]])).astype(np.int32)], 1)
    return filled.astype(bool)


def inside(face: FaceEngine, **controls: float) -> np.ndarray:
    """What of it is teeth or darkness, which have no colour: (h, w) bool."""
    frame = face.render(Controls(**controls))
    chroma = frame[face.height :].reshape(2, face.height // 2, face.width // 2)
    red = cv2.resize(chroma[1], (face.width, face.height), interpolation=cv2.INTER_LINEAR).astype(int) - 128
    return lips(face, **controls) & ((frame[: face.height] < 45) | (red < 6))


def gap(face: FaceEngine, **controls: float) -> float:
    """How many rows of the mouth's middle are open."""
    return float(inside(face, **controls)[:, 632:648].sum(0).mean())


def test_a_character_ships() -> None:
    assert SHIPPED


def test_keeps_the_contract(face: FaceEngine) -> None:
    check_face(face)


def test_a_mouth_at_rest_is_still_while_the_eyes_move(face: FaceEngine) -> None:
    rest = luma(face)[MOUTH]
    for other in ({"lid_left": 1.0, "lid_right": 1.0}, {"gaze_x": 0.7}, {"breath": 1.0}):
        assert np.array_equal(luma(face, **other)[MOUTH], rest)
    luma(face, jaw=0.8)
    assert np.array_equal(luma(face)[MOUTH], rest)


def test_the_mouth_opens_with_the_jaw(face: FaceEngine) -> None:
    openings = [gap(face, jaw=jaw) for jaw in (0.0, 0.3, 0.6, 0.9)]
    assert openings == sorted(openings)
    assert openings[0] <= 4 and openings[1] >= 5 and openings[3] >= openings[1] + 12


def test_lips_part_as_soon_as_the_jaw_opens(face: FaceEngine) -> None:
    """With the baked pictures of a hardly open jaw, whose lips stick together, all but the last were 0."""
    openings = [gap(face, jaw=jaw, smile=0.1) for jaw in (0.0, 0.12, 0.16, 0.22)]
    assert openings == sorted(openings)
    crease = openings[0]  # shut lips meet in one, and of the darkest a pixel counts
    assert crease < 0.5 and openings[1] - crease >= 1.0 and openings[2] - crease >= 2.0


def test_pressed_lips_stay_shut_at_any_jaw(face: FaceEngine) -> None:
    shut = luma(face, press=1.0)[MOUTH]
    assert gap(face, press=1.0) <= 4
    assert np.array_equal(luma(face, press=1.0, jaw=0.5)[MOUTH], shut)


def test_opening_is_smooth(face: FaceEngine) -> None:
    """No step of the jaw changes the picture much more than its neighbours do."""
    frames = [luma(face, jaw=jaw)[360:600, 500:780] for jaw in np.linspace(0, 1, 41)]
    steps = [float(np.abs(b - a).mean()) for a, b in pairwise(frames)]
    assert max(steps) < 4 * (float(np.median(steps)) + 0.2)


def test_round_is_narrower_than_wide(face: FaceEngine) -> None:
    def spread(**controls: float) -> float:
        columns = inside(face, **controls).sum(0)
        assert columns.sum() > 80, "the mouth is open"
        place = np.arange(len(columns))
        middle = (columns * place).sum() / columns.sum()
        return float(np.sqrt((columns * (place - middle) ** 2).sum() / columns.sum()))

    assert spread(jaw=0.5, round=1.0) < 0.85 * spread(jaw=0.5, wide=1.0)


def test_the_head_turns_to_the_viewers_right(face: FaceEngine) -> None:
    """Features move with positive yaw to the right, with positive pitch down."""

    def moved(**controls: float) -> tuple[float, float]:
        area = slice(240, 480), slice(500, 780)
        a = luma(face)[area].astype(np.float32)
        b = luma(face, **controls)[area].astype(np.float32)
        window = cv2.createHanningWindow((a.shape[1], a.shape[0]), cv2.CV_32F)
        (dx, dy), _ = cv2.phaseCorrelate(a, b, window)
        return dx, dy

    assert moved(yaw=5.0)[0] > 3
    assert moved(yaw=-5.0)[0] < -3
    assert moved(pitch=5.0)[1] > 3


@pytest.mark.parametrize(("width", "height"), [(640, 360), (1280, 720), (1920, 1080), (640, 480), (720, 720)])
def test_sizes(width: int, height: int) -> None:
    face = build(FaceSettings(SHIPPED[0], width=width, height=height))
    frame = face.render(Controls(jaw=0.4, yaw=3.0))
    assert frame.shape == (height * 3 // 2, width)
    scale = max(width / 1280, height / 720)
    whole = luma(build(FaceSettings(SHIPPED[0])), jaw=0.4, yaw=3.0).astype(np.float32)
    left, top = round((1280 * scale - width) / 2), round((720 * scale - height) / 2)
    expected = cv2.resize(whole, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    expected = expected[top : top + height, left : left + width]
    assert np.abs(expected - frame[:height][: expected.shape[0], : expected.shape[1]]).mean() < 4


@pytest.mark.parametrize(("width", "height"), [(641, 360), (20, 20), (480, 1280), (9000, 5000)])
def test_invalid_sizes_are_refused(width: int, height: int) -> None:
    with pytest.raises(UsageError, match=f"{width}x{height}"):
        build(FaceSettings(SHIPPED[0], width=width, height=height))


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / SHIPPED[0].name
    shutil.copytree(SHIPPED[0], copy)
    data = bytearray((copy / "atlas.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "atlas.npz").write_bytes(bytes(data))
    with pytest.raises(UsageError, match="sha256"):
        build(FaceSettings(copy))


def test_a_closed_face_raises() -> None:
    face = build(FaceSettings(SHIPPED[0], width=640, height=360))
    face.close()
    face.close()
    with pytest.raises(EngineError):
        face.render(Controls())


def test_drawing_imports_no_baker() -> None:
    """numba and torch are not in the default install; a fresh interpreter must draw without them."""
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from cvi.face.base import Controls, FaceSettings\nfrom cvi.face.sculpted import build\n"
        "build(FaceSettings(Path(sys.argv[1]), 640, 360)).render(Controls(jaw=0.3))\n"
        "print([m for m in ('numba', 'torch', 'scipy', 'cvi.characters') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, SHIPPED[0]], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_cheeks_push_the_lower_lids_and_leave_brows_and_lips(face: FaceEngine) -> None:
    """What rises with the cheeks lies under the eyes; what rises with worry lies between the brows."""
    rest, cheeks, worry = luma(face), luma(face, cheek=1.0), luma(face, worry=1.0)

    def changed(other: np.ndarray, rows: slice) -> float:
        return float(np.abs(other - rest)[rows, 540:740].mean())

    forehead, under, lips = slice(190, 280), slice(320, 400), slice(430, 500)
    assert changed(cheeks, under) > 4 * max(changed(cheeks, forehead), changed(cheeks, lips), 0.02)
    assert changed(worry, forehead) > 4 * max(changed(worry, under), changed(worry, lips), 0.02)


@pytest.mark.parametrize("background", ["blur", "greenscreen", "#20304a"])
def test_another_background_leaves_the_person_unchanged(background: str) -> None:
    own = build(FaceSettings(SHIPPED[0], 640, 360))
    other = build(FaceSettings(SHIPPED[0], 640, 360, background=background))
    a, b = luma(own, jaw=0.3, yaw=4.0), luma(other, jaw=0.3, yaw=4.0)
    face_area, corner = (slice(120, 240), slice(280, 360)), (slice(0, 30), slice(0, 60))
    assert np.abs(a[face_area] - b[face_area]).max() <= 2
    assert np.abs(a[corner] - b[corner]).mean() > 0.3


def test_a_picture_behind_the_person(tmp_path: Path) -> None:
    picture = np.zeros((90, 200, 3), np.uint8)
    picture[:, :, 2] = 200
    cv2.imwrite(str(tmp_path / "red.png"), picture)
    frame = build(FaceSettings(SHIPPED[0], 640, 360, background=str(tmp_path / "red.png"))).render(Controls())
    rgb = cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420)
    assert rgb[5, 5, 0] > 150 and rgb[5, 5, 1:].max() < 60
    (tmp_path / "text.png").write_text("no picture")
    for wrong in ("beach", str(tmp_path / "text.png"), "#12345"):
        with pytest.raises(UsageError, match=r"background|picture"):
            build(FaceSettings(SHIPPED[0], 640, 360, background=wrong))
