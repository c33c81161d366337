"""`cvi bench objectives`: scripted interviews, and whether what was said is taken down, and nothing else.

The interviews stand in `objectives.yaml`. What the persona asks is scripted: measured is what is taken down.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from cvi.bench.layers.measurement import finish, proportion, show_progress
from cvi.bench.run import Variant
from cvi.bench.run_store import RunRecorder
from cvi.clock import Clock
from cvi.conversation.events import ReplyFinished, TurnTyped
from cvi.conversation.journal import Journal
from cvi.engines import build_llm, resolve
from cvi.errors import UsageError
from cvi.files import write_json
from cvi.llm.base import LlmEngine
from cvi.persona.loading import load_persona
from cvi.persona.policy import Objective
from cvi.policy.objective_tracker import ObjectiveTracker

INTERVIEWS = Path(__file__).with_name("objectives.yaml")


@dataclass(frozen=True, slots=True)
class GradedSlot:
    """One slot of an interview: what was told (a pattern, "" for nothing), what was taken down."""

    interview: int
    caller: str
    slot: str
    told: str
    found: str

    @property
    def was_said(self) -> bool:
        """Whether the caller said it: the pattern matches nothing but what they said."""
        return re.fullmatch(self.told, "", re.IGNORECASE) is None

    @property
    def right(self) -> bool:
        """Whether what was taken down is what was told, or nothing where nothing was."""
        return re.fullmatch(self.told, self.found, re.IGNORECASE) is not None


class _Alone:
    """A `Steering` without a conversation."""

    def __init__(self, llm: LlmEngine) -> None:
        self.llm = llm
        self.journal = Journal(None, Clock())

    def is_committed(self, reply: int) -> bool:
        return True

    async def committed(self, reply: int) -> bool:
        return True

    def replace_reply(self, reply: int, text: str, *, ends: bool = False) -> None:
        """Nothing: nothing is spoken."""

    def end(self, reason: str) -> None:
        """Nothing: nobody talks."""


async def hold_interview(
    llm: LlmEngine, prompt: str, slots: list[str], turns: list[list[str]]
) -> dict[str, str]:
    """What was taken down, by slot. Raises EngineError."""
    goal = Objective(objective_name="interview", objective_prompt=prompt, output_variables=slots)
    tracker = ObjectiveTracker([goal])
    tracker.attach(_Alone(llm))
    for number, (asked, said) in enumerate(turns, 1):
        tracker.on_event(ReplyFinished(reply=number, text=asked))
        tracker.on_event(TurnTyped(turn=number, reply=number + 1, text=said))
        await tracker.settled()
    found = dict(tracker.found)
    await tracker.close()
    return found


def measure_objectives(
    *, profile: str, only: list[int], kept: Path | None, output: Path | None, json: bool
) -> None:
    """Hold the interviews (all, or those numbered `only` from 1), grade them, write and print the run.

    `kept` is a file of what was taken down: interviews that are in it are graded from it, others are added.
    """
    document: dict[str, Any] = yaml.safe_load(INTERVIEWS.read_text(encoding="utf-8"))
    interviews = list(enumerate(document["interviews"], 1))
    chosen = [(number, each) for number, each in interviews if not only or number in only]
    if not chosen:
        raise UsageError("There is no such interview.", f"Give numbers from 1 to {len(interviews)}.")
    recorder = RunRecorder("objectives", {"interviews": len(chosen)}, profile=profile, output=output)
    graded, engine, seconds = asyncio.run(_hold_all(document["sets"], chosen, profile, kept, recorder))
    rows = [{**asdict(slot), "right": slot.right, "was_said": slot.was_said} for slot in graded]
    recorder.write("slots.json", rows)
    told = [slot for slot in graded if slot.was_said]
    silent = [slot for slot in graded if not slot.was_said]
    figures = [
        proportion("right", "slots said that are right", [s.right for s in told], lower_is_better=False),
        proportion("invented", "slots not said that hold something", [not s.right for s in silent]),
    ]
    for caller in dict.fromkeys(slot.caller for slot in told):
        theirs = [slot.right for slot in told if slot.caller == caller]
        figures.append(proportion(f"right_{caller}", f"{caller} callers", theirs, lower_is_better=False))
    if not json:
        for slot in graded:
            if not slot.right:
                where = f"interview {slot.interview} ({slot.caller}) {slot.slot}"
                print(f"{where}: '{slot.found}' for /{slot.told}/")
    recorder.notes.append(f"{seconds:.0f} s of processor time for the forms of this run, beside the replies.")
    finish(recorder, [Variant("cvi", engine, {"llm": engine}, figures=tuple(figures))], json)


def _read_kept(path: Path | None) -> dict[str, dict[str, str]]:
    if path is None or not path.exists():
        return {}
    try:
        return TypeAdapter(dict[str, dict[str, str]]).validate_json(path.read_bytes())
    except ValidationError as error:
        raise UsageError(f"{path} holds no interviews.", "Name another file after --keep.") from error


async def _hold_all(
    sets: dict[str, Any],
    chosen: list[tuple[int, dict[str, Any]]],
    profile: str,
    kept: Path | None,
    recorder: RunRecorder,
) -> tuple[list[GradedSlot], str, float]:
    persona = load_persona("interviewer")
    config = resolve(persona.model_copy(update={"least_profile": "embedded"}), profile=profile)
    recorder.profile = config.profile.name
    llm = await build_llm(config)
    tell = show_progress(len(chosen))
    graded: list[GradedSlot] = []
    known = _read_kept(kept)
    began = time.process_time()
    try:
        for number, interview in chosen:
            kind = sets[interview["set"]]
            if str(number) not in known:
                found = await hold_interview(llm, kind["prompt"], kind["slots"], interview["turns"])
                known[str(number)] = found
                if kept is not None:
                    write_json(kept, known)
            found = known[str(number)]
            graded += [
                GradedSlot(number, interview["caller"], slot, interview["truth"][slot], found.get(slot, ""))
                for slot in kind["slots"]
            ]
            tell(interview["caller"])
    finally:
        await llm.close()
    model = Path(config.llm.model).stem if config.llm.model else "of the package"
    return graded, f"{config.llm.engine} {model}", time.process_time() - began
