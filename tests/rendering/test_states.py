"""The films of a face's states: who speaks when, and what the face makes of it."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from cvi.audio.block import PLAYED_HZ
from cvi.face.base import Activity, FaceSettings
from cvi.face.replica import find_replica
from cvi.rendering.previews import (
    STATES,
    StateDialogue,
    Stretch,
    dialogue,
    dialogue_poses,
    film_state,
    placed,
)
from cvi.rendering.speech_track import SpeechTrack, TrackSegment
from cvi.tts.base import Phone, TtsSettings

VOICE = ("flite", TtsSettings())
FPS = 25


def pool() -> SpeechTrack:
    """Three sentences of two seconds."""
    rng = np.random.default_rng(5)
    pcm = (rng.normal(0, 3000, 6 * PLAYED_HZ)).astype(np.int16)
    phones = tuple(Phone("ma"[k % 2], k * 0.2, k * 0.2 + 0.2) for k in range(10))
    return SpeechTrack(pcm, tuple(TrackSegment(f"{k}", 2 * k * PLAYED_HZ, 2 * PLAYED_HZ, phones) for k in range(3)))


def a_dialogue(activity: Activity, seconds: float = 40.0) -> StateDialogue:
    stretches = (Stretch(activity, 0.0, seconds),)
    own = placed(pool(), stretches if activity == "speaking" else (), seconds)
    other = placed(pool(), stretches if activity == "listening" else (), seconds)
    return StateDialogue(stretches, own, other)


def test_sentences_are_placed_in_their_stretches() -> None:
    stretches = [Stretch("speaking", 3.0, 9.0), Stretch("speaking", 15.0, 16.0), Stretch("speaking", 20.0, 30.0)]
    spoken = placed(pool(), stretches, 30.0)
    assert len(spoken.pcm) == 30 * PLAYED_HZ
    assert [piece.text for piece in spoken.segments] == ["0", "1", "2", "0", "1"]
    assert all(any(s.start_s <= p.start_s and p.end_s <= s.end_s for s in stretches) for p in spoken.segments)
    quiet = np.ones(len(spoken.pcm), bool)
    for piece in spoken.segments:
        quiet[piece.start : piece.start + piece.length] = False
    assert not spoken.pcm[quiet].any() and spoken.pcm[~quiet].any()


@pytest.mark.parametrize("activity", ["idle", "listening", "thinking"])
def test_the_mouth_rests_while_the_face_is_silent(activity: Activity) -> None:
    shown = list(dialogue_poses(a_dialogue(activity), FPS, 1))
    assert len(shown) == 40 * FPS
    assert all(p.jaw == p.wide == p.round == p.press == p.tuck == p.tongue == 0.0 for p in shown)
    assert len({round(p.yaw, 3) for p in shown}) > 500


def test_listening_reacts_and_speaking_moves_the_mouth() -> None:
    listening, idle = (list(dialogue_poses(a_dialogue(state), FPS, 1)) for state in ("listening", "idle"))
    # Nods at the pauses of the other, and a smile that is answered.
    assert max(p.pitch for p in listening) > max(p.pitch for p in idle) + 1.0
    assert max(p.smile for p in listening) > max(p.smile for p in idle) + 0.2
    speaking = list(dialogue_poses(a_dialogue("speaking"), FPS, 1))
    assert max(p.jaw for p in speaking) > 0.3 and max(p.press for p in speaking) > 0.8
    assert speaking == list(dialogue_poses(a_dialogue("speaking"), FPS, 1))


async def test_a_film_of_the_turns(tmp_path: Path) -> None:
    made = await dialogue("turns", VOICE, 24.0)
    assert [one.activity for one in made.stretches][:4] == ["listening", "thinking", "speaking", "idle"]
    assert made.stretches[-1].end_s >= 24.0 and made.own.segments and made.other.segments
    assert not (made.own.pcm.astype(bool) & made.other.pcm.astype(bool)).any()
    face = FaceSettings(find_replica("june"), 320, 180, FPS)
    path = await film_state("listening", tmp_path / "film.mp4", face, "sculpted", VOICE, seconds=4.0)
    with av.open(str(path)) as film:
        assert sum(1 for _ in film.decode(video=0)) == 100
    assert [file.name for file in tmp_path.iterdir()] == ["film.mp4"]
    assert len(STATES) == 5
