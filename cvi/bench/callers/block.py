"""Blocks of caller turns: sound files with labels, made of a recipe once and kept in `$CVI_HOME/cache`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.bench.callers.acoustics import QUIET_RMS, SPEECH_RMS, Wave, convolved, impulse_response, noise
from cvi.bench.callers.recipe import Recipe, RecipeBlock, RecipeTurn, RoomAcoustics
from cvi.bench.callers.speech import SynthesizedTurn, voices
from cvi.errors import CviError
from cvi.media.decode import read_audio, write_wav
from cvi.paths import home

# Raised when the same recipe would sound different.
VERSION = 2
LEAD_S = 1.0
BETWEEN_S = 1.6
# A segment begins this much before the voice and ends this much after it.
BEFORE_S, AFTER_S = 0.10, 0.30
BED_S = 20.0
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
    conditions: tuple[tuple[str, str | float], ...] = ()


@dataclass(frozen=True, slots=True)
class CallerBlock:
    """One conversation's worth of caller. `scenario` is a file `cvi talk` plays too; `sound` is the voice
    alone, `bed` the room's noise, which goes round without a seam."""

    name: str
    room: RoomAcoustics
    scenario: Path
    sound: Path
    bed: Path
    turns: tuple[CallerTurn, ...]

    def voice(self) -> Pcm:
        """The caller alone, at HEARD_HZ."""
        return read_audio(self.sound)

    def mixed(self) -> Pcm:
        """The caller in the room's noise, at the recording's own pace."""
        voice = self.voice()
        bed = read_audio(self.bed)
        around = np.tile(bed, -(-len(voice) // len(bed)))[: len(voice)]
        mixed: Pcm = np.clip(voice.astype(np.int32) + around, -32768, 32767).astype(np.int16)
        return mixed


def build_blocks(
    recipe: Recipe,
    *,
    turns: int | None = None,
    folder: Path | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> list[CallerBlock]:
    """The recipe's blocks, of at most `turns` turns in all, made where they are not there yet.

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
            blocks.append(_load(place, block.name, block.room, left))
            left -= len(blocks[-1].turns)
    return blocks


def _digest(block: RecipeBlock, seed: int) -> str:
    said = json.dumps([VERSION, seed, block.model_dump(mode="json")], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def _make(block: RecipeBlock, seed: int, place: Path) -> None:
    asyncio.run(_make_with_voices(block, seed, place))


async def _make_with_voices(block: RecipeBlock, seed: int, place: Path) -> None:
    rng = np.random.default_rng(seed)
    room = block.room
    response = impulse_response(room.rt60_s, room.direct_db, rng) if room.rt60_s else None
    said_around = _BABBLE if room.noise == "babble" else ()
    async with voices() as speakers:
        spoken = [await speakers.say(turn) for turn in block.turns]
        crowd = [await speakers.say(RecipeTurn(id="x", say=say, voice=who)) for who, say in said_around]
    sound, segments = _laid_out(block, spoken, response)
    bed_rms = QUIET_RMS if room.snr_db is None else SPEECH_RMS * 10 ** (-room.snr_db / 20)
    bed = bed_rms * noise(room.noise, round(BED_S * HEARD_HZ), rng, [voice.sound for voice in crowd])
    document = {"name": block.name, "audio": "voice.wav", "segments": segments}
    _keep(place, _pcm(sound), _pcm(bed), yaml.safe_dump(document, sort_keys=False))


def _keep(place: Path, voice: Pcm, bed: Pcm, labels: str) -> None:
    """The whole folder or nothing of it."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".making-", dir=place.parent))
        try:
            write_wav(part / "voice.wav", voice, HEARD_HZ)
            write_wav(part / "bed.wav", bed, HEARD_HZ)
            (part / "scenario.yaml").write_text(labels, encoding="utf-8")
            if not place.exists():  # somebody else may have made it meanwhile
                part.rename(place)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise CviError(
            f"The callers cannot be kept in {place.parent}: {error.strerror}.", "Set CVI_HOME elsewhere."
        ) from error


def _laid_out(
    block: RecipeBlock, spoken: Sequence[SynthesizedTurn], response: Wave | None
) -> tuple[Wave, list[dict[str, Any]]]:
    """The voices one after the other on one axis, and their labels."""
    room = block.room
    tail_s = AFTER_S + (0.7 * room.rt60_s if room.rt60_s else 0.0)
    total_s = LEAD_S + sum(turn.length_s + tail_s + BETWEEN_S for turn in spoken)
    sound = np.zeros(round(total_s * HEARD_HZ))
    segments: list[dict[str, Any]] = []
    at = round(LEAD_S * HEARD_HZ)
    for turn, said in zip(block.turns, spoken, strict=True):
        heard = said.sound if response is None else convolved(said.sound, response)
        heard = heard[: len(sound) - at]
        sound[at : at + len(heard)] += heard
        begin_s, end_s = at / HEARD_HZ, at / HEARD_HZ + said.end_s
        labels: dict[str, Any] = {
            "id": turn.id,
            "kind": turn.kind,
            "start_s": round(begin_s - BEFORE_S, 4),
            "end_s": round(begin_s + said.length_s + tail_s, 4),
            "speech_start_s": round(begin_s, 4),
            "speech_end_s": round(end_s, 4),
            "text": turn.text,
            "words": [[word, round(begin_s + a, 4), round(begin_s + b, 4)] for word, a, b in said.words],
        }
        if said.pauses:
            labels["pauses"] = [[round(begin_s + a, 4), round(begin_s + b, 4)] for a, b in said.pauses]
        if turn.into_reply_s is not None:
            labels["into_reply_s"] = turn.into_reply_s
        labels["conditions"] = _conditions(turn, room)
        segments.append(labels)
        at += round((said.length_s + tail_s + BETWEEN_S) * HEARD_HZ)
    return sound, segments


def _conditions(turn: RecipeTurn, room: RoomAcoustics) -> dict[str, str | float]:
    told: dict[str, str | float] = {"voice": turn.voice, "noise": room.noise}
    for name in ("snr_db", "rt60_s", "echo_db"):
        value = getattr(room, name)
        if value is not None:
            told[name] = value
    return told


def _load(place: Path, name: str, room: RoomAcoustics, count: int) -> CallerBlock:
    scenario = place / "scenario.yaml"
    segments = yaml.safe_load(scenario.read_text(encoding="utf-8"))["segments"][:count]
    turns = tuple(
        CallerTurn(
            id=segment["id"],
            kind=segment["kind"],
            text=segment["text"],
            start_s=segment["start_s"],
            end_s=segment["end_s"],
            speech_start_s=segment["speech_start_s"],
            speech_end_s=segment["speech_end_s"],
            words=tuple((word, a, b) for word, a, b in segment["words"]),
            pauses=tuple((a, b) for a, b in segment.get("pauses", [])),
            into_reply_s=segment.get("into_reply_s"),
            conditions=tuple(segment["conditions"].items()),
        )
        for segment in segments
    )
    return CallerBlock(name, room, scenario, place / "voice.wav", place / "bed.wav", turns)


def _pcm(sound: Wave) -> Pcm:
    return np.rint(np.clip(sound, -32768, 32767)).astype(np.int16)
