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
    """When a voice counts, when a pause is an end, when a reply gives way.

    voice: `voice_on` and `voice_off` are the detector's probabilities (a gap between them keeps it
    from flickering); a voice is believed after `voice_min_s` of it, a pause after `pause_min_s`.

    end of turn: a turn judged complete with probability `sure` or more passes the floor after
    `patience_sure_s` of silence, at `likely` after `patience_likely_s`, at zero after
    `patience_unlikely_s`; between them the patience is interpolated. A reply is drafted once the
    turn is at least `draft` likely to be complete, or the pause has lasted `draft_after_s`. A model
    that has not judged the turn within `judge_within_s` is not waited for: the words alone decide.

    barge-in: the reply is ducked by `duck_gain` after `duck_after_s` of the participant's voice,
    and gives way after `yield_after_s` unless the words are only a backchannel, or the voice has fallen
    more than `fading_db` below its loudest and so is about to end; what goes on for `decide_by_s` gives
    way all the same. Both chosen on the callers `overlaps` (48, eight voices) and ten labelled recordings
    of people, by `cvi bench barge-in overlaps --fit`.
    """

    voice_on: float = 0.5
    voice_off: float = 0.35
    voice_min_s: float = 0.064
    pause_min_s: float = 0.064

    sure: float = 0.9
    likely: float = 0.5
    patience_sure_s: float = 0.25
    patience_likely_s: float = 0.50
    patience_unlikely_s: float = 1.40
    draft: float = 0.35
    draft_after_s: float = 0.45
    drafts_per_turn: int = 3
    judge_within_s: float = 0.40
    partial_every_s: float = 0.15
    overlap_partial_every_s: float = 0.10

    duck_after_s: float = 0.10
    duck_gain: float = 0.35
    yield_after_s: float = 0.40
    fading_db: float = 12.0
    decide_by_s: float = 0.80

    def patience_s(self, completeness: float) -> float:
        """How much silence passes the floor, for a turn that is complete with this probability."""
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
