"""Evaluate a finished replica again, on the same footage and the same held-out seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cvi.audio.block import PLAYED_HZ
from cvi.errors import MissingError, UsageError
from cvi.face.base import Controls
from cvi.face.replica import CARD, find_replica, load_replica_card
from cvi.face.speech_mouth import SpeechEncoder, best_reader
from cvi.files import sha256_of
from cvi.media.decode import read_audio
from cvi.models.installed import installed_speech_encoder
from cvi.perception.face_detection import FaceTracker
from cvi.perception.face_mesh import build_tracker
from cvi.training.audio.speech import (
    FilmSpeech,
    delayed_to_film,
    driver_controls,
    scripted_segments,
    unscripted_segments,
)
from cvi.training.evaluation.held_out import Evaluation, RequestedMouths, evaluate
from cvi.training.footage.preparation import load_prepared
from cvi.training.footage.reader import open_footage
from cvi.training.pipeline import SCRIPT
from cvi.yaml_document import read_yaml


def evaluate_again(
    name: str,
    footage: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
    tracker: Callable[[], FaceTracker] = build_tracker,
) -> Evaluation:
    """The evaluation of replica `name`; `footage` is the film's path where it has been moved. Raises
    MissingError for a replica or a film that does not exist, UsageError for an untrained replica or another
    film."""
    card = load_replica_card(find_replica(name))
    if card.renderer != "neural":
        raise UsageError(
            f"The replica {card.name} was not trained from footage.", "Measure it with: cvi bench lips"
        )
    training = _training(card.folder)
    film = footage or Path(str(training.get("path", "")))
    if not film.is_file():
        raise MissingError(
            f"The footage {film} the replica was trained from is not here.", "Say where it is with --footage."
        )
    if sha256_of(film) != training.get("sha256"):
        raise UsageError(f"{film} is not the film the replica was trained from.", "Give that one.")
    prepared = load_prepared(card.folder, with_crops=False)
    if prepared is None:
        raise UsageError(f"{card.folder} was made by another version.", "Train the replica again.")
    script = card.folder / SCRIPT
    text = script.read_text(encoding="utf-8") if script.is_file() else None
    sound = read_audio(film, PLAYED_HZ)
    lag = int(training.get("lag_frames", 0))
    encoder = installed_speech_encoder()
    reader = best_reader(card.folder, None if encoder is None else SpeechEncoder(encoder))

    def requested(segments: list[FilmSpeech]) -> list[Controls]:
        return delayed_to_film(driver_controls(segments, len(prepared), prepared.fps, reader), lag)

    from_script, closures_s = None, list[float]()
    if text is not None:
        segments, closures_s = scripted_segments(sound, text)
        from_script = requested(segments)
    return evaluate(
        card.folder,
        prepared,
        open_footage(film),
        RequestedMouths(
            requested(unscripted_segments(sound)),
            from_script,
            [at_s + lag / prepared.fps for at_s in closures_s],
        ),
        tracker,
        progress,
    )


def _training(folder: Path) -> dict[str, Any]:
    """What the card says about the footage, and its `lag_frames`."""
    data = read_yaml(folder / CARD)
    training = data.get("training")
    found = training.get("footage") if isinstance(training, dict) else None
    if not isinstance(found, dict):
        return {}
    return {**found, "lag_frames": training.get("picture_behind_sound_frames", 0)}
