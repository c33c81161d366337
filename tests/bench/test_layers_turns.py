import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ, PLAYED_HZ
from cvi.bench.layers.barge_in_reactions import barge_in_variant, react, voice_reaction
from cvi.bench.layers.cut_ins import answered_turn, cut_in_variant, hesitating
from cvi.bench.layers.decisions import (
    Decision,
    HeardTurns,
    area_under_curve,
    decide,
    delays_s,
    fit_notes,
    operating_points,
    probability,
    program_rule,
    sweep_rule,
)
from cvi.bench.layers.floor_fit import (
    FloorRows,
    auc,
    auc_interval,
    fit_weights,
    floor_rows,
    log_loss,
    logistic_regression,
    reliability,
    unseen_probabilities,
)
from cvi.bench.layers.measurement import ListeningEngines
from cvi.bench.layers.simulation import TONE, HeardPause, converse, hear_pauses, room_tone, run_simulated
from cvi.bench.layers.turns import (
    detect_in_dialogues,
    dialogue_variant,
    hear_turns,
    joined_scores,
    score_detections,
    turn_variants,
)
from cvi.bench.probe.waveform import TimeSpan
from cvi.bench.recordings.labelled_recordings import Dialogue, LabelledTurn, Overlap, Silence, SpeakerEvents
from cvi.conversation.events import BargeIn, ReplyFirstAudio, TurnCommitted
from cvi.conversation.settings import ConversationSettings
from cvi.testing.fakes import FakeLlm, FakeStt, FakeVad, Vocabulary
from cvi.turns.floor_prediction import log_odds
from cvi.turns.thresholds import TurnThresholds

LIMITS = TurnThresholds()


# -- the clock --------------------------------------------------------------------------------------


def test_computing_takes_the_time_it_took_and_waiting_none():
    async def main():
        import asyncio

        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            began = loop.time()
            await asyncio.sleep(30.0)
            slept = loop.time() - began
            first = loop.run_in_executor(pool, sum, range(400_000))
            second = loop.run_in_executor(pool, sum, range(400_000))
            assert loop.time() - began == slept, "the result is not there before its time"
            await first
            between = loop.time() - began - slept
            await second
            after = loop.time() - began - slept
            with pytest.raises(ZeroDivisionError):
                await loop.run_in_executor(pool, lambda: 1 / 0)
        return slept, between, after, loop.computed_s

    since = time.perf_counter()
    slept, between, after, computed = run_simulated(main())
    assert slept == 30.0 and time.perf_counter() - since < 10.0
    assert 0 < between < after <= computed + 1e-9, "one thread does one thing at a time"


def test_with_slowness_zero_computing_takes_no_time():
    async def main():
        import asyncio

        loop = asyncio.get_running_loop()
        began = loop.time()
        total = await asyncio.to_thread(sum, range(100_000))
        return total, loop.time() - began

    assert run_simulated(main(), slowness=0.0) == (4999950000, 0.0)


# -- windows (protocol 2) ---------------------------------------------------------------------------


def test_moments_are_matched_one_to_one():
    found = score_detections([1.9, 2.1, 7.0], [2.0, 3.5], [TimeSpan(6.5, 7.5), TimeSpan(9.0, 9.5)])
    assert found.delays_s == pytest.approx((-0.1,)) and found.missed == 1
    assert (found.false_spans, found.true_spans) == (1, 1)


def test_a_window_ends_where_the_next_moment_is():
    assert score_detections([4.5], [2.0, 4.4], []).delays_s == pytest.approx((0.1,))


def test_a_detection_that_is_right_is_never_a_false_one():
    right = score_detections([2.2, 2.6], [2.0], [TimeSpan(2.5, 2.9)])
    assert right.false_spans == 0
    assert score_detections([2.3], [], [TimeSpan(2.5, 2.9)]).false_spans == 1, (
        "the tolerance holds for false ones too"
    )
    both = joined_scores([right, score_detections([5.0], [4.8], [])])
    assert len(both.delays_s) == 2 and both.missed == 0


# -- decisions (protocol 1) -------------------------------------------------------------------------


def pause(end_s, resumed_s=None, words=None, voice=None):
    """Known 0.1 s after the speech's end, judged 0.1 s later."""
    at = end_s + 0.2
    return HeardPause(
        end_s, end_s + 0.1, resumed_s, "x", words, None if words is None else at, voice,
        None if voice is None else at,
    )  # fmt: skip


def decision(is_end, *pauses, group="g", start_s=1.0):
    return Decision("r", "s", group, is_end, start_s, pauses)


def delay_of(decision, rule):
    """How long after a silence the rule gives the floor away; None when it does not."""
    (at,) = delays_s([decision], rule)[0]
    return float(at) if np.isfinite(at) else None


def test_pauses_are_given_to_the_silence_they_overlap_most():
    silences = (Silence(1.0, 1.6, False), Silence(3.0, None, True))
    turn = LabelledTurn("t", "s", "t", silences, lambda: np.zeros(1, np.int16))
    heard = [pause(0.95, 1.58), pause(1.59, 1.7), pause(2.2, 2.4), pause(3.1)]
    found = decide(turn, heard)
    first, second = found.decisions
    assert first.pauses == (heard[0], heard[1]) and second.pauses == (heard[3],)
    assert found.pauses_in_speech == [heard[2]]


def test_the_shipped_rule_is_patience_by_probability():
    sure = decision(True, pause(1.0, words=0.95))
    after = delay_of(sure, program_rule("words", [LIMITS]))
    assert after == pytest.approx(LIMITS.least_patience_s, abs=0.033) and after >= LIMITS.least_patience_s
    unsure = delay_of(decision(True, pause(1.0, words=0.0)), program_rule("words", [LIMITS]))
    assert unsure == pytest.approx(LIMITS.most_patience_s, abs=0.033)
    assert delay_of(decision(False, pause(1.0, 1.2, words=0.95)), program_rule("words", [LIMITS])) is None
    assert delay_of(decision(False, pause(1.0, 1.5, words=0.95)), program_rule("words", [LIMITS])) is not None


def test_a_late_judge_delays_and_free_computing_does_not():
    slow = pause(1.0, words=0.95)
    slow.words_s = 1.9
    late = delay_of(decision(True, slow), program_rule("words", [LIMITS]))
    free = delay_of(decision(True, slow), program_rule("words", [LIMITS], computing=False))
    assert late == pytest.approx(0.9, abs=0.033) and free == pytest.approx(0.25, abs=0.033)


def test_the_sweep_waits_for_its_delay_its_judge_or_its_timeout():
    heard = decision(True, pause(1.0, words=0.8))
    assert delay_of(heard, sweep_rule("words", [(0.5, 0.4, 1.0)])) == pytest.approx(0.4, abs=0.033)
    assert delay_of(heard, sweep_rule("words", [(0.9, 0.4, 1.0)])) == pytest.approx(1.0, abs=0.033)
    assert delay_of(heard, sweep_rule("silence", [(0.5, 0.4, 0.6)])) == pytest.approx(0.6, abs=0.033)


@pytest.mark.parametrize("judge", ["silence", "words", "ours"])
def test_many_settings_at_once_give_what_each_gives_alone(judge):
    settings = [(t, d, o) for t in (0.1, 0.6, 0.97) for d in (0.0, 0.3, 0.7) for o in (0.2, 0.65, 1.5)]
    rng = np.random.default_rng(8)
    for k in range(20):
        first = pause(1.0 + rng.uniform(-0.1, 0.1), 1.0 + rng.uniform(0.2, 1.5), rng.random(), rng.random())
        last = pause(2.6, None if k % 2 else 3.0, rng.random(), rng.random())
        heard = decision(k % 2 == 1, first, last)
        at_once = delays_s([heard], sweep_rule(judge, settings))[:, 0]
        one_by_one = [delays_s([heard], sweep_rule(judge, [one]))[0, 0] for one in settings]
        assert at_once.tolist() == one_by_one


def many(separated: bool) -> list[Decision]:
    """Holds of 0.7 s and ends; the words tell them apart, or say nothing. The voice is always right."""
    rng = np.random.default_rng(5)
    found = []
    for k in range(60):
        is_end = k % 3 == 0
        right = 0.95 if is_end else 0.05
        words = right if separated else float(rng.uniform(0.2, 0.8))
        end = pause(1.0, None if is_end else 1.7, words, right)
        found.append(decision(is_end, end, group=f"g{k // 3}"))
    return found


def test_a_perfect_judge_beats_silence_and_a_guessing_one_does_not():
    knowing = many(separated=True)
    silence, words = operating_points(knowing, "silence"), operating_points(knowing, "words")
    assert silence.cuts_at_300.value == 1.0 and words.cuts_at_300.value == 0.0
    assert silence.delay_at_5.value == pytest.approx(0.7, abs=0.06) and words.delay_at_5.value < 0.3
    assert words.delay_at_5.low - 1e-9 <= words.delay_at_5.value <= words.delay_at_5.high + 1e-9
    assert area_under_curve(knowing, "words") == 1.0
    guessing = many(separated=False)
    assert 0.3 < area_under_curve(guessing, "words") < 0.7
    assert operating_points(guessing, "words").delay_at_5.value > 0.5


def test_operating_points_need_holds_and_ends():
    holds = [decision(False, pause(1.0, 1.5, words=0.5))]
    assert operating_points(holds, "words").delay_at_5 is None
    assert area_under_curve(holds, "words") is None


def test_the_fusion_is_there_when_both_judges_have_scored():
    heard = pause(1.0, words=0.5, voice=0.9)
    heard.voice_s = 1.6
    assert probability(heard, "ours") is None, "not scored yet"
    heard.scores["ours"] = 0.7
    assert probability(heard, "ours") == (0.7, 1.6)


def test_variants_have_the_figures_of_their_judge():
    heard = HeardTurns(many(separated=True), [pause(2.0, 2.05, words=0.9), pause(3.0, 9.0, words=0.9)])
    names = {"vad": "v", "stt": "s", "llm": "l", "turns": "none"}
    silence, words, *_ = turn_variants(heard, LIMITS, names)
    assert (silence.name, words.name) == ("silence", "words")
    assert set(words.figure("false_cut").values) == {0.0} and len(words.figure("false_cut").values) == 40
    assert np.median(words.figure("end_delay_ms").values) == pytest.approx(256, abs=33)
    assert words.figure("cut_in_speech").values == (0.0, 1.0)
    delay = silence.figure("delay_at_5")
    low, high = delay.interval
    assert 500 < low <= delay.values[0] + 1e-6 <= high + 2e-6
    with_model = turn_variants(HeardTurns(heard.decisions[:12], []), LIMITS, {**names, "turns": "m"})
    assert [one.name for one in with_model[:5]] == ["silence", "words", "voice", "ours", "unseen"]


# -- fitting ----------------------------------------------------------------------------------------


def test_logistic_regression_finds_the_weights_of_its_data():
    rng = np.random.default_rng(2)
    x = np.stack([rng.normal(0, 2, 4000), np.ones(4000)], axis=1)
    y = (rng.random(4000) < 1 / (1 + np.exp(-(1.5 * x[:, 0] - 0.5)))).astype(float)
    assert logistic_regression(x, y, np.ones(4000)) == pytest.approx([1.5, -0.5], abs=0.15)
    few = logistic_regression(x[:4], y[:4], np.ones(4))
    assert abs(few[0]) < 0.3, "a few rows say little"


def signed(separated: bool) -> list[Decision]:
    """The silences of `many`, their signs written in."""
    found = many(separated)
    for one in found:
        for heard in one.pauses:
            heard.signs = {"words": log_odds(heard.words), "punctuation": 0.0, "fading_s": 0.1}
    return found


def test_weights_are_fitted_and_judged_on_recordings_left_out():
    rows = floor_rows(signed(separated=True))
    weights = fit_weights(rows, ["words", "punctuation", "fading_s"])
    assert weights.signs["words"].weight > 1 and abs(weights.signs["fading_s"].weight) < 0.1
    p = unseen_probabilities(rows, ["words", "fading_s"])
    assert auc(rows.is_end, p) == 1.0 and log_loss(rows.is_end, p) < 0.3
    guessing = floor_rows(signed(separated=False))
    assert 0.2 < auc(guessing.is_end, unseen_probabilities(guessing, ["words", "fading_s"])) < 0.8
    (low, _, mean, share, count), *_ = reliability(rows.is_end, p)
    assert low <= 0.2 and mean < 0.25 and share == 0.0 and count == 40


def test_a_sign_is_not_given_a_meaning_against_what_is_known():
    rows = floor_rows(signed(separated=True))
    upside_down = FloorRows(rows.pauses, rows.signs, ~rows.is_end, rows.groups, rows.sources)
    assert fit_weights(upside_down, ["words", "fading_s"]).signs["words"].weight == 0.0


def test_the_interval_of_an_area_holds_it():
    rows = floor_rows(signed(separated=False))
    p = np.random.default_rng(3).random(len(rows.signs)) + 0.3 * rows.is_end
    groups = tuple(str(k) for k in range(len(p)))
    rows = FloorRows(rows.pauses, rows.signs, rows.is_end, groups, rows.sources)
    low, high = auc_interval(rows, p, np.ones(len(p), bool))
    assert low < auc(rows.is_end, p) < high


def test_a_turn_that_is_cut_into_is_told_from_one_that_is_answered():
    turn = LabelledTurn(
        "t",
        "callers",
        "t",
        (Silence(1.0, 1.8, False), Silence(3.0, None, True)),
        lambda: np.zeros(1, np.int16),
    )
    short = LabelledTurn("s", "callers", "s", (Silence(3.0, None, True),), turn.sound)
    assert hesitating([turn, short]) == [turn]
    commit = TurnCommitted(
        turn=1,
        reply=1,
        text="a",
        speech_start_s=0.0,
        speech_end_s=1.0,
        silence_ms=300,
        completeness=0.8,
        draft_hit=True,
    )
    sound = ReplyFirstAudio(reply=1, at_s=1.7)
    events = [replace(commit, t=1.4), replace(sound, t=1.7), replace(commit, t=3.3), replace(sound, at_s=3.5)]
    cut = answered_turn(turn, events)
    assert (cut.commits, cut.heard, cut.response_s) == ((1.4,), (1.7,), pytest.approx(0.5))
    kept = answered_turn(turn, [replace(sound, at_s=3.6)])
    figures = {f.name: f.values for f in cut_in_variant([cut, kept], 0.5, {}).figures}
    assert figures["cut_in_heard"] == (1.0, 0.0) and figures["response_ms"] == pytest.approx((500.0, 600.0))


def test_of_synthetic_callers_only_the_words_are_fitted():
    one = decision(True, pause(1.0, words=0.9))
    one.pauses[0].signs = {"words": 2.0, "fading_s": 0.1}
    called = Decision("r", "callers", "g", True, 1.0, one.pauses)
    assert set(floor_rows([called]).signs[0]) == {"words"} and set(floor_rows([one]).signs[0]) == {
        "words",
        "fading_s",
    }


def test_a_fit_says_whether_there_is_a_gain():
    first, patience = fit_notes(many(separated=False), LIMITS)
    assert "40 holds and 20 ends of 20 recordings" in first
    assert "Proposed commit_at=" in patience


# -- the real conversation, with fakes for its engines ----------------------------------------------


class FakeTurnModel:
    name = "fake"
    window_s = 8.0

    def __init__(self):
        self.lengths = []

    async def warm(self):
        pass

    async def ended(self, pcm):
        self.lengths.append(len(pcm) / HEARD_HZ)
        return 0.75

    def close(self):
        pass


def engines(vocabulary, turn_model=None):
    settings = ConversationSettings("bench", "You are a test.", greeting="Never said.")
    names = {"vad": "fake", "stt": "fake", "llm": "fake", "turns": "fake" if turn_model else "none"}
    return ListeningEngines(FakeVad(), FakeStt(vocabulary), FakeLlm(), turn_model, settings, names)


def spoken(vocabulary, *parts):
    """Words and silences, as (seconds of silence) or text, one after the other."""
    pieces = [
        np.zeros(round(part * HEARD_HZ), np.int16) if isinstance(part, float) else vocabulary.sound(part)
        for part in parts
    ]
    return np.concatenate(pieces)


@pytest.fixture
def silent_rooms(monkeypatch):
    """The fakes take any noise for a voice."""
    monkeypatch.setattr(
        "cvi.bench.layers.simulation.room_tone",
        lambda pcm, seconds: np.zeros(round(seconds * HEARD_HZ), np.int16),
    )


def test_every_pause_is_heard_because_the_floor_is_never_given_away(silent_rooms):
    vocabulary, model = Vocabulary(), FakeTurnModel()
    sound = spoken(vocabulary, 0.5, "tell me about the", 0.8, "old sea", 1.9, "please")
    heard = run_simulated(hear_pauses(sound, engines(vocabulary, model)))
    assert [p.text for p in heard] == [
        "tell me about the",
        "tell me about the old sea",
        "tell me about the old sea please",
    ]
    assert [p.words for p in heard] == [0.05, 0.95, 0.95] and {p.voice for p in heard} == {0.75}
    assert [p.speech_end_s for p in heard] == pytest.approx([1.5, 2.8, 4.95], abs=0.05)
    assert heard[0].resumed_s == pytest.approx(2.3, abs=0.07) and heard[2].resumed_s is None
    assert all(p.speech_end_s < p.known_s < p.words_s < p.speech_end_s + 0.4 for p in heard)
    assert model.lengths[0] == pytest.approx(1.0 + 0.5 + 0.1, abs=0.1), "the turn so far, and its lead"


def test_a_labelled_turn_is_heard_and_decided(silent_rooms):
    vocabulary = Vocabulary()
    sound = spoken(vocabulary, 0.5, "could you tell me about the", 0.8, "sea")
    turn = LabelledTurn("t", "s", "t", (Silence(2.0, 2.8, False), Silence(3.05, None, True)), lambda: sound)
    progress = []
    heard = run_simulated(hear_turns([turn], engines(vocabulary), progress.append))
    assert progress == ["t"] and not heard.pauses_in_speech
    _, words, *_ = turn_variants(heard, LIMITS, {"vad": "v", "stt": "s", "llm": "l"})
    assert words.figure("false_cut").values == (0.0,)
    assert words.figure("end_delay_ms").values[0] == pytest.approx(250, abs=60)
    assert set(heard.as_data()) == {"decisions", "astray"}


def test_the_moments_of_dialogues_are_detected_by_the_real_conversation(silent_rooms, no_melody):
    vocabulary = Vocabulary()
    sounds = [
        spoken(vocabulary, 0.5, "what is this", 3.0),
        spoken(vocabulary, 2.0, "stop it now", 1.5),
    ]
    events = (
        SpeakerEvents(turn_ends=(1.25,)),
        SpeakerEvents(takes=(2.0,), backchannels=(TimeSpan(0.5, 1.0),)),
    )
    dialogue = Dialogue("d", "s", events, lambda speaker: sounds[speaker])
    ends, takes = run_simulated(detect_in_dialogues([dialogue], engines(vocabulary), lambda name: None))
    assert ends.missed == 0 and 0.2 < ends.delays_s[0] < 0.5
    assert takes.missed == 0 and 0.1 < takes.delays_s[0] < 0.6 and takes.true_spans == 1
    variant = dialogue_variant(ends, takes, {})
    assert variant.figure("end_found").values == (1.0,) and variant.figure("take_false").values == (0.0,)


def test_a_monologue_goes_on_until_somebody_speaks(silent_rooms):
    vocabulary = Vocabulary()
    conversation = run_simulated(converse(spoken(vocabulary, 3.0), engines(vocabulary), monologue=True))
    loud = np.abs(conversation.heard) == TONE
    assert loud[PLAYED_HZ // 2 :].all() and not conversation.times(BargeIn)


def test_reactions_to_overlaps_are_read_from_the_sound(silent_rooms):
    vocabulary = Vocabulary()
    overlaps = [
        Overlap("stop", "s", 2.0, True, lambda: spoken(vocabulary, 2.0, "stop stop stop", 1.0)),
        Overlap("yes", "s", 2.0, False, lambda: spoken(vocabulary, 2.0, "yeah", 2.0)),
        Overlap("mute", "s", 2.0, True, lambda: spoken(vocabulary, 4.0)),
        Overlap("early", "s", 3.0, True, lambda: spoken(vocabulary, 1.0, "stop now please", 3.0)),
    ]
    listening = engines(vocabulary)
    # As a persona's own greeting is: the bench's monologue gives way all the same.
    listening.settings = replace(listening.settings, greeting_interruptible=False)
    stop, yes, mute, early = found = run_simulated(react(overlaps, listening, LIMITS, lambda name: None))
    assert stop.yielded and 0.1 < stop.silent_s < 0.5
    assert not yes.yielded and 0.05 < yes.ducked_s < yes.resumed_s < 1.0
    assert not mute.yielded and mute.ducked_s is None
    assert early.early and not early.yielded
    variant = barge_in_variant(overlaps, found, {})
    assert variant.figure("missed").values == (0.0, 1.0) and variant.figure("wrongly_yielded").values == (
        0.0,
    )
    assert len(variant.figure("silence_ms").values) == 1 and variant.figure("early").values.count(1.0) == 1


# -- the steady voice -------------------------------------------------------------------------------


def test_what_the_voice_did_is_read_from_its_samples():
    tone = np.full(PLAYED_HZ * 4, TONE, np.int16)
    ducked = tone.copy()
    ducked[PLAYED_HZ * 2 : round(PLAYED_HZ * 2.5)] //= 3
    found = voice_reaction(ducked, 1.9)
    assert found.silent_s is None
    assert (found.ducked_s, found.resumed_s) == pytest.approx((0.1, 0.6), abs=0.005)
    twice = ducked.copy()
    twice[PLAYED_HZ * 3 : round(PLAYED_HZ * 3.3)] //= 3
    assert voice_reaction(twice, 1.9).resumed_s == pytest.approx(0.6, abs=0.005), (
        "a second voice is another matter"
    )
    cut = ducked.copy()
    cut[round(PLAYED_HZ * 2.2) : PLAYED_HZ * 3] = 0
    found = voice_reaction(cut, 1.9)
    assert (found.silent_s, found.ducked_s) == pytest.approx((0.3, 0.1), abs=0.005)
    assert found.resumed_s is None
    click = tone.copy()
    click[PLAYED_HZ : PLAYED_HZ + 240] = 0
    assert voice_reaction(click, 0.5).silent_s is None, "ten milliseconds are no silence"
    assert voice_reaction(np.zeros(PLAYED_HZ, np.int16), 0.5).silent_s == -0.5


def test_room_tone_is_as_loud_as_the_room():
    rng = np.random.default_rng(1)
    room = rng.normal(0, 40, HEARD_HZ)
    loud = rng.normal(0, 4000, HEARD_HZ)
    tone = room_tone(np.concatenate([room, loud]).astype(np.int16), 2.0)
    assert len(tone) == 2 * HEARD_HZ and 30 < tone.std() < 45
