"""Whole runs of the pipeline: footage to a replica, interrupted in every stage, and invalid requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from puppet import BlobTracker, Puppet
from typer.testing import CliRunner

pytest.importorskip("torch", reason="training needs torch, which is not installed")
pytest.importorskip("safetensors", reason="training needs safetensors, which is not installed")

from cvi.engine_registry import build
from cvi.errors import MissingError, UsageError
from cvi.face.base import Controls, FaceSettings
from cvi.face.consent import check_consent
from cvi.face.neural.renderer import NeuralEngine
from cvi.face.replica import load_replica_card
from cvi.testing.contracts.face import check_face
from cvi.training import pipeline
from cvi.training.evaluation.repeat import evaluate_again
from cvi.training.model import config
from cvi.training.model.checkpoint import peek_checkpoint
from cvi.training.pipeline import TrainingRequest, train_replica

CONSENT = "I, Pia Puppet, agree that a replica of my face is made from this footage."
# The puppet opens its mouth and does nothing else with it: what it never showed, it cannot be asked for.
MOVES = ("jaw",)


class Killed(BaseException):
    """Stands for the process's end."""


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Puppet.make(10.0).write(tmp_path_factory.mktemp("film") / "pia.mp4")


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough to train on and to hold a second out."""
    return Puppet.make(7.0).write(tmp_path_factory.mktemp("film") / "short.mp4")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(config.TIERS, "tiny", config.QualityTier(96, (8, 12, 16, 16), 220, batch=4))


def order(film: Path, **more: object) -> TrainingRequest:
    return TrainingRequest(
        film,
        **{"name": "pia", "consent": CONSENT, "quality": "tiny", "device": "cpu", "anyway": True, **more},
    )


@pytest.fixture(scope="module")
def made(film: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pipeline.TrainedReplica]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CVI_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setitem(config.TIERS, "tiny", config.QualityTier(96, (8, 12, 16, 16), 220, batch=4))
        found = train_replica(order(film), tracker=BlobTracker)
        assert found is not None
        yield found


def test_footage_becomes_a_replica_that_is_measured(made: pipeline.TrainedReplica, film: Path) -> None:
    card = load_replica_card(made.folder)
    assert (card.kind, card.renderer, made.folder.name) == ("trained", "neural", "pia")
    told = yaml.safe_load((made.folder / "replica.yaml").read_text())["training"]
    assert told["steps"] == 220 and told["side_px"] == 96
    consent = check_consent(made.folder, told["footage"]["sha256"])
    assert consent.who == "Pia Puppet" and "consent.json" in card.files
    assert made.evaluation is not None
    figures = made.evaluation.figures
    assert figures["pasted"]["hidden_psnr_db"] > 22
    assert figures["pasted"]["opening_correlation"] > 0.8
    assert figures["swap"]["follows_asked"] > 0.7 > 0.5 > abs(figures["swap"]["follows_base"])
    assert figures["rest"]["asked_movement"] == 0.0
    page = (made.folder / "report.html").read_text()
    assert "hidden region" in page and page.count("<img") == 36
    kept = json.loads((made.folder / "metrics.json").read_text())
    assert kept["figures"] == figures
    # Nothing of the work is left behind.
    assert not (made.folder.parent.parent / "training" / "pia").exists()


def test_it_is_a_face_engine_like_any_other(made: pipeline.TrainedReplica) -> None:
    face = NeuralEngine(FaceSettings(made.folder, 384, 320))
    check_face(face, moves=MOVES)
    still = face.render(Controls())
    later = face.render(Controls(moment_s=1.0))
    assert not np.array_equal(still, later), "the footage stands still"
    beyond = face.render(Controls(moment_s=1e5))
    assert beyond.shape == still.shape
    face.close()
    with pytest.raises(UsageError, match="stands before"):
        NeuralEngine(FaceSettings(made.folder, 384, 320, background="greenscreen"))


def test_the_same_controls_give_the_same_frames(made: pipeline.TrainedReplica) -> None:
    asked = [Controls(moment_s=k / 25, activity="speaking" if 20 <= k < 60 else "idle") for k in range(90)]
    one, other = (NeuralEngine(FaceSettings(made.folder, 192, 160)) for _ in range(2))
    shown = [one.render(controls) for controls in asked]
    for controls, frame in zip(asked, shown, strict=True):
        assert np.array_equal(other.render(controls), frame)
        assert np.array_equal(other.render(controls), frame), "drawn again it is another"
    assert len({frame.tobytes() for frame in shown}) > 60
    for face in (one, other):
        face.close()


def test_evaluating_again_gives_the_same_figures(
    made: pipeline.TrainedReplica, film: Path, tmp_path: Path
) -> None:
    again = evaluate_again(str(made.folder), tracker=BlobTracker)
    assert made.evaluation is not None and again.figures == made.evaluation.figures
    other = Puppet.make(3.0, seed=5).write(tmp_path / "other.mp4")
    with pytest.raises(UsageError, match="not the film"):
        evaluate_again(str(made.folder), other, tracker=BlobTracker)
    with pytest.raises(UsageError, match="was not trained"):
        evaluate_again("june", tracker=BlobTracker)


def test_a_run_killed_in_every_stage_gives_the_same_replica(
    short: Path, tmp_path: Path, cvi_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How well it is trained does not matter here, nor who sounds like a puppet.
    monkeypatch.setitem(config.TIERS, "tiny", config.QualityTier(96, (8, 12, 16, 16), 26, batch=4))
    monkeypatch.setattr(pipeline, "voices_for", lambda sound: {})
    monkeypatch.setenv("CVI_HOME", str(tmp_path / "undisturbed"))
    made = train_replica(order(short), tracker=BlobTracker)
    assert made is not None
    monkeypatch.setenv("CVI_HOME", str(cvi_home))
    done: list[str] = []

    def kill(stage: str, at: int) -> None:
        def progress(now: str, step: int, of: int, note: str) -> None:
            done.append(now)
            if now == stage and step >= at:
                raise Killed

        with pytest.raises(Killed):
            train_replica(order(short), progress, tracker=BlobTracker)

    def meanwhile(now: str, step: int, of: int, note: str) -> None:
        with pytest.raises(UsageError, match="by another process"):
            train_replica(order(short), tracker=BlobTracker)
        raise Killed

    with pytest.raises(Killed):
        train_replica(order(short), meanwhile, tracker=BlobTracker)
    kill("track", 40)
    kill("prepare", 100)
    kill("train", 20)
    state = peek_checkpoint(cvi_home / "training" / "pia")
    assert state is not None and state.step == 20
    # What was done is not done again.
    done.clear()
    assert train_replica(order(short), stop=lambda: True, tracker=BlobTracker) is None
    kill("export", 3)
    assert "track" not in done and "prepare" not in done
    done.clear()
    kill("evaluate", 10)
    assert done[0] == "export"
    assert not (cvi_home / "replicas" / "pia").exists()
    found = train_replica(order(short), tracker=BlobTracker)
    assert found is not None and found.evaluation is not None and made.evaluation is not None
    assert found.evaluation.figures == made.evaluation.figures
    whole, parts = (load_replica_card(one.folder).files for one in (made, found))
    for name in ("weights.safetensors", "decoder.onnx", "features.npy"):
        assert whole[name] == parts[name], name
    with pytest.raises(UsageError, match="already"):
        train_replica(order(short), tracker=BlobTracker)


def test_invalid_requests_are_refused_before_any_work(film: Path, tmp_path: Path, cvi_home: Path) -> None:
    silent = Puppet.make(1.0).write(tmp_path / "silent.mp4", with_sound=False)
    text = tmp_path / "film.mp4"
    text.write_text("not a film")
    bad: list[tuple[TrainingRequest, str]] = [
        (order(film, quality="best"), "not known"),
        (order(film, device="tpu"), "not known"),
        (order(film, minutes=1.0, steps=9), "not both"),
        (order(film, name="Pia Puppet"), "cannot be called"),
        (order(film, name="june"), "already"),
        (order(film, consent="yes"), "no consent"),
        (order(film, consent=""), "agreed"),
        (order(silent), "no sound"),
        (order(text), "not a film"),
        (order(tmp_path / "none.mp4"), "no file"),
        (order(film, script=tmp_path / "none.txt"), "no script"),
    ]

    def never() -> BlobTracker:
        raise AssertionError("nothing should be tracked")

    for wrong, words in bad:
        with pytest.raises(UsageError, match=words):
            train_replica(wrong, tracker=never)


def test_footage_without_a_face_or_with_too_little_of_it_is_refused(
    film: Path, tmp_path: Path, cvi_home: Path
) -> None:
    class Blind(BlobTracker):
        def see(self, rgb: object) -> object:  # type: ignore[override]
            from cvi.perception.face_detection import FaceDetection

            return FaceDetection(None, 0)

    with pytest.raises(UsageError, match="No face"):
        train_replica(order(film), tracker=Blind)
    with pytest.raises(UsageError, match="is unusable"):
        train_replica(order(film, name="other", anyway=False), tracker=BlobTracker)
    short = Puppet.make(3.0).write(tmp_path / "short.mp4")
    with pytest.raises(UsageError, match="one face to learn from"):
        train_replica(order(short, name="short"), tracker=BlobTracker)


def test_the_engine_is_found_by_name_and_refuses_other_replicas(made: pipeline.TrainedReplica) -> None:
    from cvi.face.neural import build as build_neural

    face = build_neural(FaceSettings(made.folder, 192, 160))
    assert face.name == "neural"
    face.close()
    with pytest.raises((UsageError, MissingError)):
        build("face", "sculpted", FaceSettings(made.folder, 640, 360))


def test_the_command_line(short: Path, cvi_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cvi.cli.app import app

    monkeypatch.setattr(pipeline, "voices_for", lambda sound: {})
    monkeypatch.setattr(pipeline, "build_tracker", BlobTracker)
    monkeypatch.setattr(
        pipeline.train_replica, "__defaults__", (*pipeline.train_replica.__defaults__[:2], BlobTracker)
    )
    words = [
        "train-replica",
        str(short),
        "--name",
        "pia",
        "--consent",
        CONSENT,
        "--quality",
        "tiny",
        "--anyway",
    ]
    result = CliRunner().invoke(app, [*words, "--steps", "4", "--device", "cpu", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["figures"]["pasted"]["hidden_psnr_db"] > 5
    shown = CliRunner().invoke(app, ["replica", "show", "pia"])
    assert shown.exit_code == 0 and "neural" in shown.output
