"""Footage -> a replica: track, prepare, train, export, evaluate, store. Stopped anywhere, it goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ
from cvi.errors import UsageError
from cvi.face.speech_mouth import SpeechEncoder
from cvi.files import sha256_of, write_bytes
from cvi.media.decode import read_audio
from cvi.training.audio.mouth_controls import LearnedMouth, check_spoken
from cvi.training.audio.speech import delayed_to_film, fit_audio, read_script, voiced_frames
from cvi.training.clips.eye_region import eye_positions, find_eye_closures
from cvi.training.clips.pose_features import pose_features_of
from cvi.training.clips.selection import choose_clips
from cvi.training.clips.transitions import plan_clip_graph
from cvi.training.evaluation.calibration import calibrate
from cvi.training.evaluation.held_out import LEAST_FRAMES, Evaluation, RequestedMouths, evaluate
from cvi.training.evaluation.quality_report import report_page
from cvi.training.footage.crop import covered
from cvi.training.footage.face_geometry import filled
from cvi.training.footage.mesh_tracker import build_tracker
from cvi.training.footage.preparation import LEAST_TRAINING_S, PreparedFootage, load_prepared, prepare_footage
from cvi.training.footage.reader import Footage, open_footage
from cvi.training.footage.tracking import FaceTrack, FaceTracker
from cvi.training.grading.grader import GRADE, clean_frames, refuse_unusable, track_and_grade
from cvi.training.model.config import TIERS, Device, QualityTier, TrainingLength, choose_device
from cvi.training.package.consent import Consent, consent_file, give_consent, save_consent
from cvi.training.package.voice_match import voices_for
from cvi.training.workspace import TrainingWorkspace, open_workspace

if TYPE_CHECKING:
    from cvi.training.model.loop import TrainedNetwork

Stage = Literal["track", "prepare", "train", "export", "evaluate"]
Progress = Callable[[Stage, int, int, str], None]

METRICS, REPORT, SCRIPT = "metrics.json", "report.html", "script.txt"
LONGEST_HELD_OUT_S = 15.0
_HELD_OUT_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What to make. `consent` is the wording, or the path of a text or film of it, by `consent_by` where it
    does not say who. `minutes` of training in place of `steps`, which are the tier's where None;
    `held_out_s` None is a share of the footage; `script` what was read in it; `anyway` trains on footage that
    was graded unusable; `encoder` is what its sound is heard through (`cvi.face.speech_mouth`)."""

    video: Path
    name: str
    consent: str
    consent_by: str | None = None
    quality: str = "standard"
    device: str = "auto"
    minutes: float | None = None
    steps: int | None = None
    held_out_s: float | None = None
    script: Path | None = None
    seed: int = 0
    threads: int = 1
    anyway: bool = False
    encoder: Path | None = None


@dataclass(frozen=True, slots=True)
class TrainedReplica:
    """The replica's folder and how good it is; `evaluation` None where nothing was held out."""

    folder: Path
    evaluation: Evaluation | None


def train_replica(
    order: TrainingRequest,
    progress: Progress = lambda stage, done, of, note: None,
    stop: Callable[[], bool] = lambda: False,
    tracker: Callable[[], FaceTracker] = build_tracker,
) -> TrainedReplica | None:
    """Make it, or go on making it; None where `stop` ended the training, which goes on with the same order.

    Raises UsageError, MissingError, EngineError and CviError, with all that was done kept.
    """
    if order.quality not in TIERS:
        raise UsageError(f"--quality {order.quality} is not known.", f"Choose one of: {', '.join(TIERS)}.")
    shop = open_workspace(order.name)
    footage = open_footage(order.video)
    if not footage.has_sound:
        raise UsageError(f"{order.video} has no sound.", "Film again with sound: it learns from speech.")
    if order.held_out_s is not None and order.held_out_s + LEAST_TRAINING_S > footage.duration_s:
        raise UsageError(
            f"Of {footage.duration_s:.0f} s of footage, --hold-out {order.held_out_s:g} leaves too little.",
            "Hold out less, 0 for nothing, or give a longer film.",
        )
    source = sha256_of(order.video)
    consent = give_consent(order.consent, source, who=order.consent_by)
    script = None if order.script is None else read_script(order.script)
    device = choose_device(order.device, order.threads)
    with shop.alone():
        return _made(order, shop, footage, source, consent, script, device, progress, stop, tracker)


def _made(
    order: TrainingRequest,
    shop: TrainingWorkspace,
    footage: Footage,
    source: str,
    consent: Consent,
    script: str | None,
    device: Device,
    progress: Progress,
    stop: Callable[[], bool],
    tracker: Callable[[], FaceTracker],
) -> TrainedReplica | None:
    """All stages, with what was found good."""
    tier = TIERS[order.quality]
    held_out_s = _held_out_s(order, footage)
    shop.keep({"footage": source, "side": tier.most_side, "held_out_s": held_out_s})
    track, grade = track_and_grade(
        shop.folder, footage, tracker, lambda done, of: progress("track", done, of, "")
    )
    if not order.anyway:
        refuse_unusable(footage, grade)
    prepared = load_prepared(shop.folder)
    if prepared is None:
        prepared = prepare_footage(
            footage.frames(footage.working_fps),
            track,
            shop.folder,
            tier.most_side,
            held_out_s,
            clean_frames(track, grade),
            lambda done, of: progress("prepare", done, of, ""),
        )
    sound = read_audio(order.video, PLAYED_HZ)
    voiced = voiced_frames(sound, len(prepared), prepared.fps)
    # Before the hours of training, which would be in vain.
    check_spoken(int((prepared.train & voiced).sum()))
    trained = _train(
        shop.folder,
        prepared,
        tier,
        device,
        order,
        lambda done, of, note: progress("train", done, of, note),
        stop,
    )
    if trained is None:
        return None
    progress("export", 0, 1, "hearing the film's sound")
    encoder = None if order.encoder is None else SpeechEncoder(order.encoder)
    heard = fit_audio(sound, script, prepared, voiced, encoder)
    learned = heard.mouth
    folder = _exported(shop, trained.network, prepared, track, learned, footage, voiced, progress)
    asked = heard.by_script or heard.by_ear
    spoken = [asked[index] for index in np.flatnonzero(prepared.train & voiced).tolist()]
    gain = calibrate(folder, prepared, spoken, tracker)
    evaluation = None
    if prepared.test.sum() >= LEAST_FRAMES:
        evaluation = evaluate(
            folder,
            prepared,
            footage,
            RequestedMouths(
                delayed_to_film(heard.by_ear, learned.lag_frames),
                heard.by_script and delayed_to_film(heard.by_script, learned.lag_frames),
                [at_s + learned.lag_frames / prepared.fps for at_s in heard.closures_s],
            ),
            tracker,
            lambda done, of: progress("evaluate", done, of, ""),
        )
    facts = {
        "footage": {"file": order.video.name, "sha256": source, "path": str(order.video.absolute())},
        "quality": order.quality,
        "side_px": prepared.side,
        "steps": trained.steps,
        "seed": order.seed,
        "training_s": round(trained.took_s, 1),
        "device": device.name,
        "held_out_s": held_out_s,
        "graded": grade["verdict"],
        "picture_behind_sound_frames": learned.lag_frames,
        "smiles": learned.smiled,
        "jaw_asked_more": round(gain, 3),
        **heard.facts(),
    }
    film = consent_file(order.consent) if consent.kind == "film" else None
    extra = list(save_consent(consent, folder, film))
    write_bytes(folder / GRADE, json.dumps(grade, indent=1).encode())
    extra += [GRADE, *heard.store(folder)]
    if script is not None:
        write_bytes(folder / SCRIPT, script.encode())
        extra.append(SCRIPT)
    _store(shop, folder, order, facts, evaluation, extra, voices_for(sound))
    return TrainedReplica(shop.made, evaluation)


def _train(
    folder: Path,
    prepared: PreparedFootage,
    tier: QualityTier,
    device: Device,
    order: TrainingRequest,
    progress: Callable[[int, int, str], None],
    stop: Callable[[], bool],
) -> TrainedNetwork | None:
    """The training stage; None where `stop` ended it. torch is imported here, after `choose_device` found
    it."""
    from cvi.training.model.loop import train_network

    length = TrainingLength(order.steps or tier.steps, order.minutes)
    return train_network(folder, prepared, tier, device, length, order.seed, progress, stop)


def _exported(
    shop: TrainingWorkspace,
    network: Any,
    prepared: PreparedFootage,
    track: FaceTrack,
    learned: LearnedMouth,
    footage: Footage,
    voiced: npt.NDArray[np.bool_],
    progress: Progress,
) -> Path:
    from cvi.training.package.export import export_replica

    folder = shop.folder / "replica"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    landmarks = filled(track.landmarks, track.present)
    pieces = [(int(first), int(end)) for first, end in prepared.pieces]
    awake, blink, shut = find_eye_closures(
        landmarks, prepared.matrices, prepared.train, pieces, prepared.side, prepared.face_px, prepared.fps
    )
    bearing = pose_features_of(
        landmarks,
        prepared.train,
        voiced,
        prepared.opening,
        shut,
        covered(landmarks, prepared.matrices, prepared.reach, prepared.side),
        pieces,
        prepared.space.reference,
        prepared.fps,
    )
    clips = choose_clips(bearing, prepared.train, pieces, prepared.fps)
    export_replica(
        folder,
        network,
        prepared,
        plan_clip_graph(clips, bearing.place, prepared.fps),
        learned.mouth,
        footage,
        awake,
        (blink, shut),
        eye_positions(landmarks, prepared.matrices, prepared.train, awake.blinks, pieces),
        lambda done, of: progress("export", done, of, ""),
    )
    return folder


def _store(
    shop: TrainingWorkspace,
    folder: Path,
    order: TrainingRequest,
    facts: dict[str, Any],
    evaluation: Evaluation | None,
    extra: list[str],
    voices: dict[str, str],
) -> None:
    """The card, the report, and the folder put where replicas are, whole."""
    from cvi.training.package.export import ReplicaDescription, write_card

    if evaluation is not None:
        figures = {"frames": evaluation.frames, "figures": evaluation.figures}
        write_bytes(folder / METRICS, json.dumps(figures, indent=1).encode())
        about = {key: str(facts[key]) for key in ("quality", "side_px", "steps", "training_s", "device")}
        write_bytes(folder / REPORT, report_page(order.name, about, evaluation).encode())
        extra += [METRICS, REPORT]
    story = ReplicaDescription(
        name=order.name,
        source=f"trained from {order.video.name}",
        licence="the person's own, as far as their consent goes",
        description=f"Trained from footage, {order.quality}.",
        voices=voices,
        facts=facts,
    )
    write_card(folder, story, extra)
    shop.made.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(shop.made)
    shop.clear()


def _held_out_s(order: TrainingRequest, footage: Footage) -> float:
    if order.held_out_s is not None:
        return order.held_out_s
    return round(min(LONGEST_HELD_OUT_S, _HELD_OUT_SHARE * footage.duration_s), 2)
