"""Every number that decides whose turn it is, in one place.

Starting values follow the measurements in `docs/architecture.md` (Turn-taking). `cvi bench turns FOLDER
--fit` and `cvi bench barge-in FOLDER --fit` print what would be better on labelled recordings, judged on
recordings they were not fitted on; nothing is written by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

from cvi.turns.floor_prediction import silence_until

Level = Literal["low", "medium", "high"]
USUAL_PAUSE_S = 0.40
"""The median length of people's pauses within a turn."""


@dataclass(frozen=True, slots=True)
class TurnThresholds:
    """When a voice counts, when a pause ends a turn, when a reply gives way. `_s` is seconds.

    The floor passes once the turn is over with probability `commit_at`, silence counted: see `patience_s`.
    """

    voice_on: float = 0.5
    """The detector's probability at which a voice starts."""
    voice_off: float = 0.35
    """The detector's probability below which it pauses; the gap to `voice_on` keeps it from flickering."""
    voice_min_s: float = 0.064
    """How long a voice must last to be believed."""
    pause_min_s: float = 0.064
    """How long a silence must last to be believed."""

    likely: float = 0.5
    """The completeness of every turn where none is judged."""
    commit_at: float = 0.75
    """How likely it must be that the turn is over, silence counted, for the floor to pass."""
    commit_silent_at: float = 0.90
    """The same while nothing of the drafted reply could be heard yet: nothing is lost by listening on, and a
    pause that is none becomes no turn."""
    usual_pause_s: float = USUAL_PAUSE_S
    """The median of everybody's pauses within a turn; a person's own is learned."""
    pause_shape: float = 2.0
    """How alike such pauses are: the exponent of their log-logistic distribution."""
    least_patience_s: float = 0.25
    """Silence that the floor never passes before."""
    most_patience_s: float = 2.0
    """Silence after which it passes in any case."""
    patience_for_thinking: float = 1.4
    """Patience is so many times as long with a participant who looks away, or whose lips part, after words
    that were perhaps not the last (A. Kendon, "Some functions of gaze-direction in social interaction",
    1967)."""
    patience_looked_at: float = 0.85
    """Patience is so many times as long with one whose eyes came back to the screen towards the end of words
    that are likely to be the last (Kendon, as above). Both factors are assumed, not fitted."""
    looked_back_before_s: float = 0.5
    """The eyes may have come back so long before the end of the words."""
    lips_settle_s: float = 0.15
    """Lips that part within this time after the words still belong to them."""
    draft: float = 0.35
    """A reply is drafted at a pause once the turn is at least this likely to be complete..."""
    draft_after_s: float = 0.45
    """...or once the pause has lasted this long."""
    drafts_per_turn: int = 3
    """No more drafts than these for one turn."""
    draft_on_words: float = 0.75
    """A reply is drafted beside the judges where the words alone are this likely to be complete."""
    reopen_within_s: float = 2.0
    """A participant who goes on this soon after a turn, before a word of its answer, goes on with that turn;
    later it is a turn of its own."""
    judge_within_s: float = 0.40
    """A judge of completeness that takes longer is not waited for."""
    final_within_s: float = 1.5
    """A final transcript that takes longer is not waited for where there are words so far, which are
    answered."""
    final_without_words_within_s: float = 3.0
    """Without words so far it is given this much more time; then the persona asks to hear it again."""
    wordless_s: float = 5.0
    """A voice that has cut a reply and said no word for so long is a noise: the reply goes on."""
    partial_every_s: float = 0.15
    """How often the words so far are recognized while the participant speaks."""
    overlap_partial_every_s: float = 0.10
    """The same while the participant speaks over a reply."""

    # Barge-in: chosen on the callers `overlaps` (48, eight voices) and 13 labelled recordings of people.
    duck_after_s: float = 0.10
    """Voice over a reply after which the reply is made quieter."""
    duck_gain: float = 0.35
    """What its sound is multiplied by then."""
    yield_after_s: float = 0.24
    """Voice over a reply after which the reply gives way to speech: three syllables, or two that move in
    pitch by `articulated_st` semitones."""
    articulated_st: float = 1.0
    """See `yield_after_s`."""
    fading_db: float = 6.0
    """A voice this far below its loudest is about to end and does not interrupt yet."""
    decide_by_s: float = 0.50
    """Loud voice over a reply after which the reply gives way to any sound that a voice detector takes for
    speech."""
    listening_until_s: float = 1.0
    """Loud voice after which the reply gives way although the words so far only show listening."""

    def patience_s(
        self, completeness: float, usual_pause_s: float | None = None, *, ready: bool = True
    ) -> float:
        """How much silence ends a turn that is complete with this probability, seconds.

        `usual_pause_s` is the median of this person's pauses, where it is known; `ready` whether something of
        the reply could be heard. See `cvi.turns.floor_prediction` for the reasoning.
        """
        usual_s = usual_pause_s or self.usual_pause_s
        goal = self.commit_at if ready else max(self.commit_at, self.commit_silent_at)
        needed_s = silence_until(completeness, goal, usual_s, self.pause_shape)
        # Whoever pauses long is waited for longer, in the end too.
        most_s = self.most_patience_s * sqrt(max(usual_s / self.usual_pause_s, 1.0))
        return min(max(needed_s, self.least_patience_s), max(most_s, self.least_patience_s))

    def adapted(
        self, patience: Level = "medium", interruptibility: Level = "medium", commitment: Level = "medium"
    ) -> TurnThresholds:
        """These thresholds for a persona's `turn_taking_patience`, `replica_interruptibility` and
        `turn_commitment`."""
        slower = {"low": 0.75, "medium": 1.0, "high": 1.6}[patience]
        harder = {"low": 2.2, "medium": 1.0, "high": 0.7}[interruptibility]
        surer = {"low": -0.10, "medium": 0.0, "high": 0.10}[commitment]
        return replace(
            self,
            commit_at=self.commit_at + surer,
            usual_pause_s=self.usual_pause_s * slower,
            least_patience_s=self.least_patience_s * slower,
            most_patience_s=self.most_patience_s * slower,
            yield_after_s=self.yield_after_s * harder,
            decide_by_s=self.decide_by_s * harder,
            listening_until_s=self.listening_until_s * harder,
        )
