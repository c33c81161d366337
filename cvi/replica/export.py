"""A trained network -> a replica's folder: networks, cached features, base footage, rig, card."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cvi.face.neural.base_loop import BaseLoop
from cvi.face.neural.colour import to_rgb
from cvi.face.neural.hidden import hidden_of
from cvi.face.neural.mouth_map import MouthMap
from cvi.face.neural.rig import BASE, DECODER, FEATURES, RIG, Rig, rig_bytes
from cvi.face.replica import CARD, digest, save_bytes
from cvi.replica.base_film import fetch, write_base
from cvi.replica.blinks import Awake, cut_lids
from cvi.replica.footage import Footage
from cvi.replica.idle import Loop
from cvi.replica.network import Network
from cvi.replica.onnx_files import decoder_bytes, encoder_bytes
from cvi.replica.painter import ENCODER, Encoder
from cvi.replica.prepared import PREPARED, Prepared, prepared_bytes
from cvi.replica.region import crop

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, slots=True)
class Story:
    """What the card tells of where a replica comes from. `voices` suit it, by engine; `facts` are plain
    values for `training`."""

    name: str
    source: str
    licence: str
    description: str = ""
    voices: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def export(
    folder: Path,
    network: Network,
    prepared: Prepared,
    loop: Loop,
    mouth: MouthMap,
    footage: Footage,
    awake: Awake,
    lids: tuple[list[int], np.ndarray],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> None:
    """Write everything but the card into an empty folder. `awake` and `lids` are what `blinks.watch` found.
    Raises CviError where the disk refuses.

    Features are made from the base film as it will be decoded, so that the drawing's colours are its.
    """
    from safetensors.torch import save

    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    save_bytes(folder / WEIGHTS, save(state, {"side": str(network.size.side)}))
    save_bytes(folder / ENCODER, encoder_bytes(network))
    save_bytes(folder / DECODER, decoder_bytes(network))
    order = [int(index) for index in loop.order]
    wanted = {*order, *lids[0], *(source for index in order for source in awake.sources(index))}
    kept = fetch(footage.frames(prepared.fps), wanted)
    write_base(folder / BASE, loop.order, lambda index: awake.show(index, kept), prepared.fps)
    shown, rows = np.unique(loop.order, return_inverse=True)
    encoder = Encoder(folder / ENCODER)
    base = BaseLoop(folder / BASE, len(loop.order))
    cached: dict[int, np.ndarray] = {}
    try:
        for place, row in enumerate(rows.tolist()):
            if row not in cached:
                matrix = prepared.matrices[int(loop.order[place])]
                picture = crop(to_rgb(base.frame(place)), matrix, prepared.side)
                hidden = hidden_of(prepared.reach[int(loop.order[place])], prepared.side)
                cached[row] = encoder.features(picture, hidden)
                progress(len(cached), len(shown))
    finally:
        base.close()
    stream = io.BytesIO()
    np.save(stream, np.stack([cached[row] for row in range(len(shown))]), allow_pickle=False)
    save_bytes(folder / FEATURES, stream.getvalue())
    rig = Rig(
        size=np.asarray(prepared.size, np.int32),
        fps=prepared.fps,
        matrices=prepared.matrices[loop.order],
        features=rows.astype(np.int32),
        reach=prepared.reach[loop.order],
        side=prepared.side,
        mouth=mouth,
        lids=cut_lids(lids[0], lids[1], awake.eyes, prepared.matrices, kept),
    )
    save_bytes(folder / RIG, rig_bytes(rig))
    # What evaluation needs to know of the footage, without the pictures.
    save_bytes(folder / PREPARED, prepared_bytes(prepared))


def write_card(folder: Path, story: Story, extra: list[str]) -> None:
    """`replica.yaml` with the hash of every file; with it the replica is whole. `extra` are files beside the
    ones `export` makes."""
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
        "files": {name: digest(folder / name) for name in sorted(names)},
    }
    text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100)
    save_bytes(folder / CARD, text.encode())
