"""A replica of one photo: how it moves, and which photos are refused."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import paper
import pytest
import yaml
from typer.testing import CliRunner

from cvi.cli.app import app
from cvi.engine_registry import build
from cvi.errors import CviError, MissingError, UsageError
from cvi.face.base import Controls, FaceEngine, FaceSettings
from cvi.face.consent import check_consent
from cvi.face.photo.rig import IRISES, RIG, load_rig
from cvi.face.replica import find_replica, load_replica_card
from cvi.files import sha256_of
from cvi.perception.face_mesh import find_packages
from cvi.testing.contracts.face import EVERYTHING, check_face
from cvi.training.photo.photo_face import lip_line
from cvi.training.photo.photo_replica import (
    LARGEST_SIDE_PX,
    PhotoReplica,
    PhotoRequest,
    is_photo,
    make_photo_replica,
    picture_size,
    read_photo,
)

CONSENT = "I, Paula Paper, agree that a replica of my face is made from this photo."
RUN = CliRunner()
Frame = npt.NDArray[np.uint8]


def write(path: Path, rgb: npt.NDArray[np.uint8]) -> Path:
    assert cv2.imwrite(str(path), rgb[..., ::-1])
    return path


def order(photo: Path, name: str = "paula", **more: object) -> PhotoRequest:
    return PhotoRequest(photo, **{"name": name, "consent": CONSENT, **more})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhotoReplica]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CVI_HOME", str(tmp_path_factory.mktemp("home")))
        photo = write(tmp_path_factory.mktemp("photo") / "paula.png", paper.picture())
        yield make_photo_replica(order(photo), lambda: paper.PaperTracker(paper.landmarks()))


@pytest.fixture(scope="module")
def face(made: PhotoReplica) -> Iterator[FaceEngine]:
    # The photo's own size, so that a place in it is a place in the frame.
    engine = build("face", "photo", FaceSettings(made.folder, paper.WIDTH, paper.HEIGHT))
    yield engine
    engine.close()


def luma(frame: Frame) -> npt.NDArray[np.int16]:
    return frame[: frame.shape[0] * 2 // 3].astype(np.int16)


def around(frame: Frame, x: float, y: float, wide: int, high: int) -> npt.NDArray[np.int16]:
    left, top = round(x) - wide // 2, round(y) - high // 2
    return luma(frame)[top : top + high, left : left + wide]


def mouth_of(frame: Frame) -> npt.NDArray[np.int16]:
    line = paper.landmarks()[13]
    return around(frame, line[0], line[1] + 14, 60, 60)


def darkness(part: npt.NDArray[np.int16]) -> int:
    """Pixels far darker than lips and skin."""
    return int((part < 60).sum())


def test_it_is_stored_as_a_replica_with_its_consent(made: PhotoReplica) -> None:
    card = load_replica_card(made.folder)
    assert (card.kind, card.renderer, card.name) == ("photo", "photo", "paula")
    assert {"photo.png", "rig.npz", "consent.json"} == set(card.files)
    told = yaml.safe_load((made.folder / "replica.yaml").read_text())["training"]
    assert "painted" in told["limits"] and any("soft" in note for note in told["notes"])
    consent = check_consent(made.folder, told["photo"]["sha256"])
    assert consent.who == "Paula Paper" and sha256_of(Path(told["photo"]["path"])) == told["photo"]["sha256"]
    assert [path for path in made.folder.parent.iterdir() if path.name.startswith(".")] == []


def test_it_passes_the_contract_of_face_engines(face: FaceEngine) -> None:
    more = ("tuck", "tongue", "brow_left", "brow_right", "furrow", "worry", "cheek", "breath", "gaze_y")
    check_face(face, tuple(name for name in (*EVERYTHING, *more) if name != "tongue"))
    spoken = face.render(Controls(jaw=0.6))
    assert not np.array_equal(face.render(Controls(jaw=0.6, tongue=1)), spoken)


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (96, 96), (854, 480), (642, 362)])
def test_it_fills_frames_of_other_sizes(made: PhotoReplica, size: tuple[int, int]) -> None:
    engine = build("face", "photo", FaceSettings(made.folder, *size))
    frame = engine.render(Controls(jaw=0.5, yaw=3, lid_left=1, lid_right=1))
    assert frame.shape == (size[1] * 3 // 2, size[0])
    assert not np.array_equal(frame, engine.render(Controls()))
    engine.close()
    with pytest.raises(CviError, match="closed"):
        engine.render(Controls())


def test_at_rest_it_shows_the_photo(face: FaceEngine) -> None:
    shown = cv2.cvtColor(face.render(Controls()), cv2.COLOR_YUV2RGB_I420)
    # The frame has the photo's shape and shows all of it: only rounding and colour's half size differ.
    grey, wanted = (cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(int) for part in (shown, paper.picture()))
    assert np.abs(grey - wanted).mean() < 6
    assert np.corrcoef(grey.ravel(), wanted.ravel())[0, 1] > 0.99


def test_lips_part_as_far_as_the_jaw_opens_and_meet_for_a_p(face: FaceEngine) -> None:
    dark = [darkness(mouth_of(face.render(Controls(jaw=jaw)))) for jaw in (0, 0.4, 0.6, 0.8, 1)]
    assert all(later > before + 20 for before, later in pairwise(dark)), dark
    assert dark[-1] > 20 * max(dark[0], 10)
    # A little, and it is teeth that are seen.
    assert not np.array_equal(mouth_of(face.render(Controls(jaw=0.1))), mouth_of(face.render(Controls())))
    pressed = darkness(mouth_of(face.render(Controls(jaw=0.8, press=1))))
    assert pressed <= dark[0] + 5
    # The teeth are seen, and are lighter than the lips.
    assert mouth_of(face.render(Controls(jaw=0.5)))[:26, 20:40].max() > 150


def test_the_inside_is_clipped_by_the_lips(face: FaceEngine) -> None:
    shut, wide = face.render(Controls()), face.render(Controls(jaw=1))
    line = paper.landmarks()[13]
    changed = np.abs(luma(wide) - luma(shut)) > 8
    assert changed[round(line[1])].any()
    beside = changed[:, : round(line[0] - 0.7 * paper.FACE)]
    assert not beside.any() and not changed[: round(line[1] - 0.15 * paper.FACE)].any()


def test_lids_cover_the_eyes(face: FaceEngine) -> None:
    shut = face.render(Controls(lid_left=1, lid_right=0))
    for side, covered in ((0, True), (1, False)):
        x, y = paper.landmarks()[IRISES[side][0], :2]
        eye = around(shut, x, y, 12, 6)
        # Skin is lighter than the iris and darker than the white of the eye.
        assert (np.median(eye) > 120) == covered, (side, eye)
    half = face.render(Controls(lid_left=0.5, lid_right=0.5))
    x, y = paper.landmarks()[IRISES[0][0], :2]
    rest = around(face.render(Controls()), x, y, 30, 22)
    assert darkness(rest) > darkness(around(half, x, y, 30, 22)) > 0


def test_irises_follow_the_gaze(face: FaceEngine) -> None:
    def place(gaze: float) -> float:
        x, y = paper.landmarks()[IRISES[0][0], :2]
        part = around(face.render(Controls(gaze_x=gaze)), x, y + 2, 36, 10).astype(float)
        dark = np.clip(130 - part, 0, None)
        return float((dark.sum(0) * np.arange(36)).sum() / dark.sum())

    assert place(-0.6) + 1 < place(0) < place(0.6) - 1


def test_the_head_turns_before_a_background_that_stays(face: FaceEngine) -> None:
    def nose(frame: Frame) -> npt.NDArray[np.float64]:
        part = around(frame, paper.MIDDLE[0], paper.MIDDLE[1] + 10, 60, 60).astype(float)
        dark = np.clip(130 - part, 0, None)
        rows, columns = np.indices(part.shape)
        return np.array([(dark * columns).sum(), (dark * rows).sum()]) / dark.sum()

    rest = face.render(Controls())
    at_rest = nose(rest)
    for controls, axis, sign in (
        (Controls(yaw=5), 0, 1),
        (Controls(yaw=-5), 0, -1),
        (Controls(pitch=5), 1, 1),
        (Controls(pitch=-5), 1, -1),
    ):
        frame = face.render(controls)
        moved = nose(frame) - at_rest
        assert moved[axis] * sign > 2 and abs(moved[1 - axis]) < 1, (controls, moved)
        assert np.array_equal(luma(frame)[:, :40], luma(rest)[:, :40])
        assert np.array_equal(luma(frame)[:, -40:], luma(rest)[:, -40:])


def test_resting_lips_are_still_while_the_eyes_live(face: FaceEngine) -> None:
    still = mouth_of(face.render(Controls(smile=0.1)))
    for lid, gaze in ((0.3, 0.2), (1.0, -0.4), (0.0, 0.5)):
        moved = face.render(Controls(smile=0.1, lid_left=lid, lid_right=lid, gaze_x=gaze, gaze_y=gaze / 2))
        assert np.array_equal(mouth_of(moved), still)


def test_a_frame_depends_on_its_controls_alone(face: FaceEngine) -> None:
    one, other = Controls(jaw=0.4, yaw=3, lid_left=0.4), Controls(jaw=1, smile=1, gaze_x=1)
    first = face.render(one)
    face.render(other)
    assert np.array_equal(face.render(one), first)


def test_glasses_hold_the_brows(made: PhotoReplica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    photo = write(tmp_path / "paula.png", paper.picture())
    worn = make_photo_replica(order(photo, glasses=True), lambda: paper.PaperTracker(paper.landmarks()))
    moved = []
    for folder in (made.folder, worn.folder):
        engine = build("face", "photo", FaceSettings(folder, paper.WIDTH, paper.HEIGHT))
        up = luma(engine.render(Controls(brow_left=1, brow_right=1)))
        moved.append(int((np.abs(up - luma(engine.render(Controls()))) > 4).sum()))
        engine.close()
    assert moved[1] < 0.6 * moved[0]


def test_the_lip_line_is_found_where_the_mesh_is_off() -> None:
    points = paper.landmarks()
    truth = float(points[13, 1])
    for off in (-5.0, 4.0):
        shifted = points.copy()
        shifted[:, 1] += off
        line = lip_line(paper.picture(), shifted)
        middle = line[len(line) // 3 : -len(line) // 3, 1]
        assert np.abs(middle - truth).max() < 1.6


@pytest.mark.parametrize(
    ("tracker", "said"),
    [
        (paper.PaperTracker(None), "No face"),
        (paper.PaperTracker(paper.landmarks(), faces=2), "more than one face"),
        (paper.PaperTracker(paper.landmarks(face=90)), "90 pixels wide, too small|too small"),
        (paper.PaperTracker(paper.turned(paper.landmarks(), 24)), "turned away by 2[0-9] degrees"),
        (paper.PaperTracker(paper.leaning(paper.landmarks(), 30)), "leans by 30 degrees"),
        (paper.PaperTracker(paper.landmarks(opening=0.08)), "mouth in the photo is open"),
        (paper.PaperTracker(paper.landmarks(lids=0.005)), "eye in the photo is shut"),
        (paper.PaperTracker(paper.landmarks() - np.float32([250, 0, 0])), "cut off"),
    ],
)
def test_unsuitable_photos_are_refused(
    tracker: paper.PaperTracker, said: str, cvi_home: Path, tmp_path: Path
) -> None:
    photo = write(tmp_path / "photo.jpg", paper.picture())
    with pytest.raises(UsageError, match=said) as refused:
        make_photo_replica(order(photo), lambda: tracker)
    assert refused.value.remedy and tracker.closed
    assert not (cvi_home / "replicas").exists() or not list((cvi_home / "replicas").iterdir())


def test_consent_and_name_are_checked_first(cvi_home: Path, tmp_path: Path) -> None:
    photo = write(tmp_path / "photo.png", paper.picture())

    def see() -> paper.PaperTracker:
        return paper.PaperTracker(paper.landmarks())

    with pytest.raises(UsageError, match="agreed to it"):
        make_photo_replica(order(photo, consent=" "), see)
    make_photo_replica(order(photo), see)
    with pytest.raises(UsageError, match="already"):
        make_photo_replica(order(photo), see)
    with pytest.raises(UsageError, match="cannot be called"):
        make_photo_replica(order(photo, name="../x"), see)


def test_other_files_are_refused_as_photos(tmp_path: Path) -> None:
    whole = cv2.imencode(".png", paper.picture())[1].tobytes()
    vast = whole[:16] + (20_000).to_bytes(4, "big") * 2 + whole[24:]
    cases = {
        "words.jpg": (b"hello", "not a picture"),
        "empty.png": (b"", "not a picture"),
        "half.png": (whole[:400], "damaged|decoded"),
        "vast.png": (vast, "20000 x 20000 pixels"),
        "phone.heic": (b"\0\0\0\x18ftypheic" + b"\0" * 40, "HEIC"),
        "moving.gif": (b"GIF89a" + b"\0" * 40, "GIF"),
        "cut.jpg": (b"\xff\xd8\xff\xe0\0\x10JFIF", "not a picture"),
    }
    for name, (data, said) in cases.items():
        (tmp_path / name).write_bytes(data)
        assert is_photo(tmp_path / name)
        with pytest.raises(UsageError, match=said):
            read_photo(tmp_path / name)
    with pytest.raises(UsageError, match="no file"):
        read_photo(tmp_path / "none.png")
    (tmp_path / "film.mp4").write_bytes(b"\0\0\0\x18ftypisom" + b"\0" * 40)
    assert not is_photo(tmp_path / "film.mp4") and is_photo(tmp_path / "none.png")


@pytest.mark.parametrize(
    ("suffix", "flags"), [(".png", []), (".jpg", []), (".webp", [64, 80]), (".webp", [64, 101])]
)
def test_a_size_is_known_before_anything_is_decoded(suffix: str, flags: list[int]) -> None:
    data = cv2.imencode(suffix, paper.picture(), flags)[1].tobytes()
    assert picture_size(data) == (paper.WIDTH, paper.HEIGHT)
    assert picture_size(data[:20]) is None


def test_photos_are_read_upright_small_and_opaque(tmp_path: Path) -> None:
    rgb = paper.picture()
    # A camera held upright notes so (Exif orientation 6) and stores the picture lying.
    lying = np.rot90(rgb)
    jpeg = cv2.imencode(".jpg", lying[..., ::-1])[1].tobytes()
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    turned = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    (tmp_path / "phone.jpg").write_bytes(turned)
    upright = read_photo(tmp_path / "phone.jpg")
    assert upright.shape == rgb.shape and np.abs(upright.astype(int) - rgb).mean() < 4
    large = cv2.resize(rgb, None, fx=8, fy=8)
    assert max(read_photo(write(tmp_path / "large.png", large)).shape) == LARGEST_SIDE_PX
    clear = np.dstack([rgb[..., ::-1], np.full(rgb.shape[:2], 255, np.uint8)])
    clear[:100, :, 3] = 0
    assert cv2.imwrite(str(tmp_path / "clear.png"), clear)
    seen = read_photo(tmp_path / "clear.png")
    assert (seen[:100] == 128).all() and np.array_equal(seen[100:], rgb[100:])


def test_a_rig_of_another_make_is_refused(made: PhotoReplica, tmp_path: Path) -> None:
    whole = (made.folder / RIG).read_bytes()
    (tmp_path / RIG).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="cannot be read"):
        load_rig(tmp_path / RIG)
    np.savez(tmp_path / RIG, format=np.int32(99))
    with pytest.raises(UsageError, match="another version"):
        load_rig(tmp_path / RIG)


def test_other_engines_and_backgrounds_are_refused(made: PhotoReplica) -> None:
    with pytest.raises(UsageError, match="drawn by 'photo'"):
        build("face", "neural", FaceSettings(made.folder, 640, 360))
    with pytest.raises(UsageError, match="drawn by 'sculpted'"):
        build("face", "photo", FaceSettings(find_replica("june"), 640, 360))
    with pytest.raises(UsageError, match="stands before what the photo shows"):
        build("face", "photo", FaceSettings(made.folder, 640, 360, background="greenscreen"))
    with pytest.raises(UsageError, match="even sizes"):
        build("face", "photo", FaceSettings(made.folder, 641, 360))


def test_the_command_refuses_options_of_training(cvi_home: Path, tmp_path: Path) -> None:
    photo = write(tmp_path / "photo.png", paper.picture())
    words = ["train-replica", str(photo), "--name", "paula", "--consent", CONSENT]
    outcome = RUN.invoke(app, [*words, "--minutes", "3"])
    assert outcome.exit_code != 0 and "--minutes" in str(outcome.exception)
    (tmp_path / "words.jpg").write_text("no picture")
    outcome = RUN.invoke(app, [words[0], str(tmp_path / "words.jpg"), *words[2:]])
    assert outcome.exit_code != 0 and "not a picture" in str(outcome.exception)
    outcome = RUN.invoke(app, words[:4])
    assert outcome.exit_code == 2 and "--consent" in re.sub(r"\x1b\[[0-9;]*m", "", outcome.output)


def test_a_whole_run_with_the_real_tracker(cvi_home: Path, tmp_path: Path) -> None:
    """A picture of a stock face becomes a replica whose lips do what they are asked."""
    try:
        find_packages()
    except MissingError:
        pytest.skip("the face tracker is not installed: cvi replica setup")
    from cvi.perception.face_mesh import build_tracker
    from cvi.training.grading.face_measures import mouth_opening

    june = build("face", "sculpted", FaceSettings(find_replica("june")))
    shown = cv2.cvtColor(june.render(Controls()), cv2.COLOR_YUV2RGB_I420)
    june.close()
    photo = write(tmp_path / "june.png", shown)
    words = ["train-replica", str(photo), "--name", "jo", "--consent", CONSENT, "--json"]
    outcome = RUN.invoke(app, words)
    assert outcome.exit_code == 0, outcome.output
    told = json.loads(outcome.stdout)
    assert "painted" in told["limits"]
    engine = build("face", "photo", FaceSettings(Path(told["path"])))
    tracker = build_tracker()
    try:
        asked = np.array([0, 0.15, 0.3, 0.5, 0.7, 0.5, 0.3, 0.15, 0])
        opened = []
        for jaw in asked:
            rgb = cv2.cvtColor(engine.render(Controls(jaw=float(jaw))), cv2.COLOR_YUV2RGB_I420)
            landmarks = tracker.see(rgb).landmarks
            assert landmarks is not None
            opened.append(float(mouth_opening(landmarks[None])[0]))
    finally:
        tracker.close()
        engine.close()
    assert np.corrcoef(asked, opened)[0, 1] > 0.95
    assert opened[4] > 0.06 > 0.02 > opened[-1]
    shutil.rmtree(told["path"])
