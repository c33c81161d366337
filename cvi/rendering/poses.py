"""A speech track -> the face's controls of every frame."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from math import ceil

from cvi.face.base import Controls, Cues
from cvi.face.behaviour import Behaviour
from cvi.face.driver import MouthDriver
from cvi.face.sound_mouth import MouthReader
from cvi.rendering.speech_track import SpeechTrack

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
