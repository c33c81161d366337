"""A face to look at: films of each state of a conversation, and all mouth shapes and emotions.

`cvi replica preview`. In the films two voices speak in turn, the face's own and an imagined participant's;
the behaviour's cues (level, pauses, emotion) are computed from their speech.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.engine_registry import build
from cvi.face.base import Activity, Controls, Cues, FaceEngine, FaceSettings, MouthShape
from cvi.face.behaviour import Behaviour
from cvi.face.driver import MouthDriver
from cvi.face.sound_mouth import FRAME_S, levels_db
from cvi.rendering.output import encode_segment, join_segments
from cvi.rendering.speech_track import (
    EMOTION_LEAD_S,
    EMOTION_LEVEL,
    SpeechTrack,
    TrackSegment,
    mouth_driver,
    read_script,
    synthesize,
)
from cvi.tts.base import Phone, TtsSettings

State = Literal["idle", "listening", "thinking", "speaking", "turns"]
STATES: tuple[State, ...] = ("idle", "listening", "thinking", "speaking", "turns")
PERSONA_TEXT = (
    "I am glad that you ask. <emotion value='happy'/> Most people begin with the river, because the path "
    "along it is flat and there are benches. After about a mile you come to a bridge. "
    "<emotion value='neutral'/> From there you may turn left, up the hill, or simply go on. "
    "I would bring a bottle of water, a map, and something warm for the evening. "
    "<emotion value='concerned'/> The last bus leaves at five, and it is a long way on foot. "
    "<emotion value='neutral'/> Shall we look up the times together?"
)
PARTICIPANT_TEXT = (
    "Well, I was thinking of going for a walk this weekend, somewhere quiet. "
    "My brother may come too, but he does not like hills very much. "
    "We have been to the park so many times that we know every tree. "
    "Is there anything you would recommend? It should not take more than an afternoon."
)
PAUSE_S = 0.55
"""Silence between sentences, long enough for a nod."""
_SILENT_DB, _LOUD_DB = -48.0, -14.0
_PAUSED_AFTER_S, _PAUSED_UNTIL_S = 0.2, 0.8
# One round of "turns": how long each state lasts.
_ROUND: tuple[tuple[Activity, float], ...] = (
    ("listening", 9.0), ("thinking", 2.0), ("speaking", 9.0), ("idle", 2.5),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which the conversation is in one state, from `start_s` to `end_s`."""

    activity: Activity
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class StateDialogue:
    """The persona's `own` and the `other` speech on one time axis, both sounds equally long."""

    stretches: tuple[Stretch, ...]
    own: SpeechTrack
    other: SpeechTrack

    @property
    def pcm(self) -> Pcm:
        """Both voices together; they never speak at once."""
        return self.own.pcm + self.other.pcm


async def film_state(
    state: State, output: Path, face: FaceSettings, face_engine: str, voice: tuple[str, TtsSettings], *,
    seconds: float = 60.0, seed: int = 0,
) -> Path:  # fmt: skip
    """Film one state for `seconds` and return `output`; it appears whole or not at all.

    `voice` is the engine and the settings of both voices. Blocks the event loop while it draws. Raises
    MissingError, UsageError, EngineError, CviError.
    """
    engine = build("face", face_engine, face)
    part = output.with_name(f".{output.stem}.picture.mp4")
    try:
        script = await dialogue(state, voice, seconds)
        controls = list(dialogue_poses(script, face.fps, seed))
        encode_segment(engine, controls, face.fps, part, lambda: False)
        join_segments([part], [len(controls)], script.pcm, face.fps, output)
    finally:
        engine.close()
        part.unlink(missing_ok=True)
    return output


async def dialogue(state: State, voice: tuple[str, TtsSettings], seconds: float) -> StateDialogue:
    """Synthesize both voices and place their sentences in the stretches of `state`. Raises EngineError."""
    stretches = tuple(_stretches(state, seconds))
    engine = build("tts", *voice)
    try:
        own = await synthesize(read_script(PERSONA_TEXT), engine)
        other = await synthesize(read_script(PARTICIPANT_TEXT), engine)
    finally:
        engine.close()
    return StateDialogue(
        stretches,
        placed(own, [one for one in stretches if one.activity == "speaking"], seconds),
        placed(other, [one for one in stretches if one.activity == "listening"], seconds),
    )


def placed(pool: SpeechTrack, stretches: Sequence[Stretch], seconds: float) -> SpeechTrack:
    """A track of `seconds`: segments of `pool`, in turn and again, as many as fit the stretches."""
    pcm = np.zeros(round(seconds * PLAYED_HZ), np.int16)
    segments: list[TrackSegment] = []
    taken = 0
    for stretch in stretches:
        at_s = stretch.start_s + PAUSE_S
        while True:
            segment = pool.segments[taken % len(pool.segments)]
            length_s = segment.length / PLAYED_HZ
            if at_s + length_s + PAUSE_S > stretch.end_s:
                break
            start = round(at_s * PLAYED_HZ)
            pcm[start : start + segment.length] = pool.pcm[segment.start : segment.start + segment.length]
            segments.append(replace(segment, start=start))
            at_s += length_s + PAUSE_S
            taken += 1
    return SpeechTrack(pcm, tuple(segments))


def dialogue_poses(dialogue: StateDialogue, fps: int, seed: int) -> Iterator[Controls]:
    """The controls of each frame in order, taken at the middle of its time. Deterministic."""
    driver = mouth_driver(dialogue.own)
    behaviour = Behaviour(seed)
    starts = [segment.start_s - EMOTION_LEAD_S for segment in dialogue.own.segments]
    emotions = ["neutral"]
    for segment in dialogue.own.segments:
        emotions.append(segment.emotion or emotions[-1])
    heard = levels_db(dialogue.other.pcm)
    last_loud_s = -10.0
    for index in range(round(dialogue.own.duration_s * fps)):
        t_s = (index + 0.5) / fps
        activity = _activity(dialogue, t_s)
        near = heard[int(t_s / FRAME_S) : int(t_s / FRAME_S) + 4]
        level = (float(near.max()) - _SILENT_DB) / (_LOUD_DB - _SILENT_DB) if len(near) else 0.0
        if level > 0.0:
            last_loud_s = t_s
        speaking = activity == "speaking"
        emotion = emotions[bisect_right(starts, t_s)] if speaking else "neutral"
        cues = Cues(
            user_speaking=t_s - last_loud_s < _PAUSED_UNTIL_S,
            user_level=min(1.0, max(0.0, level)),
            user_pause=_PAUSED_AFTER_S <= t_s - last_loud_s < _PAUSED_UNTIL_S,
            # The participant smiles for three seconds out of fifteen.
            user_smile=0.9 if activity == "listening" and t_s % 15.0 > 12.0 else 0.0,
            phrase_end=speaking and driver.phrase_end_at(t_s),
            emphasis=driver.emphasis_at(t_s) if speaking else 0.0,
            emotion=emotion,
            emotion_level=0.0 if emotion == "neutral" else EMOTION_LEVEL,
        )
        yield behaviour.advance(t_s, activity, driver.mouth_at(t_s), cues)


def _activity(dialogue: StateDialogue, t_s: float) -> Activity:
    for stretch in dialogue.stretches:
        if t_s < stretch.end_s:
            return stretch.activity
    return "idle"


def _stretches(state: State, seconds: float) -> Iterator[Stretch]:
    if state != "turns":
        yield Stretch(state, 0.0, seconds)
        return
    at_s = 0.0
    while at_s < seconds:
        for activity, length_s in _ROUND:
            yield Stretch(activity, at_s, min(at_s + length_s, seconds))
            at_s += length_s


Rgb = npt.NDArray[np.uint8]

# The visemes of MPEG-4 (ISO/IEC 14496-2, table of visemes), each by one of its sounds.
VISEMES = {
    "rest": "", "P B M": "m", "F V": "f", "TH": "θ", "T D": "t", "K G": "k", "CH SH": "ʃ", "S Z": "s",
    "N L": "l", "R": "ɹ", "W": "w", "AH": "ɑ", "EH": "ɛ", "IH": "ɪ", "EE": "i", "OH": "ɔ", "OO": "u",
}  # fmt: skip
EMOTIONS = (
    "neutral", "content", "happy", "excited", "surprised", "curious", "confused", "concerned", "sad",
    "scared", "angry", "disgusted", "contempt", "serious",
)  # fmt: skip
COLUMNS = 6
_SETTLE_S = 3.0


def viseme(ipa: str) -> MouthShape:
    """The mouth in the middle of one held sound, an IPA symbol; "" is the mouth at rest."""
    driver = MouthDriver()
    if ipa:
        loud = np.full(PLAYED_HZ, 9000, np.int16)
        driver.append([Phone(ipa, 0.4, 0.8, stress=1)], loud, 0.0)
    return driver.mouth_at(0.58)


def settled_emotion(emotion: str) -> Controls:
    """The face with `emotion` fully developed, eyes open and looking at the viewer."""
    behaviour = Behaviour(0)
    cues = Cues(emotion=emotion, emotion_level=1.0)
    settling = [behaviour.advance(index / 25, "idle", cues=cues) for index in range(int(_SETTLE_S * 25))]
    return max(settling[-30:], key=lambda pose: -pose.lid_left - abs(pose.gaze_x) - 0.1 * abs(pose.yaw))


def sheet_poses() -> Iterator[tuple[str, Controls]]:
    """The caption and the controls of each tile."""
    for name, ipa in VISEMES.items():
        mouth = viseme(ipa)
        yield (
            name,
            Controls(
                jaw=mouth.jaw,
                wide=mouth.wide,
                round=mouth.round,
                press=mouth.press,
                tuck=mouth.tuck,
                tongue=mouth.tongue,
                smile=0.1,
            ),
        )
    for emotion in EMOTIONS:
        yield emotion, settled_emotion(emotion)
    yield "worry", Controls(worry=1.0, smile=0.1)
    yield "cheeks", Controls(cheek=1.0, smile=0.6)
    yield "shut", Controls(lid_left=1.0, lid_right=1.0, smile=0.1)
    yield "left, up", Controls(yaw=-10.0, pitch=-5.0, gaze_x=-0.7, smile=0.1)
    yield "right, down", Controls(yaw=10.0, pitch=6.0, gaze_x=0.7, smile=0.1)
    yield "brows up", Controls(brow_left=1.0, brow_right=1.0, smile=0.1)
    yield "brows down", Controls(brow_left=-1.0, brow_right=-1.0, furrow=1.0, smile=0.1)


def contact_sheet(face: FaceEngine) -> Rgb:
    """Draw all tiles -> one RGB picture: square, from the middle of the frames, COLUMNS in a row."""
    side = face.height
    # Only the face: hair and shoulders do not change.
    top, size_px = round(0.12 * side), round(0.72 * side)
    left = (face.width - size_px) // 2
    tiles = []
    for caption, controls in sheet_poses():
        rgb = cv2.cvtColor(face.render(controls), cv2.COLOR_YUV2RGB_I420)
        tile = np.ascontiguousarray(rgb[top : top + size_px, left : left + size_px])
        size = size_px / 560
        at = (round(14 * size), size_px - round(16 * size))
        font = cv2.FONT_HERSHEY_SIMPLEX  # drawn by OpenCV itself, without an installed font
        for colour, width in (((20, 20, 20), max(round(4 * size), 3)), ((245, 245, 245), 1)):
            cv2.putText(tile, caption, at, font, size, colour, width, cv2.LINE_AA)
        tiles.append(tile)
    while len(tiles) % COLUMNS:
        tiles.append(np.zeros_like(tiles[0]))
    rows = [np.hstack(tiles[at : at + COLUMNS]) for at in range(0, len(tiles), COLUMNS)]
    return np.asarray(np.vstack(rows), np.uint8)


def as_png(picture: Rgb) -> bytes:
    """An RGB picture -> the bytes of a PNG."""
    done, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    assert done
    return bytes(data)
