"""Footage -> a replica: track, prepare, train, export, evaluate, store. Stopped anywhere, it goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ
from cvi.errors import UsageError
from cvi.face.speech_mouth import SpeechEncoder
from cvi.files import sha256_of, write_bytes
from cvi.media.decode import read_audio
from cvi.training.bearing import bearing_of
from cvi.training.blinks import watch
from cvi.training.bridges import plan_reel
from cvi.training.calibration import calibrate
from cvi.training.casting import voices_for
from cvi.training.clips import choose_clips
from cvi.training.consent import Consent, consent_file, give_consent, save_consent
from cvi.training.device import Device, choose_device
from cvi.training.evaluation import LEAST_FRAMES, Asked, Evaluation, evaluate
from cvi.training.footage import Footage, open_footage
from cvi.training.geometry import filled
from cvi.training.hearing import hear
from cvi.training.irises import eyes_of
from cvi.training.landmarks import FaceTracker, Track
from cvi.training.looking import GRADE, clean_frames, look_at, refuse_unusable
from cvi.training.mesh import build_tracker
from cvi.training.prepared import LEAST_TRAINING_S, Prepared, load_prepared, prepare
from cvi.training.region import covered
from cvi.training.report import page
from cvi.training.scripted import read_script
from cvi.training.speaking import Learned, check_spoken
from cvi.training.tiers import TIERS
from cvi.training.trained import Length, train_network
from cvi.training.utterances import as_filmed, voiced_frames
from cvi.training.workshop import Workshop, open_workshop

Stage = Literal["track", "prepare", "train", "export", "evaluate"]
Progress = Callable[[Stage, int, int, str], None]

METRICS, REPORT, SCRIPT = "metrics.json", "report.html", "script.txt"
LONGEST_HELD_OUT_S = 15.0
_HELD_OUT_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Order:
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
class Made:
    """The replica's folder and how good it is; `evaluation` None where nothing was held out."""

    folder: Path
    evaluation: Evaluation | None


def make_replica(
    order: Order,
    progress: Progress = lambda stage, done, of, note: None,
    stop: Callable[[], bool] = lambda: False,
    tracker: Callable[[], FaceTracker] = build_tracker,
) -> Made | None:
    """Make it, or go on making it; None where `stop` ended the training, which goes on with the same order.

    Raises UsageError, MissingError, EngineError and CviError, with all that was done kept.
    """
    if order.quality not in TIERS:
        raise UsageError(f"--quality {order.quality} is not known.", f"Choose one of: {', '.join(TIERS)}.")
    shop = open_workshop(order.name)
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
    order: Order,
    shop: Workshop,
    footage: Footage,
    source: str,
    consent: Consent,
    script: str | None,
    device: Device,
    progress: Progress,
    stop: Callable[[], bool],
    tracker: Callable[[], FaceTracker],
) -> Made | None:
    """All stages, with what was found good."""
    tier = TIERS[order.quality]
    held_out_s = _held_out_s(order, footage)
    shop.keep({"footage": source, "side": tier.most_side, "held_out_s": held_out_s})
    track, grade = look_at(shop.folder, footage, tracker, lambda done, of: progress("track", done, of, ""))
    if not order.anyway:
        refuse_unusable(footage, grade)
    prepared = load_prepared(shop.folder)
    if prepared is None:
        prepared = prepare(
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
    trained = train_network(
        shop.folder,
        prepared,
        tier,
        device,
        Length(order.steps or tier.steps, order.minutes),
        order.seed,
        lambda done, of, note: progress("train", done, of, note),
        stop,
    )
    if trained is None:
        return None
    progress("export", 0, 1, "hearing the film's sound")
    encoder = None if order.encoder is None else SpeechEncoder(order.encoder)
    heard = hear(sound, script, prepared, voiced, encoder)
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
            Asked(
                as_filmed(heard.by_ear, learned.lag_frames),
                heard.by_script and as_filmed(heard.by_script, learned.lag_frames),
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
    return Made(shop.made, evaluation)


def _exported(
    shop: Workshop,
    network: Any,
    prepared: Prepared,
    track: Track,
    learned: Learned,
    footage: Footage,
    voiced: npt.NDArray[np.bool_],
    progress: Progress,
) -> Path:
    from cvi.training.export import export

    folder = shop.folder / "replica"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    landmarks = filled(track.landmarks, track.present)
    pieces = [(int(first), int(end)) for first, end in prepared.pieces]
    awake, blink, shut = watch(
        landmarks, prepared.matrices, prepared.train, pieces, prepared.side, prepared.face_px, prepared.fps
    )
    bearing = bearing_of(
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
    export(
        folder,
        network,
        prepared,
        plan_reel(clips, bearing.place, prepared.fps),
        learned.mouth,
        footage,
        awake,
        (blink, shut),
        eyes_of(landmarks, prepared.matrices, prepared.train, awake.blinks, pieces),
        lambda done, of: progress("export", done, of, ""),
    )
    return folder


def _store(
    shop: Workshop,
    folder: Path,
    order: Order,
    facts: dict[str, Any],
    evaluation: Evaluation | None,
    extra: list[str],
    voices: dict[str, str],
) -> None:
    """The card, the report, and the folder put where replicas are, whole."""
    from cvi.training.export import Story, write_card

    if evaluation is not None:
        figures = {"frames": evaluation.frames, "figures": evaluation.figures}
        write_bytes(folder / METRICS, json.dumps(figures, indent=1).encode())
        about = {key: str(facts[key]) for key in ("quality", "side_px", "steps", "training_s", "device")}
        write_bytes(folder / REPORT, page(order.name, about, evaluation).encode())
        extra += [METRICS, REPORT]
    story = Story(
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




def _held_out_s(order: Order, footage: Footage) -> float:
    if order.held_out_s is not None:
        return order.held_out_s
    return round(min(LONGEST_HELD_OUT_S, _HELD_OUT_SHARE * footage.duration_s), 2)
