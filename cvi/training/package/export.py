"""A trained network -> a replica's folder: networks, cached features, base footage, rig, card."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from cvi.errors import CviError
from cvi.face.neural.base_footage import BaseFilm
from cvi.face.neural.compose import hidden_mask
from cvi.face.neural.decoder import FeatureScales, feature_scales
from cvi.face.neural.eyes import EyeTrack
from cvi.face.neural.mouth_map import MouthMap
from cvi.face.neural.rig import BASE, DECODER, FEATURES, RIG, NeuralRig, rig_bytes
from cvi.face.planes import to_rgb
from cvi.face.replica import CARD
from cvi.files import sha256_of, write_bytes
from cvi.training.clips.base_footage import FrameBlender, fetch_frames, write_base_film
from cvi.training.clips.eye_region import OpenEyes, cut_lids
from cvi.training.clips.transitions import ClipGraphPlan, FilmShot
from cvi.training.footage.crop import crop
from cvi.training.footage.preparation import PREPARED, PreparedFootage, begin_array, prepared_bytes
from cvi.training.footage.reader import Footage
from cvi.training.model.network import InpaintingNetwork
from cvi.training.model.onnx_network import ENCODER, OnnxEncoder, decoder_bytes, encoder_bytes

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, slots=True)
class ReplicaDescription:
    """What the card tells of where a replica comes from. `voices` suit it, by engine; `facts` are plain
    values for `training`."""

    name: str
    source: str
    licence: str
    description: str = ""
    voices: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def export_replica(
    folder: Path,
    network: InpaintingNetwork,
    prepared: PreparedFootage,
    plan: ClipGraphPlan,
    mouth: MouthMap,
    footage: Footage,
    awake: OpenEyes,
    lids: tuple[list[int], np.ndarray],
    eyes: EyeTrack,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> None:
    """Write everything but the card into an empty folder. `awake` and `lids` are what `blinks.watch` found,
    `eyes` those of every frame of the footage.
    Raises CviError where the disk refuses.

    Features are made from the base film as it will be decoded, so that the drawing's colours are its.
    """
    from safetensors.torch import save

    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    write_bytes(folder / WEIGHTS, save(state, {"side": str(network.size.side)}))
    write_bytes(folder / ENCODER, encoder_bytes(network))
    write_bytes(folder / DECODER, decoder_bytes(network))
    shots = plan.shots
    asked = {index for shot in shots for index in (shot.frame, shot.other)}
    wanted = {*asked, *lids[0], *(source for index in asked for source in awake.sources(index))}
    kept = fetch_frames(footage.frames(prepared.fps), wanted, folder)
    morph = FrameBlender()

    def show(place: int) -> np.ndarray:
        shot = shots[place]
        picture = awake.show(shot.frame, kept)
        return picture if not shot.share else morph.between(picture, awake.show(shot.other, kept), shot.share)

    write_base_film(folder / BASE, len(shots), show, prepared.fps, plan.keys)
    frames = [shot.frame for shot in shots if not shot.share]
    rows = {frame: row for row, frame in enumerate(dict.fromkeys(frames))}
    scales = _write_features(folder, prepared, shots, rows, progress)
    rig = NeuralRig(
        size=np.asarray(prepared.size, np.int32),
        fps=prepared.fps,
        matrices=np.stack([_between(prepared.matrices, shot) for shot in shots]),
        features=np.array([(rows[shot.frame], rows[shot.other]) for shot in shots], np.int32),
        shares=np.array([shot.share for shot in shots], np.float32),
        reach=np.stack([_mixed(prepared.reach, shot) for shot in shots]),
        side=prepared.side,
        mouth=mouth,
        blink=cut_lids(lids[0], lids[1], awake.eyes, prepared.matrices, kept),
        eyes=replace(
            eyes,
            lids=np.stack([_mixed(eyes.lids, shot) for shot in shots]),
            irises=np.stack([_mixed(eyes.irises, shot) for shot in shots]),
        ),
        clips=plan.reel,
        scales=scales,
    )
    write_bytes(folder / RIG, rig_bytes(rig))
    # What evaluation needs to know of the footage, without the pictures.
    write_bytes(folder / PREPARED, prepared_bytes(prepared))


def _write_features(
    folder: Path,
    prepared: PreparedFootage,
    shots: Sequence[FilmShot],
    rows: dict[int, int],
    progress: Callable[[int, int], None],
) -> FeatureScales:
    """The features of every frame of footage that the film shows, `rows` frame -> row."""
    encoder = OnnxEncoder(folder / ENCODER)
    base = BaseFilm(folder / BASE)
    done = 0
    low: np.ndarray = np.array(np.inf, np.float16)
    high = -low
    try:
        # Half precision aside first: what a byte means is known at the end.
        with tempfile.TemporaryFile(dir=folder) as file:
            for place, shot in enumerate(shots):
                if shot.share or rows[shot.frame] < done:
                    continue
                picture = crop(to_rgb(base.frame(place)), prepared.matrices[shot.frame], prepared.side)
                row = encoder.features(picture, hidden_mask(prepared.reach[shot.frame], prepared.side))
                low, high = np.minimum(low, row), np.maximum(high, row)
                file.write(row.tobytes())
                done += 1
                progress(done, len(rows))
            file.flush()
            scales = feature_scales(low.astype(np.float32), high.astype(np.float32), encoder.shapes)
            aside = np.memmap(file, np.float16, "r", shape=(done, len(low)))
            with (folder / FEATURES).open("wb") as out:
                begin_array(out, aside.shape)
                for row in aside:
                    out.write(scales.bytes_of(row).tobytes())
    except OSError as error:
        raise CviError(
            f"{folder} cannot be written to: {error.strerror or error}.", "Free some space and go on."
        ) from error
    finally:
        base.close()
    return scales


def _mixed(values: np.ndarray, shot: FilmShot) -> np.ndarray:
    """Of two frames' values, as far as the shot is from the one to the other."""
    mixed = values[shot.frame] * (1 - shot.share) + values[shot.other] * shot.share
    return np.asarray(mixed, np.float32)


def _between(matrices: np.ndarray, shot: FilmShot) -> np.ndarray:
    """From the shot to the crop: points of the crop go straight from the one place to the other."""
    if not shot.share:
        return np.asarray(matrices[shot.frame], np.float32)
    there, back = (
        cv2.invertAffineTransform(matrices[index].astype(np.float64)) for index in (shot.frame, shot.other)
    )
    mixed = there * (1 - shot.share) + back * shot.share
    return np.asarray(cv2.invertAffineTransform(mixed), np.float32)


def write_card(folder: Path, story: ReplicaDescription, extra: list[str]) -> None:
    """`replica.yaml` with the hash of every file; with it the replica is whole. `extra` are files beside the
    ones `export_replica` makes."""
    names = [BASE, DECODER, ENCODER, FEATURES, PREPARED, RIG, WEIGHTS, *extra]
    card = {
        "name": story.name,
        "kind": "trained",
        "renderer": "neural",
        "description": story.description,
        "source": story.source,
        "licence": story.licence,
        "voices": story.voices,
        "training": story.facts,
        "files": {name: sha256_of(folder / name) for name in sorted(names)},
    }
    text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100)
    write_bytes(folder / CARD, text.encode())
