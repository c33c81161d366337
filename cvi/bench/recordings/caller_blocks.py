"""Recorded callers: sound files with labels, made of a recipe once and kept in `$CVI_HOME/cache`.

`build_blocks` gives them as blocks, one conversation each; `read_callers` as labelled recordings. As such
they measure a voice detector and a recognizer in known noise. They measure nothing of an acoustic turn
model, which hears melody and breath: these voices have neither.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import yaml
from pydantic import TypeAdapter

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.bench.recordings.labelled_recordings import (
    SHORTEST_SILENCE_S,
    LabelledTurn,
    LabelledUtterance,
    Overlap,
    Recordings,
    Silence,
)
from cvi.bench.recordings.recipe import (
    Recipe,
    RecipeBlock,
    RecipeTurn,
    RoomAcoustics,
    find_recipe,
    load_recipe,
)
from cvi.bench.recordings.synthesis import (
    QUIET_RMS,
    SPEECH_RMS,
    SynthesizedTurn,
    Wave,
    caller_voices,
    convolved,
    impulse_response,
    noise,
)
from cvi.errors import CviError
from cvi.media.decode import read_audio, write_wav
from cvi.paths import home
from cvi.transport.scenario import LEAD_S, Scenario, load_scenario, split_by_silence
from cvi.yaml_document import read_yaml

# Raised when the same recipe would sound different.
VERSION = 2
BLOCK_LEAD_S = 1.0
BETWEEN_S = 1.6
# A segment begins this much before the voice and ends this much after it.
BEFORE_S, AFTER_S = 0.10, 0.30
NOISE_S = 20.0
_BABBLE = (
    ("flite:slt", "The quick boat went over the river and far into the hills beyond the town."),
    ("flite:awb", "Nobody had thought of the weather, so we took the longer way home again."),
    ("flite:kal16", "She said that seven people came, and that all of them wanted to stay."),
    ("espeak:en-gb-x-rp+f3", "There is a table near the window where we could sit down for a while."),
)


@dataclass(frozen=True, slots=True)
class CallerTurn:
    """One thing the caller says; seconds in the block's sound. `speech_end_s` is the voice's true end:
    the dry voice's, before any echo of the room. See `SynthesizedTurn` for words and pauses."""

    id: str
    kind: str
    text: str
    start_s: float
    end_s: float
    speech_start_s: float
    speech_end_s: float
    words: tuple[tuple[str, float, float], ...] = ()
    pauses: tuple[tuple[float, float], ...] = ()
    into_reply_s: float | None = None
    conditions: dict[str, str | float] = field(default_factory=dict)


_TURNS = TypeAdapter(tuple[CallerTurn, ...])


@dataclass(frozen=True, slots=True)
class CallerBlock:
    """One conversation's worth of caller. `scenario` is what a transport plays, the voice alone; `noise` the
    file of the room's noise, which goes round without a seam."""

    name: str
    scenario: Scenario
    turns: tuple[CallerTurn, ...]
    noise: Path | None = None
    room: RoomAcoustics = field(default_factory=RoomAcoustics)

    def voice(self) -> Pcm:
        """The caller alone, at HEARD_HZ: what the labels are about."""
        return read_audio(self.scenario.audio)

    def room_noise(self) -> Pcm | None:
        """The room's noise at HEARD_HZ; None for a recording, which has its own."""
        return None if self.noise is None else read_audio(self.noise)

    def mixed(self) -> Pcm:
        """The caller in the room's noise, at the recording's own pace."""
        voice, room = self.voice(), self.room_noise()
        if room is None:
            return voice
        repeated = np.resize(room, len(voice)).astype(np.int32)
        mixed: Pcm = np.clip(voice + repeated, -32768, 32767).astype(np.int16)
        return mixed


def build_blocks(
    recipe: Recipe,
    *,
    turns: int | None = None,
    folder: Path | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> list[CallerBlock]:
    """The recipe's blocks, of at most `turns` turns in all, made where they do not exist yet.

    `folder` is where they are kept, the cache by default. Raises MissingError where a voice is not
    installed, UsageError for an unknown one, CviError when they cannot be written.
    """
    root = folder or home() / "cache" / "callers"
    blocks: list[CallerBlock] = []
    left = len(recipe.turns) if turns is None else turns
    # espeak-ng's breath depends on all it has said before: each block has a process of its own.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as makers:
        for number, block in enumerate(recipe.blocks):
            if left <= 0:
                break
            # By what the whole block is, so that fewer turns of it sound the same.
            seed = recipe.seed * 1000 + number
            place = root / f"{recipe.name}-{block.name}-{_digest(block, seed)}"
            if not (place / "scenario.yaml").is_file():
                progress(f"{recipe.name}/{block.name}")
                makers.submit(_make, block, seed, place).result()
            blocks.append(_load(place, block, left))
            left -= len(blocks[-1].turns)
    return blocks


def block_of_file(path: Path, most: int | None = None) -> CallerBlock:
    """A scenario file, or a recording parted where it is silent; `most` turns of it. Raises UsageError."""
    is_scenario = path.suffix.lower() in (".yaml", ".yml")
    scenario = load_scenario(path) if is_scenario else Scenario(path)
    segments = (scenario.segments or split_by_silence(scenario.audio))[:most]
    turns = tuple(
        CallerTurn(
            id=f"{path.stem}-{number:02d}",
            kind="barge_in" if segment.into_reply_s is not None else "question",
            text=segment.text,
            start_s=segment.start_s,
            end_s=segment.end_s,
            speech_start_s=segment.start_s + (0.0 if is_scenario else LEAD_S),
            speech_end_s=segment.speech_end_s if segment.speech_end_s is not None else segment.end_s,
            into_reply_s=segment.into_reply_s,
        )
        for number, segment in enumerate(segments, 1)
    )
    return CallerBlock(path.stem, replace(scenario, segments=segments), turns)


def _digest(block: RecipeBlock, seed: int) -> str:
    identity = json.dumps([VERSION, seed, block.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:12]


def _make(block: RecipeBlock, seed: int, place: Path) -> None:
    asyncio.run(_synthesize(block, seed, place))


async def _synthesize(block: RecipeBlock, seed: int, place: Path) -> None:
    rng = np.random.default_rng(seed)
    room = block.room
    response = impulse_response(room.rt60_s, room.direct_db, rng) if room.rt60_s else None
    crowd = _BABBLE if room.noise == "babble" else ()
    async with caller_voices() as voices:
        spoken = [await voices.say(turn) for turn in block.turns]
        others = [await voices.say(RecipeTurn(id="x", say=say, voice=voice)) for voice, say in crowd]
    sound, turns = _lay_out(block, spoken, response)
    noise_rms = QUIET_RMS if room.snr_db is None else SPEECH_RMS * 10 ** (-room.snr_db / 20)
    shape = noise(room.noise, round(NOISE_S * HEARD_HZ), rng, [voice.sound for voice in others])
    segments = _TURNS.dump_python(tuple(turns), mode="json", exclude_defaults=True)
    document = {"name": block.name, "audio": "voice.wav", "segments": segments}
    _store(place, _pcm(sound), _pcm(noise_rms * shape), yaml.safe_dump(document, sort_keys=False))


def _store(place: Path, voice: Pcm, room_noise: Pcm, labels: str) -> None:
    """Write the whole folder or nothing of it."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".making-", dir=place.parent))
        try:
            write_wav(part / "voice.wav", voice, HEARD_HZ)
            write_wav(part / "bed.wav", room_noise, HEARD_HZ)
            (part / "scenario.yaml").write_text(labels, encoding="utf-8")
            if not place.exists():  # another process may have made it meanwhile
                part.rename(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise CviError(
            f"The callers cannot be kept in {place.parent}: {error.strerror}.", "Set CVI_HOME elsewhere."
        ) from error


def _lay_out(
    block: RecipeBlock, spoken: Sequence[SynthesizedTurn], response: Wave | None
) -> tuple[Wave, list[CallerTurn]]:
    """The voices one after the other on one axis, and their labels."""
    room = block.room
    values = {"snr_db": room.snr_db, "rt60_s": room.rt60_s, "echo_db": room.echo_db}
    measured = {name: value for name, value in values.items() if value is not None}
    tail_s = AFTER_S + (0.7 * room.rt60_s if room.rt60_s else 0.0)
    total_s = BLOCK_LEAD_S + sum(turn.length_s + tail_s + BETWEEN_S for turn in spoken)
    sound = np.zeros(round(total_s * HEARD_HZ))
    turns: list[CallerTurn] = []
    at = round(BLOCK_LEAD_S * HEARD_HZ)
    for turn, voice in zip(block.turns, spoken, strict=True):
        heard = voice.sound if response is None else convolved(voice.sound, response)
        heard = heard[: len(sound) - at]
        sound[at : at + len(heard)] += heard
        begin_s = at / HEARD_HZ

        def shifted(at_s: float, begin_s: float = begin_s) -> float:
            return round(begin_s + at_s, 4)

        turns.append(
            CallerTurn(
                id=turn.id,
                kind=turn.kind,
                text=turn.text,
                start_s=shifted(-BEFORE_S),
                end_s=shifted(voice.length_s + tail_s),
                speech_start_s=shifted(0.0),
                speech_end_s=shifted(voice.end_s),
                words=tuple((word, shifted(a), shifted(b)) for word, a, b in voice.words),
                pauses=tuple((shifted(a), shifted(b)) for a, b in voice.pauses),
                into_reply_s=turn.into_reply_s,
                conditions={"voice": turn.voice, "noise": room.noise, **measured},
            )
        )
        at += round((voice.length_s + tail_s + BETWEEN_S) * HEARD_HZ)
    return sound, turns


def _load(place: Path, block: RecipeBlock, count: int) -> CallerBlock:
    scenario = load_scenario(place / "scenario.yaml")
    turns = _TURNS.validate_python(read_yaml(place / "scenario.yaml")["segments"][:count])
    scenario = replace(scenario, segments=scenario.segments[: len(turns)])
    return CallerBlock(block.name, scenario, turns, place / "bed.wav", block.room)


def _pcm(sound: Wave) -> Pcm:
    return np.rint(np.clip(sound, -32768, 32767)).astype(np.int16)


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
