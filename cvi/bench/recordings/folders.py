"""Folders of labelled recordings, in the layouts that measurements were made on.

- `NAME.wav` with `NAME.scv`: one speaker with hand-labelled pauses (the layout of TEN VAD's test set).
- `NAME.json` beside a two-channel file: somebody begins to speak while the other side does (hotato's layout).
- `*.rttm` beside the sound files they name: who spoke when in a meeting (NIST).
- `*.transcription` (Sphinx), or `NAME.txt` beside `NAME.wav` or `.flac`: utterances with their exact words.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm, to_float, to_int16
from cvi.bench.probe.waveform import TimeSpan
from cvi.bench.recordings.labelled_recordings import (
    SHORTEST_SILENCE_S,
    Dialogue,
    LabelledTurn,
    LabelledUtterance,
    Overlap,
    Recordings,
    Silence,
    floor_events,
)
from cvi.errors import UsageError
from cvi.media.decode import opened, read_audio

LAYOUTS = "NAME.wav with NAME.scv, two-channel NAME.json, *.rttm, *.transcription, NAME.txt"
_SOUND_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg")
_SHORTEST_TURN_S = 0.5
_LEAD_S = 0.5
_SPHINX = re.compile(r"^(?:<s>)?\s*(.*?)\s*(?:</s>)?\s*\(([^()\s]+)\)\s*$")


def read_recordings(folder: Path) -> Recordings:
    """Everything labelled in a folder; if that is nothing, in the folders right below it.

    Raises UsageError when there is nothing labelled, or a label is damaged (naming the file).
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", "Give a folder of labelled recordings.")
    found = _read_folder(folder)
    if found.empty:
        for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
            found.add(_read_folder(inner))
    if found.empty:
        raise UsageError(f"{folder} holds no labelled recordings.", f"Known layouts: {LAYOUTS}.")
    return found


def _read_folder(folder: Path) -> Recordings:
    found = Recordings(turns=[_pause_clip(path) for path in sorted(folder.glob("*.scv"))])
    labels = sorted(folder.glob("*.json"))
    if any("caller_onset_sec" in path.read_text(errors="replace") for path in labels):
        for path in labels:
            found.add(_two_channel_clip(path))
    if any(folder.glob("*.rttm")):
        found.turns += _meetings(folder)
    found.utterances += _transcribed(folder)
    return found


# -- one speaker's pauses ----------------------------------------------------------------------------


def _pause_clip(path: Path) -> LabelledTurn:
    """A clip that breaks off in the middle of speech has no end of turn."""
    labels = _read_scv(path)
    speech = [span for span, is_speech in labels if is_speech]
    first_speech_s = min((span.start_s for span in speech), default=0.0)
    last_speech_s = max((span.end_s for span in speech), default=0.0)
    silences = []
    for span, is_speech in labels:
        is_end = span.start_s >= last_speech_s
        long_enough = is_end or span.end_s - span.start_s >= SHORTEST_SILENCE_S
        if not is_speech and span.start_s >= first_speech_s and long_enough:
            silences.append(Silence(span.start_s, None if is_end else span.end_s, is_end))
    sound = partial(read_audio, path.with_suffix(".wav"))
    return LabelledTurn(path.stem, "pauses", path.stem, tuple(silences), sound)


def _read_scv(path: Path) -> list[tuple[TimeSpan, bool]]:
    """`NAME,start,end,flag,start,end,flag,...` in seconds; flag 1 is speech."""
    try:
        numbers = [float(field) for field in path.read_text(encoding="utf-8").strip().split(",")[1:]]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not a label of pauses ({error}).", "Replace the file.") from error
    if not numbers or len(numbers) % 3:
        raise UsageError(
            f"{path} is not a label of pauses: {len(numbers)} numbers, not start, end, flag in turn.",
            "Replace the file.",
        )
    triples = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
    return [(TimeSpan(start, end), bool(flag)) for start, end, flag in triples]


# -- two channels ------------------------------------------------------------------------------------


def _two_channel_clip(path: Path) -> Recordings:
    """The overlap, and a dialogue where the label gives both sides' segments (`reference_render`)."""
    try:
        label: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        sound = path.parent / str(label["audio"])
        channels = int(label["channels"]["caller_channel"]), int(label["channels"]["agent_channel"])
        onset_s, should_yield = float(label["caller_onset_sec"]), bool(label["expected"]["yield"])
        segments = label.get("reference_render") or {}
        caller, agent = (
            [TimeSpan(*map(float, pair)) for pair in segments.get(f"{who}_segments_sec", ())]
            for who in ("caller", "agent")
        )
        length_s = float(label["duration_sec"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        complaint = f"{path} is not a label of an overlap: {why}."
        raise UsageError(complaint, "Correct it or leave it out.") from error
    words = str((label.get("transcript") or {}).get("caller", ""))
    until_s = caller[-1].end_s if caller and caller[-1].end_s < length_s else None
    heard = partial(_read_channel, sound, channels[0])
    overlap = Overlap(path.stem, path.parent.name, onset_s, should_yield, heard, words, until_s)
    if not caller or not agent:
        return Recordings(overlaps=[overlap])
    events = floor_events(caller, agent, length_s), floor_events(agent, caller, length_s)

    def channel(speaker: int) -> Pcm:
        return _read_channel(sound, channels[speaker])[: round(length_s * HEARD_HZ)]

    dialogue = Dialogue(path.stem, path.parent.name, events, channel)
    return Recordings(overlaps=[overlap], dialogues=[dialogue])


def _read_channel(path: Path, channel: int) -> Pcm:
    """Channel `channel` (0 is the first) of a file at 16 kHz, shape (n,)."""
    import av

    with opened(path) as container:
        try:
            track = container.streams.audio[0]
            count = track.codec_context.channels
            if count <= channel:
                complaint = f"{path} has {count} channel(s), its label asks for number {channel}."
                raise UsageError(complaint, "Correct the label.")
            layout = "mono" if count == 1 else "stereo"
            resampler = av.AudioResampler(format="s16p", layout=layout, rate=HEARD_HZ)
            pieces = [
                piece.to_ndarray()[channel]
                for frame in (*container.decode(track), None)
                for piece in resampler.resample(frame)
            ]
        except (av.FFmpegError, IndexError) as error:
            raise UsageError(f"{path} cannot be read as sound ({error}).", "Replace the file.") from error
    return np.concatenate([np.zeros(0, np.int16), *pieces]).astype(np.int16, copy=False)


# -- meetings ----------------------------------------------------------------------------------------


def _meetings(folder: Path) -> list[LabelledTurn]:
    """Each RTTM line is `SPEAKER file channel start duration <NA> <NA> name <NA> <NA>`."""
    segments: dict[str, list[tuple[float, float, str]]] = {}
    for path in sorted(folder.glob("*.rttm")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            fields = line.split()
            if not fields or fields[0] != "SPEAKER":
                continue
            try:
                start_s, length_s = float(fields[3]), float(fields[4])
                segments.setdefault(fields[1], []).append((start_s, start_s + length_s, fields[7]))
            except (ValueError, IndexError) as error:
                raise UsageError(f"{path}:{number}: this is not an RTTM line.", "Correct it.") from error
    turns = [
        turn
        for name, spans in sorted(segments.items())
        if (sound := _sound_beside(folder, name)) is not None
        for turn in _meeting_turns(name, sound, sorted(spans))
    ]
    if not turns:
        raise UsageError(
            f"The labels in {folder} speak of no sound that is there, or of no turn.",
            "Put the sounds beside the labels.",
        )
    return turns


def _meeting_turns(name: str, path: Path, spans: list[tuple[float, float, str]]) -> list[LabelledTurn]:
    """Each turn from where its speaker is alone to where somebody else begins.

    Where nobody speaks for 0.1 s it is a pause when the same person goes on alone, and the end of the turn
    when somebody else does. Turns shorter than 0.5 s, mostly backchannels, are left out.
    """
    turns: list[LabelledTurn] = []
    pauses: list[Silence] = []
    start_s, until_s, speaker = spans[0]
    alone = True
    for begin_s, end_s, who in [*spans[1:], (float("inf"), float("inf"), "")]:
        if begin_s - until_s < SHORTEST_SILENCE_S:
            alone = alone and who == speaker
            until_s, speaker = max(until_s, end_s), who if end_s >= until_s else speaker
            continue
        if who == speaker:
            pauses.append(Silence(until_s, begin_s, is_end=False))
        else:
            if who and alone and until_s - start_s >= _SHORTEST_TURN_S:
                pauses.append(Silence(until_s, None, is_end=True))
                turns.append(_meeting_turn(name, path, start_s, begin_s, pauses))
            start_s, pauses, alone = begin_s, [], True
        until_s, speaker = end_s, who
    return turns


def _meeting_turn(name: str, path: Path, start_s: float, end_s: float, pauses: list[Silence]) -> LabelledTurn:
    from_s = max(start_s - _LEAD_S, 0.0)
    silences = tuple(
        Silence(pause.start_s - from_s, None if pause.end_s is None else pause.end_s - from_s, pause.is_end)
        for pause in pauses
    )
    sound = partial(_normalized_part, path, from_s, end_s)
    return LabelledTurn(f"{name}@{start_s:.1f}", "meetings", name, silences, sound)


def _normalized_part(path: Path, from_s: float, to_s: float) -> Pcm:
    """Table microphones are quiet: the loudest sample of the whole file is brought to half of full scale."""
    pcm = read_audio(path)
    loudest = max(float(np.abs(pcm.astype(np.int32)).max(initial=1)), 1.0)
    part = pcm[round(from_s * HEARD_HZ) : round(to_s * HEARD_HZ)]
    return to_int16(to_float(part) * (0.5 * 32768 / loudest))


# -- transcripts -------------------------------------------------------------------------------------


def _transcribed(folder: Path) -> list[LabelledUtterance]:
    """Every utterance with words whose sound is there."""
    texts: dict[str, str] = {}
    for path in sorted(folder.glob("*.transcription")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if match := _SPHINX.match(line):
                number = match.group(2)
                # A bare number counts the files of the transcription's own name.
                texts[f"{path.stem}_{number}" if number.isdigit() else number] = match.group(1)
    for path in sorted(folder.glob("*.txt")):
        texts[path.stem] = " ".join(path.read_text(encoding="utf-8").split())
    return [
        LabelledUtterance(name, folder.name, words, partial(read_audio, sound))
        for name, words in sorted(texts.items())
        if words and (sound := _sound_beside(folder, name)) is not None
    ]


def _sound_beside(folder: Path, name: str) -> Path | None:
    files = (folder / (name + suffix) for suffix in _SOUND_SUFFIXES)
    return next((path for path in files if path.is_file()), None)
