"""The playout log writes each thing of a reply once, at the time it reaches eye and ear."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np

from cvi.audio.block import PLAYED_HZ
from cvi.conversation.events import Event, MouthAtRest, ReplyFirstAudio, ReplyFirstFrame, ReplyHeard
from cvi.conversation.playout import HEARD_EVERY_S, PlayoutLog

UNIT_S = 0.04
SAMPLES = round(UNIT_S * PLAYED_HZ)
E = TypeVar("E", bound=Event)
REPLY: Any = SimpleNamespace(generation=7, timeline=SimpleNamespace(text_heard=lambda position: f"{position} heard"))


class Lines(list[Event]):
    """A journal that is a list."""

    def write(self, event: Event) -> None:
        self.append(event)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self if isinstance(event, kind)]


def logged(units: int, silent_units: int, moves_from: int) -> Lines:
    lines = Lines()
    log = PlayoutLog(lines)  # type: ignore[arg-type]
    log.begin()
    for index in range(units):
        pcm = np.full(SAMPLES, 5000 if index >= silent_units else 0, np.int16)
        if index == silent_units:
            pcm[: SAMPLES // 2] = 3
        log.hear(REPLY, pcm, index >= moves_from, index * UNIT_S, index)
    return lines


def test_the_first_sound_is_written_to_the_sample_and_once() -> None:
    lines = logged(30, silent_units=4, moves_from=2)
    assert lines.of(ReplyFirstAudio) == [ReplyFirstAudio(reply=7, at_s=4.5 * UNIT_S)]
    assert lines.of(ReplyFirstFrame) == [ReplyFirstFrame(reply=7, at_s=2 * UNIT_S)]


def test_what_was_heard_is_written_about_every_second() -> None:
    heard = logged(80, silent_units=0, moves_from=0).of(ReplyHeard)
    assert len(heard) == int(80 * UNIT_S / HEARD_EVERY_S) and heard[0] == ReplyHeard(reply=7, text="25 heard")


def test_another_reply_is_another_first() -> None:
    lines = Lines()
    log = PlayoutLog(lines)  # type: ignore[arg-type]
    loud = np.full(SAMPLES, 5000, np.int16)
    for at_s in (0.0, 10.0):
        log.begin()
        assert not log.audible
        log.hear(REPLY, loud, True, at_s, 0)
        assert log.audible
    assert [event.at_s for event in lines.of(ReplyFirstAudio)] == [0.0, 10.0]


def test_rest_is_written_only_after_a_cut() -> None:
    lines = Lines()
    log = PlayoutLog(lines)  # type: ignore[arg-type]
    log.see(False, 1.0)
    log.await_rest()
    log.see(True, 1.04)
    log.see(False, 1.08)
    log.see(False, 1.12)
    assert lines.of(MouthAtRest) == [MouthAtRest(at_s=1.08)]
