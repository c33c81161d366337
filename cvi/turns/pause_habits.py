"""How long and how often this person pauses within a turn, learned while they speak.

A pause that speech followed was no end. The lengths of such pauses are spread like a log-logistic
distribution; its median is this person's, drawn towards everybody's while few pauses are known. How many of
them a turn has says how likely the next pause is an end.
"""

from __future__ import annotations

import math
from collections import deque

_REMEMBERED = 24
_SHORTEST_S, _LONGEST_S = 0.1, 3.0
_PRIOR_PAUSES = 4.0
_REMEMBERED_TURNS = 8
_PRIOR_TURNS = 3.0
_USUAL_PAUSES_A_TURN = 1.0
_LEAST_ODDS, _MOST_ODDS = -1.2, 0.6
_LEAST, _MOST = 0.6, 2.2
"""How much shorter or longer than everybody's this person's median is taken to be."""


class PauseHabits:
    """One person's pauses, the latest two dozen. `usual_s` is the median of everybody's, seconds."""

    def __init__(self, usual_s: float) -> None:
        self._everybody_s = usual_s
        self._pauses_s: deque[float] = deque(maxlen=_REMEMBERED)
        self._pauses_now = 0
        self._pauses_of_turns: deque[int] = deque(maxlen=_REMEMBERED_TURNS)

    def went_on_after(self, pause_s: float) -> None:
        """The person went on speaking after a pause of this length, within one turn."""
        if pause_s >= _SHORTEST_S:
            self._pauses_s.append(min(pause_s, _LONGEST_S))
            self._pauses_now += 1

    def ended(self) -> None:
        """The turn was over at its last pause."""
        self._pauses_of_turns.append(self._pauses_now)
        self._pauses_now = 0

    def reopened(self) -> None:
        """The turn that was taken for over went on."""
        if self._pauses_of_turns:
            self._pauses_now += self._pauses_of_turns.pop() + 1

    @property
    def end_odds(self) -> float:
        """The log-odds that a pause of this person's is an end, above everybody's, from the turns before."""
        turns = len(self._pauses_of_turns) + _PRIOR_TURNS
        pauses = sum(self._pauses_of_turns) + _PRIOR_TURNS * _USUAL_PAUSES_A_TURN
        odds = math.log(turns * _USUAL_PAUSES_A_TURN / pauses)
        return min(max(odds, _LEAST_ODDS), _MOST_ODDS)

    @property
    def factor(self) -> float:
        """This person's median pause within a turn over everybody's, as far as it is known."""
        logs = [math.log(pause_s / self._everybody_s) for pause_s in self._pauses_s]
        shift = sum(logs) / (len(logs) + _PRIOR_PAUSES)
        return min(max(math.exp(shift), _LEAST), _MOST)
