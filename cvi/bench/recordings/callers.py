"""The callers of a recipe as labelled recordings: synthetic voices, with labels from their synthesis.

They measure a voice detector and a recognizer in known noise. They measure nothing of an acoustic turn model,
which hears melody and breath: these voices have neither.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.bench.callers.blocks import CallerBlock, CallerTurn, build_blocks
from cvi.bench.callers.recipe import find_recipe, load_recipe
from cvi.bench.recordings.labelled_recordings import (
    SHORTEST_SILENCE_S,
    LabelledTurn,
    LabelledUtterance,
    Overlap,
    Recordings,
    Silence,
)

_LEAD_S = 0.4
# Before a voice that speaks over the persona, so that the persona is well under way.
_MONOLOGUE_S = 2.0
_AFTER_S = 1.0


def read_callers(
    recipe: str, turns: int | None = None, progress: Callable[[str], None] = lambda name: None
) -> Recordings:
    """The first `turns` of a recipe, synthesized where they are not in the cache yet.

    `progress` is told the name of each block. Raises UsageError, MissingError, CviError.
    """
    found = Recordings()
    for block in build_blocks(load_recipe(find_recipe(recipe)), turns=turns, progress=progress):
        for turn in block.turns:
            _add(found, block, turn)
    return found


def _add(found: Recordings, block: CallerBlock, turn: CallerTurn) -> None:
    if turn.kind in ("barge_in", "backchannel"):
        until_s = _MONOLOGUE_S + turn.speech_end_s - turn.speech_start_s
        sound = partial(_over_a_reply, block, turn)
        is_bid = turn.kind == "barge_in"
        found.overlaps.append(Overlap(turn.id, "callers", _MONOLOGUE_S, is_bid, sound, turn.text, until_s))
        return
    from_s = max(turn.speech_start_s - _LEAD_S, 0.0)
    pauses = [
        Silence(start_s - from_s, end_s - from_s, is_end=False)
        for start_s, end_s in turn.pauses
        if end_s - start_s >= SHORTEST_SILENCE_S
    ]
    end = Silence(turn.speech_end_s - from_s, None, is_end=True)
    sound = partial(_turn_alone, block, from_s, turn.end_s)
    found.turns.append(LabelledTurn(turn.id, "callers", turn.id, (*pauses, end), sound))
    found.utterances.append(LabelledUtterance(turn.id, turn.kind, turn.text, sound, end.start_s))


def _turn_alone(block: CallerBlock, from_s: float, to_s: float) -> Pcm:
    return block.mixed()[round(from_s * HEARD_HZ) : round(to_s * HEARD_HZ)]


def _over_a_reply(block: CallerBlock, turn: CallerTurn) -> Pcm:
    """The room's noise for two seconds, then the voice in it."""
    mixed = block.mixed()
    begin = round(turn.speech_start_s * HEARD_HZ)
    speech = mixed[begin : round((turn.end_s + _AFTER_S) * HEARD_HZ)]
    noise = (mixed.astype(np.int32) - block.voice()).astype(np.int16)
    return np.concatenate([noise[: round(_MONOLOGUE_S * HEARD_HZ)], speech])
