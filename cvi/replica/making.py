"""Footage -> a replica: track, prepare, train, export, evaluate, store. Stopped anywhere, it goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.audio.files import read_audio
from cvi.errors import UsageError
from cvi.face.replica import digest, save_bytes
from cvi.replica.checkpoint import peek
from cvi.replica.consent import give_consent, save_consent
from cvi.replica.device import Device, choose_device
from cvi.replica.evaluation import LEAST_FRAMES, Evaluation, evaluate
from cvi.replica.footage import Footage, open_footage
from cvi.replica.geometry import filled
from cvi.replica.idle import choose_loop
from cvi.replica.landmarks import FaceTracker, Track, load_track, save_track, track_frames
from cvi.replica.mesh import build_tracker
from cvi.replica.prepared import Prepared, load_prepared, prepare
from cvi.replica.report import page
from cvi.replica.speaking import Learned, Utterance, asked, learn_mouth, voiced_frames, whole_sound
from cvi.replica.tiers import TIERS, Tier
from cvi.replica.workshop import Workshop, open_workshop

Stage = Literal["track", "prepare", "train", "export", "evaluate"]
Progress = Callable[[Stage, int, int, str], None]

METRICS, REPORT, PREVIEW, SCRIPT = "metrics.json", "report.html", "preview.png", "script.txt"
LONGEST_HELD_OUT_S = 15.0
_HELD_OUT_SHARE = 0.15
_PREVIEW_EVERY = 50


@dataclass(frozen=True, slots=True)
class Order:
    """What to make. `consent` is the wording, or the path of a text or film of it, by `consent_by` where it
    does not say who. `minutes` of training in place of `steps`, which are the tier's where None;
    `held_out_s` None is a share of the footage; `script` what was read in it."""

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
    tier = TIERS[order.quality]
    shop = open_workshop(order.name)
    footage = open_footage(order.video)
    if not footage.has_sound:
        raise UsageError(f"{order.video} has no sound.", "A replica learns to speak from speech.")
    source = digest(order.video)
    consent = give_consent(order.consent, source, who=order.consent_by)
    script = _script(order)
    device = choose_device(order.device, order.threads)
    held_out_s = _held_out_s(order, footage)
    shop.keep({"footage": source, "side": tier.most_side, "held_out_s": held_out_s})
    track = _tracked(shop, footage, tracker, progress)
    prepared = load_prepared(shop.folder)
    if prepared is None:
        prepared = prepare(
            footage.frames(footage.working_fps),
            track,
            shop.folder,
            tier.most_side,
            held_out_s,
            lambda done, of: progress("prepare", done, of, ""),
        )
    network, took_s, steps = _trained(order, tier, shop, prepared, device, progress, stop) or (None, 0.0, 0)
    if network is None:
        return None
    sound = read_audio(order.video, PLAYED_HZ)
    utterances, closures_s = spoken(sound, script)
    controls = asked(utterances, len(prepared), prepared.fps)
    learned = learn_mouth(
        prepared.space,
        prepared.mouth,
        controls,
        prepared.train,
        voiced_frames(sound, len(prepared), prepared.fps),
    )
    folder = _exported(shop, network, prepared, track, learned, footage, sound, progress)
    evaluation = None
    if prepared.test.sum() >= LEAST_FRAMES:
        evaluation = evaluate(
            folder,
            prepared,
            footage,
            controls,
            tracker,
            closures_s,
            lambda done, of: progress("evaluate", done, of, ""),
        )
    facts = {
        "footage": {"file": order.video.name, "sha256": source, "path": str(order.video.absolute())},
        "quality": order.quality,
        "side_px": prepared.side,
        "steps": steps,
        "seed": order.seed,
        "training_s": round(took_s, 1),
        "device": device.name,
        "held_out_s": held_out_s,
        "script_sentences": sum(bool(utterance.phones) for utterance in utterances),
        "picture_behind_sound_frames": learned.lag_frames,
        "smiles": learned.smiled,
    }
    extra = list(save_consent(consent, folder, Path(order.consent) if consent.kind == "film" else None))
    if script is not None:
        save_bytes(folder / SCRIPT, script.encode())
        extra.append(SCRIPT)
    _store(shop, folder, order, facts, evaluation, extra)
    return Made(shop.made, evaluation)


def _tracked(
    shop: Workshop, footage: Footage, tracker: Callable[[], FaceTracker], progress: Progress
) -> Track:
    if shop.track.is_file():
        return load_track(shop.track)
    fps = footage.working_fps
    count = round(footage.duration_s * fps)
    sees = tracker()
    try:
        track = track_frames(
            footage.frames(fps), sees, fps, lambda done: progress("track", done, max(done, count), "")
        )
    finally:
        sees.close()
    if not track.present.any():
        raise UsageError(
            f"No face is seen in {footage.path}.", "Film one person, facing the camera, in good light."
        )
    save_track(track, shop.track)
    return track


def _trained(
    order: Order,
    tier: Tier,
    shop: Workshop,
    prepared: Prepared,
    device: Device,
    progress: Progress,
    stop: Callable[[], bool],
) -> tuple[Any, float, int] | None:
    from cvi.replica.training import Plan, Reached, Trainer, seconds_per_step

    size = tier.network(prepared.side, prepared.mouth.shape[1])
    plan = Plan(size, order.steps or tier.steps, batch=tier.batch, seed=order.seed)
    if order.minutes is not None:
        before = peek(shop.folder)
        again = None if before is None else Plan(size, before.total, batch=tier.batch, seed=order.seed)
        if again is not None and before is not None and before.plan == again.text():
            plan = again  # the number of steps was settled when the run began
        else:
            pace = seconds_per_step(prepared, plan, shop.folder, device)
            plan = Plan(size, max(1, round(order.minutes * 60 / pace)), batch=tier.batch, seed=order.seed)
    trainer = Trainer(prepared, plan, shop.folder, device)
    looked_at = _spread(np.flatnonzero(prepared.test if prepared.test.any() else prepared.train), 6)

    def reached(state: Reached) -> None:
        if state.step % _PREVIEW_EVERY == 0 or state.step == state.total:
            _preview(shop.folder / PREVIEW, prepared.crops[looked_at], trainer.draw(looked_at))
        left = f"{state.left_s / 60:.0f} min left" if state.left_s > 90 else f"{state.left_s:.0f} s left"
        progress("train", state.step, state.total, f"loss {state.loss:.4f}, {left}")

    if not trainer.run(reached, stop):
        return None
    return trainer.network, trainer.took_s, plan.steps


def _exported(
    shop: Workshop,
    network: Any,
    prepared: Prepared,
    track: Track,
    learned: Learned,
    footage: Footage,
    sound: Pcm,
    progress: Progress,
) -> Path:
    from cvi.replica.export import export

    folder = shop.folder / "replica"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    loop = choose_loop(
        filled(track.landmarks, track.present),
        prepared.train,
        voiced_frames(sound, len(prepared), prepared.fps),
        prepared.pieces,
        prepared.fps,
    )
    export(
        folder,
        network,
        prepared,
        loop,
        learned.mouth,
        footage,
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
) -> None:
    """The card, the report, and the folder put where replicas are, whole."""
    import json

    from cvi.replica.export import Story, write_card

    if evaluation is not None:
        figures = {"frames": evaluation.frames, "figures": evaluation.figures}
        save_bytes(folder / METRICS, json.dumps(figures, indent=1).encode())
        about = {key: str(facts[key]) for key in ("quality", "side_px", "steps", "training_s", "device")}
        save_bytes(folder / REPORT, page(order.name, about, evaluation).encode())
        extra += [METRICS, REPORT]
    story = Story(
        name=order.name,
        source=f"trained from {order.video.name}",
        licence="the person's own, as far as their consent goes",
        description=f"Trained from footage, {order.quality}.",
        facts=facts,
    )
    write_card(folder, story, extra)
    shop.made.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(shop.made)
    shop.clear()


def spoken(sound: Pcm, script: str | None) -> tuple[list[Utterance], list[float]]:
    """The film's speech for the driver, and when lips must meet: known where there is a script.

    `sound` at PLAYED_HZ. Raises MissingError without the aligner.
    """
    if script is None:
        return whole_sound(sound), []
    from cvi.replica.scripted import scripted_sound

    return scripted_sound(sound, script)


def _script(order: Order) -> str | None:
    if order.script is None:
        return None
    try:
        return order.script.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{order.script} cannot be read ({error}).", "Give a UTF-8 text file.") from error


def _held_out_s(order: Order, footage: Footage) -> float:
    if order.held_out_s is not None:
        return order.held_out_s
    return round(min(LONGEST_HELD_OUT_S, _HELD_OUT_SHARE * footage.duration_s), 2)


def _spread(frames: np.ndarray, count: int) -> list[int]:
    return [int(frames[i]) for i in np.linspace(0, len(frames) - 1, count).astype(int)]


def _preview(path: Path, truth: np.ndarray, drawn: np.ndarray) -> None:
    """Truth above, drawing below."""
    import cv2

    sheet = np.concatenate([np.concatenate(list(truth), 1), np.concatenate(list(drawn), 1)], 0)
    done, data = cv2.imencode(".png", sheet[..., ::-1])
    assert done
    save_bytes(path, data.tobytes())
