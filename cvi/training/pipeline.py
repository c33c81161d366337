"""The training pipeline: footage -> a replica, in five stages. Interrupted anywhere, the same request
continues.

The stages `track` and `prepare` store their results in a workspace and `train` its checkpoint, so that a
later run finds them; `export` and `evaluate` are done again. The finished folder is moved to the replicas
whole.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvi.audio.block import PLAYED_HZ
from cvi.errors import UsageError
from cvi.face.consent import Consent
from cvi.face.speech_mouth import SpeechEncoder
from cvi.files import sha256_of, write_bytes
from cvi.media.decode import read_audio
from cvi.perception.face_detection import FaceTracker
from cvi.perception.face_mesh import build_tracker
from cvi.training.arrays import Bools
from cvi.training.audio.mouth_controls import check_spoken
from cvi.training.audio.speech import FittedAudio, delayed_to_film, fit_audio, read_script, voiced_frames
from cvi.training.clips.eye_region import eye_positions, find_eye_closures
from cvi.training.clips.pose_features import pose_features_of
from cvi.training.clips.selection import choose_clips
from cvi.training.clips.transitions import plan_clip_graph
from cvi.training.evaluation.calibration import calibrate
from cvi.training.evaluation.held_out import LEAST_FRAMES, Evaluation, RequestedMouths, evaluate
from cvi.training.evaluation.quality_report import report_page
from cvi.training.footage.face_geometry import covered, filled
from cvi.training.footage.preparation import LEAST_TRAINING_S, PreparedFootage, load_prepared, prepare_footage
from cvi.training.footage.reader import Footage, open_footage
from cvi.training.footage.tracking import FaceTrack
from cvi.training.grading.grader import GRADE, clean_frames, refuse_unusable, track_and_grade
from cvi.training.model.config import TIERS, Device, QualityTier, TrainingLength, choose_device
from cvi.training.package.cloned_voice import voices_for
from cvi.training.package.consent import consent_file, give_consent, save_consent
from cvi.training.stages import Progress, Stage
from cvi.training.workspace import TrainingWorkspace, open_workspace

if TYPE_CHECKING:
    from cvi.training.model.loop import TrainedNetwork

METRICS, REPORT, SCRIPT = "metrics.json", "report.html", "script.txt"
LONGEST_HELD_OUT_S = 15.0
_HELD_OUT_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """What to train. `consent` is the wording, or the path of a text or film of it, given by `consent_by`
    where it does not say who. `minutes` of training replace `steps`, which are the tier's where None;
    `held_out_s` None is a share of the footage; `script` what is read in it; `anyway` trains on footage
    graded unusable; `encoder` is the speech encoder's file, used where given."""

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
    """The replica's folder and its measurements; `evaluation` None where too little was held out."""

    folder: Path
    evaluation: Evaluation | None


@dataclass(frozen=True, slots=True)
class _Job:
    """A request that was checked, with everything it names opened."""

    request: TrainingRequest
    workspace: TrainingWorkspace
    footage: Footage
    footage_sha256: str
    consent: Consent
    script: str | None
    tier: QualityTier
    device: Device
    held_out_s: float


def train_replica(
    request: TrainingRequest,
    progress: Progress = lambda stage, done, of, note: None,
    stop: Callable[[], bool] = lambda: False,
    tracker: Callable[[], FaceTracker] = build_tracker,
) -> TrainedReplica | None:
    """Train a replica, or continue; None where `stop` ended the training, which the same request continues.

    `tracker` makes a face tracker for each sequence of frames. Raises UsageError, MissingError, EngineError
    and CviError; the results of finished stages are kept.
    """
    job = _checked(request)
    with job.workspace.locked():
        return _run_stages(job, progress, stop, tracker)


def _checked(request: TrainingRequest) -> _Job:
    """Everything that can be wrong with a request, found before anything is done. Raises UsageError,
    MissingError."""
    if request.quality not in TIERS:
        raise UsageError(f"--quality {request.quality} is not known.", f"Choose one of: {', '.join(TIERS)}.")
    if request.minutes is not None and request.steps is not None:
        raise UsageError("Give --minutes or --steps, not both.", "")
    workspace = open_workspace(request.name)
    footage = open_footage(request.video)
    if not footage.has_sound:
        raise UsageError(f"{request.video} has no sound.", "Film again with sound: it learns from speech.")
    held_out_s = request.held_out_s
    if held_out_s is None:
        held_out_s = round(min(LONGEST_HELD_OUT_S, _HELD_OUT_SHARE * footage.duration_s), 2)
    elif held_out_s + LEAST_TRAINING_S > footage.duration_s:
        raise UsageError(
            f"Of {footage.duration_s:.0f} s of footage, --hold-out {held_out_s:g} leaves too little.",
            "Hold out less, 0 for nothing, or give a longer film.",
        )
    sha256 = sha256_of(request.video)
    return _Job(
        request=request,
        workspace=workspace,
        footage=footage,
        footage_sha256=sha256,
        consent=give_consent(request.consent, sha256, who=request.consent_by),
        script=None if request.script is None else read_script(request.script),
        tier=TIERS[request.quality],
        device=choose_device(request.device, request.threads),
        held_out_s=held_out_s,
    )


def _run_stages(
    job: _Job, progress: Progress, stop: Callable[[], bool], tracker: Callable[[], FaceTracker]
) -> TrainedReplica | None:
    """All stages in order."""
    request, footage, work = job.request, job.footage, job.workspace.folder
    side, held_out_s = job.tier.most_side, job.held_out_s
    job.workspace.discard_outdated({"footage": job.footage_sha256, "side": side, "held_out_s": held_out_s})

    track, grade = track_and_grade(work, footage, tracker, _within("track", progress))
    if not request.anyway:
        refuse_unusable(footage, grade)

    prepared = load_prepared(work)
    if prepared is None:
        frames, clean = footage.frames(footage.working_fps), clean_frames(track, grade)
        prepared = prepare_footage(frames, track, work, side, held_out_s, clean, _within("prepare", progress))
    sound = read_audio(request.video, PLAYED_HZ)
    voiced = voiced_frames(sound, len(prepared), prepared.fps)
    # Before the hours of training, which need speech.
    check_spoken(int((prepared.train & voiced).sum()))

    trained = _train(job, prepared, progress, stop)
    if trained is None:
        return None

    progress("export", 0, 1, "fitting the film's sound")
    encoder = None if request.encoder is None else SpeechEncoder(request.encoder)
    audio = fit_audio(sound, job.script, prepared, voiced, encoder)
    folder = _export(job, prepared, track, voiced, trained, audio, progress)
    requested = audio.from_script or audio.from_sound
    spoken = [requested[index] for index in np.flatnonzero(prepared.train & voiced).tolist()]
    jaw_gain = calibrate(folder, prepared, spoken, tracker)

    evaluation = _evaluate(job, folder, prepared, audio, tracker, progress)
    facts = {
        **_facts(job, prepared, trained, audio),
        "graded": grade["verdict"],
        "jaw_asked_more": round(jaw_gain, 3),
    }
    _package(job, folder, facts, grade, audio, evaluation, trained.validation, voices_for(sound))
    return TrainedReplica(job.workspace.replica_folder, evaluation)


def _train(
    job: _Job, prepared: PreparedFootage, progress: Progress, stop: Callable[[], bool]
) -> TrainedNetwork | None:
    """The training stage; None where `stop` ended it. Imports torch, which `choose_device` found."""
    from cvi.training.model.loop import train_network

    request = job.request
    return train_network(
        job.workspace.folder,
        prepared,
        job.tier,
        job.device,
        TrainingLength(request.steps or job.tier.steps, request.minutes),
        request.seed,
        lambda done, of, note: progress("train", done, of, note),
        stop,
    )


def _export(
    job: _Job,
    prepared: PreparedFootage,
    track: FaceTrack,
    voiced: Bools,
    trained: TrainedNetwork,
    audio: FittedAudio,
    progress: Progress,
) -> Path:
    """Choose the clips and write the replica's files, all but the card, into a folder of the workspace."""
    from cvi.training.package.export import export_replica

    folder = job.workspace.folder / "replica"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    landmarks, matrices, train = filled(track.landmarks, track.present), prepared.matrices, prepared.train
    pieces = [(int(first), int(end)) for first, end in prepared.pieces]
    side, fps = prepared.side, prepared.fps
    open_eyes, blink, shut = find_eye_closures(
        landmarks, matrices, train, pieces, side, prepared.face_px, fps
    )
    chin_opacity = covered(landmarks, matrices, prepared.reach, side)
    reference = prepared.space.reference
    features = pose_features_of(
        landmarks, train, voiced, prepared.opening, shut, chin_opacity, pieces, reference, fps
    )
    clips = choose_clips(features, train, pieces, fps)
    export_replica(
        folder,
        trained.network,
        prepared,
        plan_clip_graph(clips, features.pose, fps),
        audio.mouth.mouth,
        job.footage,
        open_eyes,
        (blink, shut),
        eye_positions(landmarks, matrices, train, open_eyes.blinks, pieces),
        _within("export", progress),
    )
    return folder


def _evaluate(
    job: _Job,
    folder: Path,
    prepared: PreparedFootage,
    audio: FittedAudio,
    tracker: Callable[[], FaceTracker],
    progress: Progress,
) -> Evaluation | None:
    """Measure the replica on the held-out frames; None where there are too few."""
    if prepared.test.sum() < LEAST_FRAMES:
        return None
    lag = audio.mouth.lag_frames
    requested = RequestedMouths(
        delayed_to_film(audio.from_sound, lag),
        audio.from_script and delayed_to_film(audio.from_script, lag),
        [at_s + lag / prepared.fps for at_s in audio.closures_s],
    )
    return evaluate(folder, prepared, job.footage, requested, tracker, _within("evaluate", progress))


def _facts(
    job: _Job, prepared: PreparedFootage, trained: TrainedNetwork, audio: FittedAudio
) -> dict[str, Any]:
    """What the card says about the training."""
    video = job.request.video
    return {
        "footage": {"file": video.name, "sha256": job.footage_sha256, "path": str(video.absolute())},
        "quality": job.request.quality,
        "side_px": prepared.side,
        "steps": trained.steps,
        "seed": job.request.seed,
        "training_s": round(trained.took_s, 1),
        "device": job.device.name,
        "held_out_s": job.held_out_s,
        "picture_behind_sound_frames": audio.mouth.lag_frames,
        "smiles": audio.mouth.smiled,
        **audio.facts(),
    }


def _package(
    job: _Job,
    folder: Path,
    facts: dict[str, Any],
    grade: dict[str, Any],
    audio: FittedAudio,
    evaluation: Evaluation | None,
    validation: tuple[tuple[int, float], ...],
    voices: dict[str, str],
) -> None:
    """Add consent, grade, models, measurements and the card, and move the folder to the replicas."""
    from cvi.training.package.export import EXPORTED, ReplicaDescription, write_card

    request = job.request
    film = consent_file(request.consent) if job.consent.kind == "film" else None
    files = [*EXPORTED, *save_consent(job.consent, folder, film), *audio.store(folder)]

    def add(name: str, data: bytes) -> None:
        write_bytes(folder / name, data)
        files.append(name)

    add(GRADE, json.dumps(grade, indent=1).encode())
    if job.script is not None:
        add(SCRIPT, job.script.encode())
    if evaluation is not None:
        metrics = {
            "frames": evaluation.frames,
            "figures": evaluation.figures,
            "validation_loss": [list(point) for point in validation],
        }
        add(METRICS, json.dumps(metrics, indent=1).encode())
        about = {key: str(facts[key]) for key in ("quality", "side_px", "steps", "training_s", "device")}
        add(REPORT, report_page(request.name, about, evaluation, validation).encode())
    description = ReplicaDescription(
        name=request.name,
        kind="trained",
        renderer="neural",
        source=f"trained from {request.video.name}",
        text=f"Trained from footage, {request.quality}.",
        voices=voices,
        facts=facts,
    )
    write_card(folder, description, files)
    job.workspace.finish(folder)


def _within(stage: Stage, progress: Progress) -> Callable[[int, int], None]:
    return lambda done, of: progress(stage, done, of, "")
