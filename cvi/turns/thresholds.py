"""Every number that decides whose turn it is, in one place.

Starting values follow the measurements in `docs/architecture.md` (Turn-taking). `cvi bench turns FOLDER
--fit` and `cvi bench barge-in FOLDER --fit` print what would be better on labelled recordings, judged on
recordings they were not fitted on; nothing is written by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Level = Literal["low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class TurnThresholds:
    """When a voice counts, when a pause ends a turn, when a reply gives way. `_s` is seconds.

    The patience after a pause is interpolated between three points of the turn's completeness: 0,
    `likely` and `sure`; see `patience_s`.
    """

    voice_on: float = 0.5
    """The detector's probability at which a voice starts."""
    voice_off: float = 0.35
    """The detector's probability below which it pauses; the gap to `voice_on` keeps it from flickering."""
    voice_min_s: float = 0.064
    """How long a voice must last to be believed."""
    pause_min_s: float = 0.064
    """How long a silence must last to be believed."""

    sure: float = 0.9
    """From this probability on, a turn is taken for complete."""
    likely: float = 0.5
    """The middle point of the patience; also the completeness of every turn where none is judged."""
    patience_sure_s: float = 0.25
    """Silence that ends a turn of completeness `sure` and above."""
    patience_likely_s: float = 0.50
    """Silence that ends a turn of completeness `likely`."""
    patience_unlikely_s: float = 1.40
    """Silence that ends a turn of completeness 0."""
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

    # Barge-in: chosen on the callers `overlaps` (48, eight voices) and ten labelled recordings of people, by
    # `cvi bench barge-in overlaps --fit`.
    duck_after_s: float = 0.10
    """Voice over a reply after which the reply is made quieter."""
    duck_gain: float = 0.35
    """What its sound is multiplied by then."""
    yield_after_s: float = 0.40
    """Voice over a reply after which the reply gives way, unless it is a backchannel or is fading."""
    fading_db: float = 12.0
    """A voice this far below its loudest is about to end and does not interrupt yet."""
    decide_by_s: float = 0.80
    """Voice over a reply after which the reply gives way in any case."""

    def patience_s(self, completeness: float) -> float:
        """How much silence ends a turn that is complete with this probability, seconds."""
        if completeness >= self.sure:
            return self.patience_sure_s
        if completeness >= self.likely:
            share = (completeness - self.likely) / (self.sure - self.likely)
            return self.patience_likely_s + share * (self.patience_sure_s - self.patience_likely_s)
        share = completeness / self.likely
        return self.patience_unlikely_s + share * (self.patience_likely_s - self.patience_unlikely_s)

    def adapted(self, patience: Level = "medium", interruptibility: Level = "medium") -> TurnThresholds:
        """These thresholds for a persona's `turn_taking_patience` and `replica_interruptibility`."""
        slower = {"low": 0.75, "medium": 1.0, "high": 1.6}[patience]
        harder = {"low": 2.2, "medium": 1.0, "high": 0.7}[interruptibility]
        return replace(
            self,
            patience_sure_s=self.patience_sure_s * slower,
            patience_likely_s=self.patience_likely_s * slower,
            patience_unlikely_s=self.patience_unlikely_s * slower,
            yield_after_s=self.yield_after_s * harder,
            decide_by_s=self.decide_by_s * harder,
        )
