"""A script or recorded speech -> the speech of a film with all its times, and the face's controls for it.

`read_script` cuts plain text into lines with their pauses and emotions, `synthesize` speaks them, and
`recorded_track` takes a recording instead. A track can be kept in a folder and loaded again.
`speech_poses` gives the controls of every frame.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.errors import UsageError
from cvi.face.base import Controls, Cues
from cvi.face.behaviour import Behaviour
from cvi.face.driver import MouthDriver
from cvi.face.sound_mouth import MouthReader
from cvi.files import write_text
from cvi.llm.sentence_ends import stop_after
from cvi.media.decode import is_silent, read_audio, write_wav
from cvi.tts.base import Phone, TtsEngine, Word
from cvi.tts.local_voice import UnreadableTextError
from cvi.tts.speech_timeline import edges

MOST_WORDS = 20_000
"""About two hours of speech."""
LONGEST_LINE = 220
PARAGRAPH_PAUSE_S, SENTENCE_PAUSE_S, CLAUSE_PAUSE_S = 0.65, 0.24, 0.07
MOST_BREAK_S = 10.0

_TAG = re.compile(r"<\s*/?\s*([A-Za-z]+)\b([^<>]{0,120})>")
_EMOTION = re.compile(r"value\s*=\s*[\"']?\s*([A-Za-z_-]{1,24})")
_BREAK = re.compile(r"time\s*=\s*[\"']?\s*(\d+(?:\.\d+)?)\s*(ms|s)\b")
_SENTENCE_END = re.compile(r"(?:[.!?…][\"'”’)»]*(?=\s)|[。！？][」』”]?)\s*")
_JOINT = re.compile(r"[,;:，、；：]\s*|\s[–—-]\s+")
LEAD_S, TAIL_S = 0.4, 0.7
"""Seconds of silence before and after the speech."""
LONGEST_SOUND_S = 3 * 3600.0
_SOUND, _TIMES = "speech.wav", "speech.json"


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """A stretch of text to synthesize after `pause_s` of silence.

    `emotion` is what the face shows from here on; None keeps the one before.
    """

    text: str
    pause_s: float
    emotion: str | None = None


def read_script(text: str, language: str = "en") -> tuple[ScriptLine, ...]:
    """Cut a script into lines of at most LONGEST_LINE characters, at the ends of sentences where possible.

    `language` decides which full stops end a sentence.
    Blank lines separate paragraphs. `<emotion value="happy"/>` sets the face's emotion from there on,
    `<break time="800ms"/>` is a silence; other tags are dropped. Raises UsageError for a text without a
    letter or digit, and for one of more than MOST_WORDS words.
    """
    words = len(text.split())
    if words > MOST_WORDS:
        raise UsageError(
            f"The text has {words:,} words; at most {MOST_WORDS:,} are rendered at once.",
            "Split it into several films.",
        )
    if not text.strip():
        raise UsageError("The text is empty.", "Write what is to be said.")
    lines = tuple(_lines(text, language))
    if not lines:
        raise UsageError(
            "There is nothing to say in the text: it holds no letter and no digit.", "Write words to be said."
        )
    return lines


def _lines(text: str, language: str) -> Iterator[ScriptLine]:
    emotion: str | None = None
    pause_s = 0.0
    first = True
    for paragraph in re.split(r"\n\s*\n", text):
        if not first:
            pause_s = max(pause_s, PARAGRAPH_PAUSE_S)
        for stretch, tag in _split_at_tags(paragraph):
            for part, after_s in _sentences(stretch, language):
                yield ScriptLine(part, 0.0 if first else pause_s, emotion)
                first, emotion, pause_s = False, None, after_s
            if tag is not None:
                tag_emotion, break_s = tag
                emotion = tag_emotion or emotion
                pause_s = break_s if break_s is not None else pause_s


def _split_at_tags(paragraph: str) -> Iterator[tuple[str, tuple[str | None, float | None] | None]]:
    """Text up to each tag with the tag's (emotion, seconds of silence); None with the last text."""
    at = 0
    for match in _TAG.finditer(paragraph):
        yield paragraph[at : match.start()], _tag_meaning(match[1].lower(), match[2])
        at = match.end()
    yield paragraph[at:], None


def _tag_meaning(name: str, attributes: str) -> tuple[str | None, float | None]:
    if name == "emotion" and (match := _EMOTION.search(attributes)):
        return match[1].lower(), None
    if name == "break" and (match := _BREAK.search(attributes)):
        seconds = float(match[1]) * (0.001 if match[2] == "ms" else 1.0)
        return None, min(seconds, MOST_BREAK_S)
    return None, None


def _sentences(text: str, language: str) -> Iterator[tuple[str, float]]:
    """Sentences, long ones in parts, each with the pause after it; without letters and digits none."""
    at = 0
    flat = re.sub(r"\s+", " ", text).strip() + " "
    for match in _SENTENCE_END.finditer(flat):
        sentence = flat[at : match.end()].strip()
        stop = stop_after(sentence, language)
        goes_on = stop == "inside" or (stop == "either" and not flat[match.end() :][:1].isupper())
        if goes_on and match.end() < len(flat):
            continue
        at = match.end()
        yield from _short_parts(sentence)
    yield from _short_parts(flat[at:].strip())


def _short_parts(sentence: str) -> Iterator[tuple[str, float]]:
    while len(sentence) > LONGEST_LINE:
        cut = _cut_position(sentence)
        if _is_speakable(sentence[:cut]):
            yield sentence[:cut].strip(), CLAUSE_PAUSE_S
        sentence = sentence[cut:].strip()
    if _is_speakable(sentence):
        yield sentence, SENTENCE_PAUSE_S


def _cut_position(sentence: str) -> int:
    """Where to cut a sentence that is too long: at its last joint, else its last blank, else anywhere."""
    joints = [match.end() for match in _JOINT.finditer(sentence, LONGEST_LINE // 3, LONGEST_LINE)]
    if joints:
        return joints[-1]
    blank = sentence.rfind(" ", LONGEST_LINE // 3, LONGEST_LINE)
    return blank if blank > 0 else LONGEST_LINE


def _is_speakable(text: str) -> bool:
    return any(character.isalnum() for character in text)


@dataclass(frozen=True, slots=True)
class TrackSegment:
    """What the voice delivered at once: samples [start, start + length) of the track.

    Times of `phones` and `words` count from the segment's start; `words` refer to `text`. `emotion` is as
    in `ScriptLine`. Segments of one line share its text.
    """

    text: str
    start: int
    length: int
    phones: tuple[Phone, ...] = ()
    words: tuple[Word, ...] = ()
    emotion: str | None = None

    @property
    def start_s(self) -> float:
        """Seconds from the track's start."""
        return self.start / PLAYED_HZ

    @property
    def end_s(self) -> float:
        """Seconds from the track's start."""
        return (self.start + self.length) / PLAYED_HZ


@dataclass(frozen=True, slots=True)
class SpeechTrack:
    """A film's whole sound, int16 mono at PLAYED_HZ, and its `segments` in order of time."""

    pcm: Pcm
    segments: tuple[TrackSegment, ...]

    @property
    def duration_s(self) -> float:
        """Seconds of sound, silences included."""
        return len(self.pcm) / PLAYED_HZ


async def synthesize(
    lines: Sequence[ScriptLine],
    voice: TtsEngine,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> SpeechTrack:
    """Speak the lines one after the other; `progress(done, of)` is called after each.

    Raises EngineError from the voice, UsageError where the voice cannot read a line or speaks none of them.
    """
    sound: list[Pcm] = [_silence(LEAD_S)]
    segments: list[TrackSegment] = []
    at = len(sound[0])
    for done, line in enumerate(lines, 1):
        if line.pause_s and segments:
            sound.append(_silence(line.pause_s))
            at += len(sound[-1])
        emotion = line.emotion
        try:
            async with aclosing(voice.speak(line.text)) as spoken:  # type: ignore[type-var]
                async for speech in spoken:
                    segments.append(
                        TrackSegment(line.text, at, len(speech.pcm), speech.phones, speech.words, emotion)
                    )
                    sound.append(speech.pcm)
                    at += len(speech.pcm)
                    emotion = None
        except UnreadableTextError as error:
            raise UsageError(
                f"'{line.text[:60]}' cannot be said. {error.message}",
                "Name the text's language and a voice that speaks it: --language, --voice (espeak has many).",
            ) from error
        progress(done, len(lines))
    if not any(edges(part)[1] for part in sound):
        raise UsageError(
            "The voice finds nothing to say in the text.", "Write words, or choose the text's language."
        )
    sound.append(_silence(TAIL_S))
    return SpeechTrack(np.concatenate(sound), tuple(segments))


def recorded_track(path: Path) -> SpeechTrack:
    """A track of recorded speech: one segment without phones or words, so the sound alone drives the lips.

    Raises UsageError for a file that is no sound, silent, or longer than LONGEST_SOUND_S.
    """
    if is_silent(path):
        raise UsageError(f"{path} is silent: nothing in it rises above -60 dB.", "Check the recording.")
    pcm = read_audio(path, PLAYED_HZ, LONGEST_SOUND_S)
    return SpeechTrack(np.concatenate([pcm, _silence(TAIL_S)]), (TrackSegment("", 0, len(pcm)),))


def save_track(track: SpeechTrack, folder: Path) -> None:
    """Keep a track in `folder`, created if missing. The times are written last, so with them it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    write_wav(folder / _SOUND, track.pcm, PLAYED_HZ)
    text = json.dumps([asdict(segment) for segment in track.segments], ensure_ascii=False)
    write_text(folder / _TIMES, text)


def load_track(folder: Path) -> SpeechTrack | None:
    """The track that `save_track` kept in `folder`; None when it is missing or damaged."""
    try:
        rows: list[dict[str, Any]] = json.loads((folder / _TIMES).read_text(encoding="utf-8"))
        pcm = read_audio(folder / _SOUND, PLAYED_HZ, LONGEST_SOUND_S + TAIL_S)
        segments = tuple(
            TrackSegment(
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
    if not segments or segments[-1].start + segments[-1].length > len(pcm):
        return None
    return SpeechTrack(pcm, segments)


def _silence(length_s: float) -> Pcm:
    return np.zeros(round(length_s * PLAYED_HZ), np.int16)


EMOTION_LEVEL = 0.7
EMOTION_LEAD_S = 0.3
"""How long before its words an emotion begins."""
_SPEAKING_MARGIN_S = 0.5


def frame_count(track: SpeechTrack, fps: int) -> int:
    """How many frames cover the whole sound; at least one."""
    return max(1, ceil(track.duration_s * fps - 1e-6))


def mouth_driver(track: SpeechTrack, audio_mouth: MouthReader | None = None) -> MouthDriver:
    """A driver that was fed all segments; its time axis is the track's.

    `audio_mouth` moves the mouth where a segment has no phones, as in `MouthDriver`.
    """
    driver = MouthDriver(audio_mouth)
    for segment in track.segments:
        pcm = track.pcm[segment.start : segment.start + segment.length]
        driver.append(segment.phones, pcm, segment.start_s)
    return driver


def speech_poses(
    track: SpeechTrack,
    fps: int,
    seed: int,
    emotion: str = "neutral",
    audio_mouth: MouthReader | None = None,
) -> Iterator[Controls]:
    """The controls of each frame in order, taken at the middle of its time. Deterministic.

    `emotion` is the face's until the script names one. `audio_mouth` is the replica's, for recorded speech.
    """
    driver = mouth_driver(track, audio_mouth)
    behaviour = Behaviour(seed)
    starts = [segment.start_s for segment in track.segments]
    emotions: list[str] = []
    for segment in track.segments:
        emotions.append(segment.emotion or (emotions[-1] if emotions else emotion))
    for index in range(frame_count(track, fps)):
        t_s = (index + 0.5) / fps
        current = max(bisect_right(starts, t_s + EMOTION_LEAD_S) - 1, 0)
        segment = track.segments[current]
        speaks = segment.start_s - _SPEAKING_MARGIN_S < t_s < segment.end_s + _SPEAKING_MARGIN_S
        cues = Cues(
            phrase_end=driver.phrase_end_at(t_s),
            emphasis=driver.emphasis_at(t_s),
            emotion=emotions[current],
            emotion_level=0.0 if emotions[current] == "neutral" else EMOTION_LEVEL,
        )
        yield behaviour.advance(t_s, "speaking" if speaks else "idle", driver.mouth_at(t_s), cues)
