"""What the participant sees and hears of a reply, written into the journal when it first happens."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.conversation.events import MouthAtRest, ReplyFirstAudio, ReplyFirstFrame, ReplyHeard
from cvi.conversation.journal import Journal
from cvi.conversation.reply import Reply

HEARD_EVERY_S = 1.0
"""How often the words heard so far are written down."""
_AUDIBLE = 64  # of 32768


class PlayoutLog:
    """Told of every unit that is presented, in order, with the time it reaches eye and ear."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._awaits_rest = False
        self._visible = False
        self._heard_logged_s = 0.0
        self.audible = False
        """Something of the reply on stage has been heard."""

    def begin(self) -> None:
        """Another reply takes the stage."""
        self.audible = self._visible = False
        self._heard_logged_s = 0.0

    def await_rest(self) -> None:
        """The reply was cut: the next mouth at rest is worth a line."""
        self._awaits_rest = True

    def see(self, mouth_moves: bool, at_s: float) -> None:
        if self._awaits_rest and not mouth_moves:
            self._journal.write(MouthAtRest(at_s=round(at_s, 4)))
            self._awaits_rest = False

    def hear(
        self, reply: Reply, pcm: Pcm, mouth_moves: bool, at_s: float, heard_text: Callable[[], str]
    ) -> None:
        """A unit of a reply's speech, with its sound and whether its mouth moves."""
        if not self.audible and (loud := np.flatnonzero(np.abs(pcm) > _AUDIBLE)).size:
            self.audible = True
            sound_s = at_s + float(loud[0]) / PLAYED_HZ
            self._journal.write(ReplyFirstAudio(reply=reply.generation, at_s=round(sound_s, 4)))
        if not self._visible and mouth_moves:
            self._visible = True
            self._journal.write(ReplyFirstFrame(reply=reply.generation, at_s=round(at_s, 4)))
        if at_s - self._heard_logged_s >= HEARD_EVERY_S:
            self._heard_logged_s = at_s
            self._journal.write(ReplyHeard(reply=reply.generation, text=heard_text()))
