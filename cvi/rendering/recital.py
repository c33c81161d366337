"""The speech of a film with everything known about it, on one time axis; it can be kept in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.audio.files import read_audio, write_wav
from cvi.errors import UsageError
from cvi.files import write_bytes
from cvi.rendering.script import Line
from cvi.tts.base import Phone, TtsEngine, Word

LEAD_S, TAIL_S = 0.4, 0.7
"""Seconds of quiet face before and after the speech."""
LONGEST_SOUND_S = 3 * 3600.0
_SOUND, _TIMES = "speech.wav", "speech.json"


@dataclass(frozen=True, slots=True)
class Said:
    """One piece of speech: its sound lies at [start, start + length) samples of the recital's.

    Times of `phones` and `words` are relative to the piece; `words` refer to `text`. `emotion` as in
    `Line`.
    """

    text: str
    start: int
    length: int
    phones: tuple[Phone, ...] = ()
    words: tuple[Word, ...] = ()
    emotion: str | None = None

    @property
    def start_s(self) -> float:
        return self.start / PLAYED_HZ

    @property
    def end_s(self) -> float:
        return (self.start + self.length) / PLAYED_HZ


@dataclass(frozen=True, slots=True)
class Recital:
    """`pcm`: int16 mono at PLAYED_HZ, the film's whole sound; `pieces` in order of time."""

    pcm: Pcm
    pieces: tuple[Said, ...]

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / PLAYED_HZ


async def recite(
    lines: Sequence[Line], voice: TtsEngine, progress: Callable[[int, int], None] = lambda done, of: None
) -> Recital:
    """Speak the lines one after the other. `progress(done, of)` is told after each.

    Raises EngineError from the voice, UsageError if nothing of it can be said.
    """
    sound: list[Pcm] = [_silence(LEAD_S)]
    pieces: list[Said] = []
    at = len(sound[0])
    for done, line in enumerate(lines, 1):
        if line.pause_s and pieces:
            sound.append(_silence(line.pause_s))
            at += len(sound[-1])
        emotion = line.emotion
        async with aclosing(voice.speak(line.text)) as spoken:  # type: ignore[type-var]
            async for speech in spoken:
                pieces.append(Said(line.text, at, len(speech.pcm), speech.phones, speech.words, emotion))
                sound.append(speech.pcm)
                at += len(speech.pcm)
                emotion = None
        progress(done, len(lines))
    if not pieces:
        raise UsageError(
            "The voice finds nothing to say in the text.", "Write words, or choose the text's language."
        )
    sound.append(_silence(TAIL_S))
    return Recital(np.concatenate(sound), tuple(pieces))


def given_sound(path: Path) -> Recital:
    """Recorded speech instead of a voice: no phones and no words, the sound alone drives the lips.

    Raises UsageError for a file that is no sound, silent, or longer than three hours.
    """
    from cvi.audio.files import is_silent

    if is_silent(path):
        raise UsageError(f"{path} is silent: nothing in it rises above -60 dB.", "Check the recording.")
    pcm = read_audio(path, PLAYED_HZ, LONGEST_SOUND_S)
    return Recital(np.concatenate([pcm, _silence(TAIL_S)]), (Said("", 0, len(pcm)),))


def save_recital(recital: Recital, folder: Path) -> None:
    """Keep a recital in a folder, made if need be; the times come last: a folder with times is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    write_wav(folder / _SOUND, recital.pcm, PLAYED_HZ)
    text = json.dumps([asdict(piece) for piece in recital.pieces], ensure_ascii=False)
    write_bytes(folder / _TIMES, text.encode())


def load_recital(folder: Path) -> Recital | None:
    """What `save_recital` kept; None when it is not there or not whole."""
    try:
        rows: list[dict[str, Any]] = json.loads((folder / _TIMES).read_text(encoding="utf-8"))
        pcm = read_audio(folder / _SOUND, PLAYED_HZ, LONGEST_SOUND_S + TAIL_S)
        pieces = tuple(
            Said(
                row["text"],
                int(row["start"]),
                int(row["length"]),
                tuple(Phone(**phone) for phone in row["phones"]),
                tuple(Word(**word) for word in row["words"]),
                row["emotion"],
            )
            for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError, UsageError):
        return None
    return Recital(pcm, pieces) if pieces and pieces[-1].start + pieces[-1].length <= len(pcm) else None


def _silence(length_s: float) -> Pcm:
    return np.zeros(round(length_s * PLAYED_HZ), np.int16)


