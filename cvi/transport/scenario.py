"""What a recorded caller says and when: a scenario file, or what the silences of a recording tell.

    audio: caller.wav
    picture: caller.mp4          # optional; the sound's file if that has a picture
    screen: screen.mp4           # optional: a film of the screen that the caller shares, from
    screen_start_s: 40.0         # this moment on
    segments:
      - {start_s: 0.0, end_s: 2.4, text: "Hello there.", speech_end_s: 2.1}

Times are seconds in the audio file. A segment with `into_reply_s` is spoken over a reply, that long
after the persona is next heard. `text` and `speech_end_s` (the true end of the speech) are for
measuring, and so are the labels that only `cvi bench` reads (id, kind, words, pauses, conditions ...);
nothing in a conversation hears of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, HOP_S, HOP_SAMPLES
from cvi.errors import UsageError
from cvi.files import is_file
from cvi.media.readers import AudioReader
from cvi.yaml_document import read_yaml

# A pause this long parts two segments; shorter ones are a speaker's own.
PARTING_SILENCE_S = 1.2
# Kept around the speech of a segment, because first and last consonants are quiet.
LEAD_S, TAIL_S = 0.15, 0.30
SHORTEST_SPEECH_S = 0.08
_KEYS = {"audio", "picture", "screen", "screen_start_s", "segments", "name", "room"}
_LABELS = {"id", "kind", "speech_start_s", "words", "pauses", "conditions"}
_SEGMENT_KEYS = {"start_s", "end_s", "text", "speech_end_s", "into_reply_s"} | _LABELS


@dataclass(frozen=True, slots=True)
class Segment:
    """One thing the caller says, seconds in the file; `speech_end_s` is when the voice truly ends.

    With `into_reply_s` a waiting caller does not wait for the reply's end but speaks over it.
    """

    start_s: float
    end_s: float
    text: str = ""
    speech_end_s: float | None = None
    into_reply_s: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """`picture` is a video file of the caller, or None; `screen` one of the screen that is shared from
    `screen_start_s`, seconds in the audio file, on."""

    audio: Path
    segments: tuple[Segment, ...] = ()
    picture: Path | None = None
    screen: Path | None = None
    screen_start_s: float = 0.0


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file; paths in it are relative to it. Raises UsageError."""
    document = read_yaml(path)
    if not isinstance(document, dict) or not isinstance(document.get("audio"), str):
        raise UsageError(f"{path}: a scenario needs `audio: FILE`.", "Write the name of a recording there.")
    _refuse_unknown(path, "the scenario", set(document), _KEYS)
    audio = _file(path, document, "audio")
    assert audio is not None
    start_s = _seconds(path, "the scenario", "screen_start_s", document.get("screen_start_s", 0.0))
    segments = _segments(path, document.get("segments") or [])
    return Scenario(
        audio, segments, _file(path, document, "picture"), _file(path, document, "screen"), start_s
    )


def _file(path: Path, document: dict[str, Any], key: str) -> Path | None:
    name = document.get(key)
    if name is None:
        return None
    if not isinstance(name, str):
        raise UsageError(f"{path}: `{key}` must name a file.", "Give a path, or leave it out.")
    file = path.parent / name
    if not is_file(file):
        raise UsageError(
            f"{path}: there is no file {str(file)[:150]}.", "Paths are relative to the scenario."
        )
    return file


def _segments(path: Path, entries: Any) -> tuple[Segment, ...]:
    if not isinstance(entries, list):
        raise UsageError(f"{path}: `segments` must be a list.", "Write each as `- {start_s: 0, end_s: 2}`.")
    segments: list[Segment] = []
    for number, entry in enumerate(entries, 1):
        where = f"segment {number}"
        if not isinstance(entry, dict):
            raise UsageError(f"{path}: {where} is not a mapping.", "Write `- {start_s: 0, end_s: 2}`.")
        _refuse_unknown(path, where, set(entry), _SEGMENT_KEYS)
        start_s, end_s = (_seconds(path, where, key, entry.get(key)) for key in ("start_s", "end_s"))
        said_until = entry.get("speech_end_s")
        speech_end_s = None if said_until is None else _seconds(path, where, "speech_end_s", said_until)
        if end_s <= start_s:
            raise UsageError(f"{path}: {where} ends at {end_s} s, before it starts.", "Correct its times.")
        if segments and start_s < segments[-1].end_s:
            raise UsageError(f"{path}: {where} starts before the one ahead of it ends.", "Put them in order.")
        if speech_end_s is not None and not start_s < speech_end_s <= end_s:
            raise UsageError(f"{path}: speech_end_s of {where} lies outside it.", "Correct its times.")
        over = entry.get("into_reply_s")
        into_reply_s = None if over is None else _seconds(path, where, "into_reply_s", over)
        segments.append(Segment(start_s, end_s, str(entry.get("text") or ""), speech_end_s, into_reply_s))
    return tuple(segments)


def _seconds(path: Path, where: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise UsageError(
            f"{path}: {key} of {where} must be seconds, not {value!r}.", "Give a number, 0 or more."
        )
    return float(value)


def _refuse_unknown(path: Path, where: str, found: set[Any], known: set[str]) -> None:
    if strange := found - known:
        raise UsageError(
            f"{path}: {where} has no key {sorted(map(str, strange))[0]!r}.",
            f"It may have: {', '.join(sorted(known))}.",
        )


def split_by_silence(path: Path) -> tuple[Segment, ...]:
    """The segments of a recording: what pauses of at least 1.2 s part. Blocks while the file is read.

    Loudness alone decides, against the recording's own noise floor. Raises UsageError when the file
    cannot be read or nothing in it is loud enough to be a voice.
    """
    reader = AudioReader(path)
    try:
        levels: list[npt.NDArray[np.float32]] = []
        while len(pcm := reader.read(HEARD_HZ * 5)):
            hops = np.resize(pcm, (-(-len(pcm) // HOP_SAMPLES), HOP_SAMPLES)).astype(np.float32)
            levels.append(np.sqrt(np.mean((hops - hops.mean(axis=1, keepdims=True)) ** 2, axis=1)))
    finally:
        reader.close()
    level = np.concatenate(levels)
    # 12 dB over the noise floor, but no fainter than 30 dB under the loud parts.
    threshold = max(4 * float(np.percentile(level, 10)), 0.03 * float(np.percentile(level, 98)), 25.0)
    # A recording without pauses has no noise floor to be measured; its quiet tenth is speech itself.
    threshold = min(threshold, 0.25 * float(np.percentile(level, 98)))
    loud = np.flatnonzero(level > max(threshold, 25.0))
    segments = _runs(loud, len(level))
    if not segments:
        raise UsageError(f"Nobody speaks in {path}.", "Give a recording in which somebody speaks.")
    return segments


def _runs(loud: npt.NDArray[np.intp], count: int) -> tuple[Segment, ...]:
    if not len(loud):
        return ()
    breaks = np.flatnonzero(np.diff(loud) * HOP_S > PARTING_SILENCE_S) + 1
    segments: list[Segment] = []
    for run in np.split(loud, breaks):
        if len(run) * HOP_S < SHORTEST_SPEECH_S:
            continue
        speech_end_s = (int(run[-1]) + 1) * HOP_S
        start_s = max(int(run[0]) * HOP_S - LEAD_S, 0.0)
        segments.append(
            Segment(
                round(start_s, 3),
                round(min(speech_end_s + TAIL_S, count * HOP_S), 3),
                "",
                round(speech_end_s, 3),
            )
        )
    return tuple(segments)
