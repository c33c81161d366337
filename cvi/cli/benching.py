"""What `cvi bench latency` and `cvi bench loopback` do: check, measure, keep, print."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cvi.bench.callers.block import build_blocks
from cvi.bench.callers.recipe import Recipe, find_recipe, load_recipe
from cvi.bench.latency import Plan, measure_latency
from cvi.bench.remote_peer.network_emulation import NetworkConditions
from cvi.bench.run import Run
from cvi.bench.run_store import as_json, new_run_folder, save_run
from cvi.bench.session import TRANSPORTS, Way
from cvi.bench.smoke import SMOKE_CALLERS, SMOKE_TURNS, judge_smoke
from cvi.bench.tables import print_latency_run
from cvi.bench.variants import policies
from cvi.cli.request import FRAME_RATES, picture_size
from cvi.engines import ResolvedConfig, resolve
from cvi.errors import CviError, UsageError
from cvi.persona.loading import load_persona


@dataclass(frozen=True, slots=True)
class LatencyRequest:
    """The options of `cvi bench latency`, as they were given."""

    persona: str
    replica: str | None
    profile: str
    transports: tuple[str, ...]
    network: str | None
    callers: str
    turns: int
    baseline: str | None
    smoke: bool
    size: str
    fps: int
    film: bool
    output: Path | None
    json: bool


def run_latency(request: LatencyRequest) -> None:
    """Raises UsageError for a wrong request, CviError when a check fails or nothing can be measured."""
    console = Console(highlight=False, stderr=request.json)
    width, height = picture_size(request.size)
    if request.fps not in FRAME_RATES:
        raise UsageError(f"--fps {request.fps} is not supported.", f"Choose one of {FRAME_RATES}.")
    transports = tuple(dict.fromkeys(request.transports))
    for transport in transports:
        if transport not in TRANSPORTS:
            known = ", ".join(TRANSPORTS)
            raise UsageError(f"--transport {transport} cannot be measured.", f"Choose of: {known}.")
    weather = NetworkConditions.of_text(request.network) if request.network is not None else None
    if weather is not None and transports == ("file",):
        raise UsageError("--network says what lies between two ends of a network.", "Add --transport webrtc.")
    chosen = _cast(request, console)
    recipe, wanted = _recipe(request)
    folder = new_run_folder("latency", request.output)
    with console.status("Making the callers") as status:
        blocks = build_blocks(recipe, turns=wanted, progress=lambda name: status.update(f"Making {name}"))
    baseline = "cascade" if request.smoke else request.baseline
    plan = Plan(
        cast=chosen,
        blocks=blocks,
        policies=policies(baseline),
        ways=[
            Way(transport, width, height, request.fps, request.film and not request.smoke, weather)
            for transport in transports
        ],
        folder=folder,
        command=("cvi", *sys.argv[1:]),
        options={
            "persona": chosen.persona.persona_name,
            "replica": chosen.replica.name,
            "profile": chosen.profile.name,
            "transport": ", ".join(transports),
            "network": request.network,
            "callers": request.callers,
            "turns": wanted,
            "baseline": baseline,
            "size": request.size,
            "fps": request.fps,
        },
    )
    run = _measure(plan, console)
    path = save_run(run, folder)
    if request.json:
        print(json.dumps(as_json(run)))
    else:
        print_latency_run(run, console)
        told = f"Kept in {folder}; a page of it: cvi bench report {folder}"
        console.print(told, style="dim", soft_wrap=True)
    for variant in run.variants:
        if len(variant.turns) < wanted:
            raise CviError(
                f"{variant.name}: {wanted - len(variant.turns)} of {wanted} turns never came to be heard.",
                f"A conversation ended too early: see the journals in {folder}.",
            )
    if not run.agrees:
        wrong = [f"{check.variant} {check.quantity}" for check in run.agreement if not check.ok]
        raise CviError(
            f"The program's own account disagrees with what was measured: {', '.join(wrong)}.",
            f"Look at the turns in {path}: one of the two is wrong.",
        )
    if request.smoke:
        console.print(judge_smoke(run))


def _measure(plan: Plan, console: Console) -> Run:
    with console.status("") as status:
        return asyncio.run(measure_latency(plan, progress=status.update))


def _cast(request: LatencyRequest, console: Console) -> ResolvedConfig:
    persona = load_persona(request.persona)
    chosen = resolve(persona, replica=request.replica, profile=request.profile)
    if chosen.note:
        console.print(chosen.note, style="yellow")
    return chosen


def _recipe(request: LatencyRequest) -> tuple[Recipe, int]:
    """The callers asked for, and how many of their turns."""
    recipe = load_recipe(find_recipe(SMOKE_CALLERS if request.smoke else request.callers))
    turns = SMOKE_TURNS if request.smoke else request.turns
    if turns > len(recipe.turns):
        raise UsageError(
            f"The callers of '{recipe.name}' have {len(recipe.turns)} turns, not {turns}.", "Ask for fewer."
        )
    return recipe, turns
