"""The runs of `cvi bench turns` and `cvi bench barge-in`."""

from __future__ import annotations

import asyncio
import json as json_text
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path

from cvi.bench.layers.barge_in import FIT_YIELD_AFTER_S, barge_in_variant, react
from cvi.bench.layers.engines import Wanted, cast_of, find_turn_model, listeners
from cvi.bench.layers.fitting import fit_notes
from cvi.bench.layers.floor import Decision
from cvi.bench.layers.keeping import Measuring, print_run, sources
from cvi.bench.layers.listening import HeardPause
from cvi.bench.layers.simulated import SimulatedLoop, run_simulated
from cvi.bench.layers.turns import Heard, dialogue_variant, hear_turns, tell_dialogues, turn_variants
from cvi.bench.recordings.labels import Recordings
from cvi.bench.run import Variant
from cvi.errors import UsageError
from cvi.turns.thresholds import TurnThresholds

HEARD_NAME = "heard.json"
_SYNTHETIC = (
    "These voices are synthetic: they measure words, silences and noise, and say nothing of the turn model."
)
_FEW = "Fewer than 300 decisions of a kind: no claim of errors under 1 % can be made from them."
_ALONE = "Each engine is timed as if it had a core of its own; a live conversation shares them."


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
    output: Path | None,
    json: bool,
) -> None:
    """Measure, keep, print. Raises UsageError when the recordings have neither turns nor dialogues."""
    wanted = Wanted(persona, profile)
    weights = None if found is None else find_turn_model(wanted, turn_model)
    options = {"data": data, "persona": persona, "slowness": slowness, "turn_model": weights is not None}
    measuring = Measuring("turns", options, output=output)
    if found is None:
        assert heard_path is not None
        measuring.options["data"] = f"what {heard_path.name} heard"
        heard, thresholds, names = _load(heard_path)
        variants = turn_variants(heard, thresholds, names)
    else:
        if not found.turns and not found.dialogues:
            raise UsageError(
                f"{data} has no labelled turns or dialogues.", "`cvi bench barge-in` may fit it."
            )
        measuring.profile = cast_of(wanted).profile.name
        heard, variants, thresholds = run_simulated(
            _hear(found, wanted, weights, measuring), slowness, wall=measuring.profile == "workstation"
        )
        measuring.notes.append(_ALONE)
        if any(turn.source == "callers" for turn in found.turns):
            measuring.notes.append(_SYNTHETIC)
    if heard.decisions:
        ends = sum(decision.is_end for decision in heard.decisions)
        holds = len(heard.decisions) - ends
        measuring.options["decisions"] = {"hold": holds, "end": ends, **sources(heard.decisions)}
        if min(ends, holds) < 300:
            measuring.notes.append(_FEW)
        measuring.files[HEARD_NAME] = {**heard.as_data(), "engines": variants[-1].engines}
        if fit:
            measuring.notes += fit_notes(heard.decisions, thresholds)
    run, folder = measuring.finish(variants)
    print_run(run, folder, json)


async def _hear(
    found: Recordings, wanted: Wanted, weights: Path | None, measuring: Measuring
) -> tuple[Heard, list[Variant], TurnThresholds]:
    progress = say_progress(len(found.turns) + len(found.dialogues))
    async with listeners(wanted, weights) as ears:
        thresholds = ears.settings.thresholds
        heard = await hear_turns(found.turns, ears, progress)
        variants: list[Variant] = []
        if heard.decisions:
            variants = turn_variants(heard, thresholds, ears.names)
        if found.dialogues:
            ends, takes = await tell_dialogues(found.dialogues, ears, progress)
            variants.append(dialogue_variant(ends, takes, ears.names))
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    measuring.options["engines_computed_s"] = round(loop.computed_s, 3)
    return heard, variants, thresholds


def measure_barge_in(
    found: Recordings,
    *,
    data: str,
    persona: str,
    profile: str,
    slowness: float,
    fit: bool,
    output: Path | None,
    json: bool,
) -> None:
    """Measure, keep, print. Raises UsageError when nobody speaks over anybody in the recordings."""
    if not found.overlaps:
        raise UsageError(f"{data} has no voices over the other side's.", "`cvi bench turns` may fit it.")
    options = {"data": data, "persona": persona, "slowness": slowness}
    measuring = Measuring("barge-in", options, output=output)
    measuring.options["overlaps"] = dict(sources(found.overlaps))
    measuring.notes.append(_ALONE)
    wanted = Wanted(persona, profile)
    measuring.profile = cast_of(wanted).profile.name

    async def talk_over() -> list[Variant]:
        async with listeners(wanted, None) as ears:
            own = ears.settings.thresholds
            tried = [("cvi", own)]
            if fit:
                tried.append(("fading or not", replace(own, fading_db=inf)))
                tried += [
                    (
                        f"yield after {s:g} s",
                        replace(own, yield_after_s=s, decide_by_s=max(own.decide_by_s, s)),
                    )
                    for s in FIT_YIELD_AFTER_S
                ]
            progress = say_progress(len(tried) * len(found.overlaps))
            return [
                barge_in_variant(await react(found.overlaps, ears, limits, progress), ears.names, name)
                for name, limits in tried
            ]

    run, folder = measuring.finish(
        run_simulated(talk_over(), slowness, wall=measuring.profile == "workstation")
    )
    print_run(run, folder, json)


def _load(path: Path) -> tuple[Heard, TurnThresholds, dict[str, str]]:
    """What an earlier run heard. Raises UsageError."""
    try:
        kept = json_text.loads((path / HEARD_NAME if path.is_dir() else path).read_text(encoding="utf-8"))
        decisions = [
            Decision(**{**one, "pauses": tuple(HeardPause(**pause) for pause in one["pauses"])})
            for one in kept["decisions"]
        ]
        heard = Heard(decisions, [HeardPause(**pause) for pause in kept["astray"]])
        return heard, TurnThresholds(), dict(kept["engines"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is not what a run of `cvi bench turns` heard ({error}).", "Give its folder."
        ) from error


def say_progress(total: int) -> Callable[[str], None]:
    """Tells a person at a terminal which of `total` things is done."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    done = 0

    def tell(name: str) -> None:
        nonlocal done
        done += 1
        if console.is_terminal:
            console.print(f"{done}/{total} {name}", style="dim")

    return tell
