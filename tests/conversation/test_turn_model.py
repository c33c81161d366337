"""How the conversation uses a turn model, which judges from the voice whether a turn is over."""

from __future__ import annotations

import pytest

from cvi.audio.block import HEARD_HZ
from cvi.conversation.events import EngineFailed, JudgeLate, TurnCommitted, TurnScored
from cvi.errors import EngineError
from cvi.testing.fakes import FakeTurnModel
from cvi.testing.script import Script, ScriptOutcome
from cvi.turns.floor_prediction import FloorWeights, SignWeight, shipped_weights


@pytest.fixture(autouse=True)
def _weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped weights leave the turn model out: these weigh it, too."""
    shipped = shipped_weights()
    weights = FloorWeights(shipped.offset, {**shipped.signs, "voice": SignWeight(0.3)})
    monkeypatch.setattr("cvi.conversation.turn_taking.shipped_weights", lambda: weights)


def test_a_model_that_is_not_weighed_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvi.conversation.turn_taking.shipped_weights", shipped_weights)
    model = FakeTurnModel(0.9)
    assert outcome_with(model).of(TurnScored)[0].voice is None and not model.heard


def outcome_with(model: FakeTurnModel | None, text: str = "i like tea") -> ScriptOutcome:
    script = Script()
    script.user_says(0.5, text)
    return script.play(turns=model)


def silence_ms(model: FakeTurnModel | None) -> int:
    (committed,) = outcome_with(model).of(TurnCommitted)
    return int(committed.silence_ms)


def test_a_voice_that_goes_on_makes_the_floor_pass_later() -> None:
    less_sure = outcome_with(FakeTurnModel(0.02)).of(TurnScored)[0].completeness
    assert less_sure < outcome_with(FakeTurnModel(0.98)).of(TurnScored)[0].completeness
    assert silence_ms(FakeTurnModel(0.02)) >= silence_ms(FakeTurnModel(0.98))


def test_both_probabilities_are_in_the_journal() -> None:
    (scored,) = outcome_with(FakeTurnModel(0.1)).of(TurnScored)
    assert scored.voice == 0.1
    assert scored.words is not None and scored.signs["voice"] < 0
    (alone,) = outcome_with(None).of(TurnScored)
    assert alone.voice is None


@pytest.mark.parametrize(
    ("model", "event"),
    [
        (FakeTurnModel(0.02, delay_s=5.0), JudgeLate),
        (FakeTurnModel(EngineError("It is broken.")), EngineFailed),
    ],
)
def test_without_an_answer_of_the_model_the_words_decide(
    model: FakeTurnModel, event: type[JudgeLate] | type[EngineFailed]
) -> None:
    outcome = outcome_with(model)
    assert [e.layer for e in outcome.of(event)] == ["turns"]
    (scored,) = outcome.of(TurnScored)
    assert scored.voice is None
    assert outcome.of(TurnCommitted)


def test_the_model_hears_the_end_of_the_turn_and_no_more_than_it_looks_at() -> None:
    short, long = FakeTurnModel(0.9), FakeTurnModel(0.9)
    outcome_with(short, "yes")
    outcome_with(long, "one two three four five six seven eight nine ten eleven twelve")
    assert 0.25 * HEARD_HZ < short.heard[0] < 2.0 * HEARD_HZ
    assert long.heard == [2.0 * HEARD_HZ]


def test_speech_that_goes_on_cancels_the_question() -> None:
    model = FakeTurnModel(0.9, delay_s=0.2)
    outcome = outcome_with(model, "i like tea ... and i like coffee")
    assert len(model.heard) == 2
    assert [e.text for e in outcome.of(TurnCommitted)] == ["i like tea and i like coffee"]
