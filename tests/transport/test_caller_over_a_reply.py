"""A recorded caller who speaks over a reply."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cvi.audio.block import HEARD_HZ
from cvi.media.decode import write_wav
from cvi.media.readers import AudioReader
from cvi.transport.caller import GAP_S, CallerTrack
from cvi.transport.scenario import Segment

SEGMENTS = (Segment(0.0, 1.0), Segment(1.0, 2.0, into_reply_s=0.5), Segment(2.0, 3.0))


def track(tmp_path: Path) -> CallerTrack:
    loud = np.repeat(np.array([1000, 2000, 3000], np.int16), HEARD_HZ)
    write_wav(tmp_path / "caller.wav", loud, HEARD_HZ)
    return CallerTrack(AudioReader(tmp_path / "caller.wav"), SEGMENTS)


def begins(laid: np.ndarray, value: int) -> float:
    return float(np.flatnonzero(laid == value)[0]) / HEARD_HZ


def test_words_over_a_reply_begin_at_their_time(tmp_path: Path) -> None:
    caller = track(tmp_path)
    caller.reply_ended(0.0)
    heard = caller.read(0, 2 * HEARD_HZ)
    for until_s in (2.04, 2.08, 2.12):
        caller.persona_heard(until_s)
    heard = np.concatenate([heard, caller.read(2 * HEARD_HZ, 5 * HEARD_HZ)])
    assert begins(heard, 1000) == GAP_S
    assert abs(begins(heard, 2000) - 2.54) < 0.001
    caller.reply_ended(5.0)
    after = caller.read(5 * HEARD_HZ, 7 * HEARD_HZ)
    assert abs(begins(after, 3000) - GAP_S) < 0.001


def test_a_reply_that_ends_first_is_followed_normally(tmp_path: Path) -> None:
    caller = track(tmp_path)
    caller.reply_ended(0.0)
    caller.read(0, 2 * HEARD_HZ)
    caller.persona_heard(2.04)
    caller.reply_ended(2.2)
    heard = caller.read(2 * HEARD_HZ, 5 * HEARD_HZ)
    assert abs(begins(heard, 2000) - (0.2 + GAP_S)) < 0.001
