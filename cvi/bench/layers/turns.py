"""`cvi bench turns`: false cuts against delay on labelled turns, and moments detected in dialogues."""

from __future__ import annotations

import asyncio
import json as json_text
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.bench.layers.cut_ins import answer_turns, cut_in_variant, hesitating
from cvi.bench.layers.decisions import (
    JUDGES,
    Decision,
    HeardTurns,
    area_under_curve,
    decide,
    delays_s,
    fit_notes,
    gives_floor_at,
    operating_points,
    program_rule,
    sweep_rule,
)
from cvi.bench.layers.floor_fit import (
    DIRECTIONS,
    GROUPS,
    FloorRows,
    auc,
    auc_interval,
    floor_rows,
    log_loss,
    score_pauses,
    unseen_probabilities,
    usable_signs,
)
from cvi.bench.layers.measurement import (
    EngineRequest,
    ListeningEngines,
    count_sources,
    finish,
    listening_engines,
    milliseconds,
    proportion,
    show_progress,
)
from cvi.bench.layers.simulation import HeardPause, SimulatedLoop, converse, hear_pauses, run_simulated
from cvi.bench.probe.waveform import TimeSpan
from cvi.bench.recordings.labelled_recordings import Dialogue, LabelledTurn, Recordings
from cvi.bench.run import Figure, Variant
from cvi.bench.run_store import RunRecorder
from cvi.bench.statistics import Interval
from cvi.conversation.events import BargeIn, TurnCommitted
from cvi.engines import ResolvedConfig
from cvi.errors import UsageError
from cvi.turns.thresholds import TurnThresholds

HEARD_NAME = "heard.json"
PLAIN_SILENCE_S = 0.8
"""The timeout of plain systems; silence alone is shown at it, beside its sweep."""
BEFORE_S, AFTER_S = 0.25, 3.0
"""A moment of a dialogue is looked for from so long before it to so long after."""
ONE_CORE_EACH = "Each engine is timed as if it had a core of its own; a live conversation shares them."
_SYNTHETIC = (
    "These voices are synthetic: they measure words, silences and noise, and say nothing of the turn model."
)
_FEW = "Fewer than 300 decisions of a kind: no claim of errors under 1 % can be made from them."
_SWEEP = "eot-bench's sweep of policies, chosen and measured on the same decisions."
_POINTS = (
    ("cuts_at_300", "best of the sweep: false cuts at a mean delay of 300 ms", "%", 100.0),
    ("cuts_at_600", "best of the sweep: false cuts at a mean delay of 600 ms", "%", 100.0),
    ("delay_at_5", "best of the sweep: mean delay at 5 % false cuts", "ms", 1000.0),
    ("delay_at_10", "best of the sweep: mean delay at 10 % false cuts", "ms", 1000.0),
)
Progress = Callable[[str], None]


def measure_turns(
    found: Recordings | None,
    heard_path: Path | None,
    *,
    data: str,
    persona: str,
    profile: str,
    turn_model: Path | None,
    slowness: float,
    fit: bool,
    recognized: Path | None,
    answer_s: Sequence[float] = (),
    output: Path | None,
    json: bool,
) -> None:
    """Measure, store, print; without recordings (`found`) judge anew what an earlier run heard
    (`heard_path`).

    Raises UsageError when the recordings have neither turns nor dialogues.
    """
    config = None if found is None else EngineRequest(persona, profile).resolved()
    weights = None if config is None else turn_model_file(config, turn_model)
    options = {"data": data, "persona": persona, "slowness": slowness, "turn_model": weights is not None}
    recorder = RunRecorder("turns", options, output=output)
    if found is None or config is None:
        assert heard_path is not None
        recorder.options["data"] = f"what {heard_path.name} heard"
        heard, thresholds, names = _load(heard_path)
        variants = turn_variants(heard, thresholds, names)
    else:
        if not found.turns and not found.dialogues:
            raise UsageError(
                f"{data} has no labelled turns or dialogues.", "`cvi bench barge-in` may fit it."
            )
        recorder.profile = config.profile.name
        measuring = _measure(found, config, weights, recognized, answer_s, recorder)
        wall = recorder.profile == "workstation"
        heard, variants, thresholds = run_simulated(measuring, slowness, wall=wall)
        recorder.notes.append(ONE_CORE_EACH)
        if any(turn.source == "callers" for turn in found.turns):
            recorder.notes.append(_SYNTHETIC)
    if heard.decisions:
        ends = sum(decision.is_end for decision in heard.decisions)
        holds = len(heard.decisions) - ends
        recorder.options["decisions"] = {"hold": holds, "end": ends, **count_sources(heard.decisions)}
        if min(ends, holds) < 300:
            recorder.notes.append(_FEW)
        recorder.write(HEARD_NAME, {**heard.as_data(), "engines": variants[-1].engines})
        if fit:
            recorder.notes += fit_notes(heard.decisions, thresholds)
    finish(recorder, variants, json)


async def _measure(
    found: Recordings,
    config: ResolvedConfig,
    weights: Path | None,
    recognized: Path | None,
    answer_s: Sequence[float],
    recorder: RunRecorder,
) -> tuple[HeardTurns, list[Variant], TurnThresholds]:
    progress = show_progress(len(found.turns) + len(found.dialogues))
    async with listening_engines(config, weights, recognized) as engines:
        thresholds = engines.settings.thresholds
        heard = await hear_turns(found.turns, engines, progress)
        variants = turn_variants(heard, thresholds, engines.names) if heard.decisions else []
        if found.dialogues:
            ends, takes = await detect_in_dialogues(found.dialogues, engines, progress)
            variants.append(dialogue_variant(ends, takes, engines.names))
        if pausing := hesitating(found.turns):
            for seconds in answer_s:
                answered = await answer_turns(pausing, engines, seconds, progress)
                recorder.write(f"answers-{seconds:g}.json", [asdict(one) for one in answered])
                variants.append(cut_in_variant(answered, seconds, engines.names))
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    recorder.options["engines_computed_s"] = round(loop.computed_s, 3)
    return heard, variants, thresholds


def turn_model_file(config: ResolvedConfig, path: Path | None) -> Path | None:
    """The turn model's file: `path`, or the profile's own; None where there is none."""
    choice = config.profile.choices.get("turns")
    return path or (Path(choice.model) if choice is not None and choice.model is not None else None)


def _load(path: Path) -> tuple[HeardTurns, TurnThresholds, dict[str, str]]:
    """What an earlier run heard. Raises UsageError."""
    try:
        stored = json_text.loads((path / HEARD_NAME if path.is_dir() else path).read_text(encoding="utf-8"))
        decisions = [
            Decision(**{**one, "pauses": tuple(HeardPause(**pause) for pause in one["pauses"])})
            for one in stored["decisions"]
        ]
        heard = HeardTurns(decisions, [HeardPause(**pause) for pause in stored["astray"]])
        return heard, TurnThresholds(), dict(stored["engines"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is not what a run of `cvi bench turns` heard ({error}).", "Give its folder."
        ) from error


# -- protocol 1: the silences of turns -----------------------------------------------------------------


async def hear_turns(
    turns: Sequence[LabelledTurn], engines: ListeningEngines, progress: Progress, *, partials: bool = True
) -> HeardTurns:
    """Let the engines hear every labelled turn. Runs on a `SimulatedLoop`."""
    heard = HeardTurns([], [])
    for turn in turns:
        one = decide(turn, await hear_pauses(turn.sound(), engines, partials=partials))
        heard.decisions.extend(one.decisions)
        heard.pauses_in_speech.extend(one.pauses_in_speech)
        progress(turn.id)
    return heard


KINDS = {"pauses": "monologue", "callers": "synthetic callers", "texts": "texts", "speech": "sentences"}
"""What a source of turns is called; any other is a conversation."""


def turn_variants(heard: HeardTurns, thresholds: TurnThresholds, names: dict[str, str]) -> list[Variant]:
    """For each kind of speech (conversation, monologue) a variant for silence alone, one for each judge, and
    what the signs are worth. The swept points have 95 % intervals over recordings drawn anew.
    """
    judges = [judge for judge in JUDGES if judge != "voice" or names.get("turns", "none") != "none"]
    score_pauses(heard.decisions)
    kinds: dict[str, list[Decision]] = {}
    for decision in heard.decisions:
        kinds.setdefault(KINDS.get(decision.source, "conversation"), []).append(decision)
    variants = []
    for kind, decisions in kinds.items():
        only = {decision.recording for decision in decisions}
        part, name = heard, ""
        if len(kinds) > 1:
            part = HeardTurns(decisions, [p for p in heard.pauses_in_speech if p.recording in only])
            name = f", {kind}"
        variants += [_turn_variant(judge, part, thresholds, names, name) for judge in judges]
    return [*variants, *witness_variants(heard.decisions, names)]


def witness_variants(decisions: Sequence[Decision], names: dict[str, str]) -> list[Variant]:
    """The area under the curve of each witness alone, and of all but it, on recordings not fitted on."""
    rows = floor_rows(decisions)
    usable = usable_signs(rows)
    if len(set(rows.is_end)) < 2:
        return []
    kinds = np.array([KINDS.get(source, "conversation") for source in rows.sources])
    variants = []
    for name, about, alone in (
        ("alone", "area under the curve with this witness alone", True),
        ("without", "area under the curve with all but this witness", False),
    ):
        figures = []
        for witness, own in (*GROUPS.items(), ("all", ())):
            signs = [sign for sign in usable if witness == "all" or (sign in own) is alone]
            if not signs or (witness != "all" and not set(own) & set(usable)):
                continue
            p = _one_sign(rows, signs[0]) if len(signs) == 1 else unseen_probabilities(rows, signs)
            for kind in sorted(set(kinds)):
                here = kinds == kind
                value = auc(rows.is_end[here], p[here])
                if not math.isnan(value):
                    key, label = f"auc_{witness}_{kind}", f"{witness}, {kind}"
                    interval = auc_interval(rows, p, here)
                    figures.append(Figure(key, label, "", (value,), False, interval=interval))
            loss = log_loss(rows.is_end, p)
            if not math.isnan(loss):
                figures.append(Figure(f"loss_{witness}", f"{witness}, log loss", "", (loss,)))
        variants.append(Variant(f"signs {name}", about, names, figures=tuple(figures)))
    return variants


def _one_sign(rows: FloorRows, name: str) -> npt.NDArray[np.float64]:
    """A sign as a probability by itself; nothing is fitted."""
    values = np.array([one.get(name, math.nan) for one in rows.signs])
    spread = float(np.nanstd(values)) or 1.0
    odds = DIRECTIONS[name] * (values - np.nanmean(values)) / spread
    return np.asarray(1 / (1 + np.exp(-odds)))


def _turn_variant(
    judge: str, heard: HeardTurns, thresholds: TurnThresholds, names: dict[str, str], kind: str = ""
) -> Variant:
    alone = judge == "silence"
    plain = [(1.0, 0.0, PLAIN_SILENCE_S)]
    rule = sweep_rule(judge, plain) if alone else program_rule(judge, [thresholds])
    ends = [decision for decision in heard.decisions if decision.is_end]
    holds = [decision for decision in heard.decisions if not decision.is_end]
    waits_s = delays_s(ends, rule)[0]
    figures = [
        proportion("false_cut", "false cuts as the program is set", np.isfinite(delays_s(holds, rule)[0])),
        milliseconds("end_delay_ms", "delay as the program is set", waits_s),
        proportion("end_missed", "ends not detected within 4 s", np.isinf(waits_s)),
    ]
    if not alone:
        at_once = program_rule(judge, [thresholds], computing=False)
        waits_s = delays_s(ends, at_once)[0]
        figures.append(milliseconds("decision_delay_ms", "delay were computing free", waits_s))
        figures += _computing(judge, heard)
    given_away = (bool(np.isfinite(gives_floor_at(p, rule)[0])) for p in heard.pauses_in_speech)
    figures.append(proportion("cut_in_speech", "the floor given away within labelled speech", given_away))
    own = {"vad": names["vad"]} if alone else names
    return Variant(judge + kind, JUDGES[judge], own, figures=(*figures, *_swept_points(judge, heard)))


def _computing(judge: str, heard: HeardTurns) -> list[Figure]:
    """How long a pause took to be known, and how long judging took after that."""
    pauses = [pause for decision in heard.decisions for pause in decision.pauses]

    def after_known(times_s: Iterable[float | None]) -> list[float]:
        return [t - p.known_s for t, p in zip(times_s, pauses, strict=True) if t is not None]

    known = (p.known_s - p.speech_end_s for p in pauses)
    figures = [milliseconds("known_ms", "a pause is known, after speech ended", known)]
    if judge != "voice":
        took = after_known(p.words_s for p in pauses)
        figures.append(milliseconds("judge_ms", "computing: transcript and its judge", took))
    if judge != "words":
        took = after_known(p.voice_s for p in pauses)
        figures.append(milliseconds("voice_ms", "computing: turn model", took))
    return figures


def _swept_points(judge: str, heard: HeardTurns) -> list[Figure]:
    points = operating_points(heard.decisions, judge)
    figures: list[Figure] = []
    for name, label, unit, scale in _POINTS:
        found: Interval | None = getattr(points, name)
        value = () if found is None else (found.value * scale,)
        interval = None if found is None else (found.low * scale, found.high * scale)
        figures.append(Figure(name, label, unit, value, protocol=_SWEEP, interval=interval))
    area = None if judge == "silence" else area_under_curve(heard.decisions, judge)
    if area is not None:
        figures.append(Figure("auc", "area under the curve", "", (area,), lower_is_better=False))
    return figures


# -- protocol 2: the moments of dialogues --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DetectionScore:
    """`delays_s` has one entry for each moment found, `missed` counts the others; `false_spans` counts spans
    without a moment in which one was detected, `true_spans` the others."""

    delays_s: tuple[float, ...]
    missed: int
    false_spans: int
    true_spans: int


def score_detections(
    detected_s: Sequence[float], moments_s: Sequence[float], nothing: Sequence[TimeSpan]
) -> DetectionScore:
    """Match one speaker's detections with the labelled moments, one to one (turnbench's rules).

    A moment is looked for from 0.25 s before it to 3 s after, not past the next of its kind, and claims the
    earliest detection that is still free. A detection in a span of `nothing` is a false one, at most one a
    span, unless it lies in the window of a moment.
    """
    free, moments = sorted(detected_s), sorted(moments_s)
    delays: list[float] = []
    windows: list[TimeSpan] = []
    for moment, following in pairwise([*moments, float("inf")]):
        window = TimeSpan(moment - BEFORE_S, min(moment + AFTER_S, following))
        windows.append(window)
        match = next((t for t in free if window.start_s <= t <= window.end_s), None)
        if match is not None:
            free.remove(match)
            delays.append(match - moment)
    loose = [t for t in free if not any(window.start_s <= t <= window.end_s for window in windows)]
    false = sum(any(span.start_s - BEFORE_S <= t <= span.end_s for t in loose) for span in nothing)
    return DetectionScore(tuple(delays), len(moments) - len(delays), false, len(nothing) - false)


def joined_scores(scores: Sequence[DetectionScore]) -> DetectionScore:
    """Several speakers' scores as one."""
    return DetectionScore(
        tuple(delay for one in scores for delay in one.delays_s),
        sum(one.missed for one in scores),
        sum(one.false_spans for one in scores),
        sum(one.true_spans for one in scores),
    )


async def detect_in_dialogues(
    dialogues: Sequence[Dialogue], engines: ListeningEngines, progress: Progress
) -> tuple[DetectionScore, DetectionScore]:
    """The real conversation on each speaker: turn ends, and the floor being taken. Runs on a
    `SimulatedLoop`."""
    ends: list[DetectionScore] = []
    takes: list[DetectionScore] = []
    for dialogue in dialogues:
        for speaker, events in enumerate(dialogue.speakers):
            pcm = dialogue.sound(speaker)
            if events.turn_ends or events.holds:
                times = (await converse(pcm, engines, monologue=False)).times(TurnCommitted)
                ends.append(score_detections(times, events.turn_ends, events.holds))
            if events.takes or events.backchannels:
                times = (await converse(pcm, engines, monologue=True)).times(BargeIn)
                takes.append(score_detections(times, events.takes, events.backchannels))
        progress(dialogue.id)
    return joined_scores(ends), joined_scores(takes)


def dialogue_variant(ends: DetectionScore, takes: DetectionScore, names: dict[str, str]) -> Variant:
    """Protocol 2's figures."""
    figures: list[Figure] = []
    for what, label, found in (("end", "turn ends", ends), ("take", "floor taken", takes)):
        hits = [True] * len(found.delays_s) + [False] * found.missed
        false = [True] * found.false_spans + [False] * found.true_spans
        figures += [
            proportion(f"{what}_found", f"{label}: found, -0.25 to +3 s", hits, lower_is_better=False),
            milliseconds(f"{what}_delay_ms", f"{label}: delay", found.delays_s),
            proportion(f"{what}_false", f"{label}: detected where there was none", false),
        ]
    about = "each speaker's own channel, the real conversation"
    return Variant("dialogues", about, names, figures=tuple(figures))
