"""Films of a face in each state of a conversation, to be looked at: `cvi replica preview --states`.

Nobody takes part but two voices: the face's own, and that of an imagined participant, who is heard while
the face listens. All that the behaviour answers to is taken from their speech.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.engine_registry import build
from cvi.face.base import Activity, Controls, FaceSettings
from cvi.face.behaviour import Behaviour
from cvi.face.cues import Cues
from cvi.face.loudness import FRAME_S, levels_db
from cvi.rendering.joining import join
from cvi.rendering.recital import Recital, Said, recite
from cvi.rendering.score import EMOTION_LEVEL, mouth_of
from cvi.rendering.script import read_script
from cvi.rendering.segment import render_segment
from cvi.tts.base import TtsSettings

State = Literal["idle", "listening", "thinking", "speaking", "turns"]
STATES: tuple[State, ...] = ("idle", "listening", "thinking", "speaking", "turns")
OWN = (
    "I am glad that you ask. <emotion value='happy'/> Most people begin with the river, because the path "
    "along it is flat and there are benches. After about a mile you come to a bridge. "
    "<emotion value='neutral'/> From there you may turn left, up the hill, or simply go on. "
    "I would bring a bottle of water, a map, and something warm for the evening. "
    "<emotion value='concerned'/> The last bus leaves at five, and it is a long way on foot. "
    "<emotion value='neutral'/> Shall we look up the times together?"
)
PARTICIPANT = (
    "Well, I was thinking of going for a walk this weekend, somewhere quiet. "
    "My brother may come too, but he does not like hills very much. "
    "We have been to the park so many times that we know every tree. "
    "Is there anything you would recommend? It should not take more than an afternoon."
)
PAUSE_S = 0.55
"""Between sentences: long enough for a nod."""
_SILENT_DB, _LOUD_DB = -48.0, -14.0
_PAUSED_AFTER_S, _PAUSED_UNTIL_S = 0.2, 0.8
# One round of "turns": how long each state lasts.
_ROUND: tuple[tuple[Activity, float], ...] = (
    ("listening", 9.0), ("thinking", 2.0), ("speaking", 9.0), ("idle", 2.5),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stretch:
    """The conversation is in one state from `start_s` to `end_s`."""

    activity: Activity
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Scene:
    """`own` and `other` speech on one axis with the stretches, their sounds equally long."""

    stretches: tuple[Stretch, ...]
    own: Recital
    other: Recital

    @property
    def pcm(self) -> Pcm:
        """Both voices; they never speak at once."""
        return self.own.pcm + self.other.pcm


async def film_state(
    state: State, output: Path, face: FaceSettings, face_engine: str, voice: tuple[str, TtsSettings], *,
    seconds: float = 60.0, seed: int = 0,
) -> Path:  # fmt: skip
    """Film one state for so long; `voice`: engine and settings of both voices. Blocks while it draws.

    Raises MissingError, UsageError, EngineError, CviError.
    """
    drawn = build("face", face_engine, face)
    part = output.with_name(f".{output.stem}.picture.mp4")
    try:
        made = await scene(state, voice, seconds)
        shown = list(scene_poses(made, face.fps, seed))
        render_segment(drawn, shown, face.fps, part, lambda: False)
        join([part], [len(shown)], made.pcm, face.fps, output)
    finally:
        drawn.close()
        part.unlink(missing_ok=True)
    return output


async def scene(state: State, voice: tuple[str, TtsSettings], seconds: float) -> Scene:
    """Who speaks when. Raises what the voice raises."""
    stretches = tuple(_stretches(state, seconds))
    engine = build("tts", *voice)
    try:
        own, other = [await recite(read_script(text), engine) for text in (OWN, PARTICIPANT)]
    finally:
        engine.close()
    return Scene(
        stretches,
        placed(own, [one for one in stretches if one.activity == "speaking"], seconds),
        placed(other, [one for one in stretches if one.activity == "listening"], seconds),
    )


def placed(pool: Recital, stretches: Sequence[Stretch], seconds: float) -> Recital:
    """The pool's pieces, one after the other and again from the first, as many as fit the stretches."""
    pcm = np.zeros(round(seconds * PLAYED_HZ), np.int16)
    pieces: list[Said] = []
    taken = 0
    for stretch in stretches:
        at_s = stretch.start_s + PAUSE_S
        while True:
            piece = pool.pieces[taken % len(pool.pieces)]
            length_s = piece.length / PLAYED_HZ
            if at_s + length_s + PAUSE_S > stretch.end_s:
                break
            start = round(at_s * PLAYED_HZ)
            pcm[start : start + piece.length] = pool.pcm[piece.start : piece.start + piece.length]
            pieces.append(replace(piece, start=start))
            at_s += length_s + PAUSE_S
            taken += 1
    return Recital(pcm, tuple(pieces))


def scene_poses(scene: Scene, fps: int, seed: int) -> Iterator[Controls]:
    """The controls of each frame, of its middle; the same arguments give the same poses."""
    driver = mouth_of(scene.own)
    behaviour = Behaviour(seed)
    starts = [piece.start_s - 0.3 for piece in scene.own.pieces]
    felt = ["neutral"]
    for piece in scene.own.pieces:
        felt.append(piece.emotion or felt[-1])
    heard = levels_db(scene.other.pcm)
    last_loud_s = -10.0
    for index in range(round(scene.own.duration_s * fps)):
        t_s = (index + 0.5) / fps
        activity = _activity(scene, t_s)
        near = heard[int(t_s / FRAME_S) : int(t_s / FRAME_S) + 4]
        level = (float(near.max()) - _SILENT_DB) / (_LOUD_DB - _SILENT_DB) if len(near) else 0.0
        if level > 0.0:
            last_loud_s = t_s
        speaking = activity == "speaking"
        emotion = felt[bisect_right(starts, t_s)] if speaking else "neutral"
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


def _activity(scene: Scene, t_s: float) -> Activity:
    for stretch in scene.stretches:
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
