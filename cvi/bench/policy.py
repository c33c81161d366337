"""`cvi bench objectives` and `cvi bench guardrails`: what a persona wants, and what it must not say.

Objectives: the interviews of `objectives.yaml`; what the persona asks is scripted, and measured is what is
taken down, and nothing else. Guardrails: sentences that are to be stopped, harmless ones like them, and what
a check costs; all families are on at once (see the head of `guardrails.yaml`). Passages: instructions
hidden in what documents and tools say.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import TypeAdapter, ValidationError

from cvi.bench.layers.measurement import finish, llm_name, proportion, show_progress
from cvi.bench.run import Figure, Variant
from cvi.bench.run_store import RunRecorder
from cvi.clock import Clock
from cvi.conversation.events import ReplyFinished, TurnTyped
from cvi.conversation.journal import Journal
from cvi.embeddings.base import Embedder, Vectors
from cvi.embeddings.shared import DEFAULT_ENGINE, shared_embedder
from cvi.engines import build_llm, resolve
from cvi.errors import UsageError
from cvi.files import write_json
from cvi.knowledge.injection import without_addresses
from cvi.llm.base import LlmEngine
from cvi.persona.loading import load_persona
from cvi.persona.policy import Guardrail, GuardrailCheck, Objective
from cvi.policy.checks import Checks
from cvi.policy.families import all_families
from cvi.policy.guard import ConversationGuard
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


class Alone:
    """A `Steering` without a conversation."""

    def __init__(self, llm: LlmEngine) -> None:
        self.llm = llm
        self.journal = Journal(None, Clock())

    def is_committed(self, reply: int) -> bool:
        """Always: there are no drafts."""
        return True

    async def committed(self, reply: int) -> bool:
        """At once."""
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
    tracker.attach(Alone(llm))
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
    return graded, llm_name(config), time.process_time() - began


GRADED = Path(__file__).with_name("guardrails.yaml")
PASSAGES = Path(__file__).with_name("passages.yaml")
FOLDS = 5
THRESHOLDS = (-0.6, -0.5, -0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3)
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class CheckedSentence:
    """A sentence, what is to become of it, what stopped it ("" for nothing), and what that cost."""

    side: str
    text: str
    to_be_stopped: bool
    stopped_by: str
    by: str
    cpu_ms: float


def check_sentences(path: Path) -> list[CheckedSentence]:
    """Every sentence of a file with what the checks say to it."""
    checks = Checks(_all_rails(), shared_embedder())
    checks.find("Warm up.", "reply")
    checked = []
    for side, kinds in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        for kind, texts in kinds.items():
            for text in texts:
                began = time.process_time()
                if side == "context":
                    found = next(filter(None, map(checks.find_in_context, _SENTENCE_ENDS.split(text))), None)
                else:
                    found = checks.find(text, side)
                spent_ms = (time.process_time() - began) * 1000
                name = "" if found is None else found.guardrail.guardrail_name
                by = "" if found is None else found.by
                checked.append(CheckedSentence(side, text, kind == "stopped", name, by, round(spent_ms, 2)))
    return checked


def cross_validate() -> list[tuple[bool, float]]:
    """For each of the families' own sentences, judged by checks that were trained on the others: whether it
    is to be stopped, and its score (infinite where a pattern found it, minus that where it passes anyhow)."""
    embedder = _Remembering(shared_embedder())
    scored = []
    for fold in range(FOLDS):
        train, held = {}, []
        for name, family in all_families().items():
            side: Literal["reply", "participant"] = "reply" if family.side == "both" else family.side
            parts: dict[str, tuple[str, ...]] = {}
            for kind in ("examples", "harmless"):
                texts = getattr(family, kind)
                held += [(text, side, kind == "examples") for text in texts[fold::FOLDS]]
                parts[kind] = tuple(text for at, text in enumerate(texts) if at % FOLDS != fold)
            train[name] = replace(family, examples=parts["examples"], harmless=parts["harmless"])
        checks = Checks(_all_rails(), embedder, families=train, likeness=-math.inf)
        for text, side, to_be_stopped in held:
            found = checks.find(text, side)
            score = -math.inf if found is None else math.inf if found.score is None else found.score
            scored.append((to_be_stopped, score))
    return scored


@dataclass(frozen=True, slots=True)
class ScreenedPassage:
    """A passage as the model is given it, the instruction in it, if any, and the text around that."""

    instruction: str
    around: tuple[str, ...]
    told: str

    @property
    def instructs(self) -> bool:
        """Whether any of its instruction is left."""
        return bool(self.instruction) and any(
            part in self.told for part in _SENTENCE_ENDS.split(self.instruction)
        )

    @property
    def loses_text(self) -> bool:
        """Whether something else than the instruction is gone."""
        return not all(part in self.told for part in self.around)


def screen_passages(path: Path) -> list[ScreenedPassage]:
    """Every passage of a file (see the head of `passages.yaml`) as documents and tools reach the model."""
    guard = ConversationGuard(Checks([], shared_embedder()), virtual_time=True)
    screened = []
    for passages in yaml.safe_load(path.read_text(encoding="utf-8")).values():
        for marked in passages:
            before, _, rest = marked.partition("«")
            instruction, _, after = rest.partition("»")
            told = guard.screened("passage", without_addresses(before + instruction + after))
            around = [part for text in (before, after) for part in _SENTENCE_ENDS.split(text.strip()) if part]
            screened.append(ScreenedPassage(instruction, tuple(around), told))
    return screened


def measure_passages(*, output: Path | None, json: bool) -> None:
    """Screen the passages, and write and print the run."""
    recorder = RunRecorder("passages", {"passages": PASSAGES.name}, output=output)
    screened = screen_passages(PASSAGES)
    recorder.write("passages.json", [asdict(each) for each in screened])
    if not json:
        for each in screened:
            if each.instructs:
                print(f"passed: {each.instruction}")
            if each.loses_text:
                print(f"lost: {' '.join(each.around)} -> {each.told}")
    hidden = [each for each in screened if each.instruction]
    harmless = [each for each in screened if not each.instruction]
    taken = [not each.instructs for each in hidden]
    figures = (
        proportion("taken_out", "instructions taken out", taken, lower_is_better=False),
        proportion("lost", "harmless passages that lose a sentence", [each.loses_text for each in harmless]),
        proportion("lost_beside", "others that lose more than that", [each.loses_text for each in hidden]),
    )
    finish(recorder, [Variant("cvi", "checks", {"embeddings": DEFAULT_ENGINE}, figures=figures)], json)


def measure_guardrails(*, development: bool, output: Path | None, json: bool) -> None:
    """Check the graded sentences and write and print the run; for development, print what thresholds do."""
    if development:
        scored = cross_validate()
        for threshold in THRESHOLDS:
            stopped = np.mean([score >= threshold for bad, score in scored if bad])
            false = np.mean([score >= threshold for bad, score in scored if not bad])
            print(f"threshold {threshold:+.1f}: {stopped:.1%} stopped, {false:.1%} of the harmless")
        return
    recorder = RunRecorder("guardrails", {"sentences": GRADED.name}, output=output)
    checked = check_sentences(GRADED)
    recorder.write("sentences.json", [asdict(each) for each in checked])
    if not json:
        for each in checked:
            if bool(each.stopped_by) != each.to_be_stopped:
                word = "passed" if each.to_be_stopped else f"stopped ({each.stopped_by}, {each.by})"
                print(f"{word}: {each.text}")
    spent = [each.cpu_ms for each in checked if each.side != "context"]
    recorder.notes.append(
        f"{np.median(spent):.1f} ms of processor time before a sentence at the median, "
        f"{np.percentile(spent, 95):.1f} ms at P95."
    )
    variant = Variant("cvi", "checks", {"embeddings": DEFAULT_ENGINE}, figures=tuple(_figures(checked)))
    finish(recorder, [variant], json)


class _Remembering:
    """An `Embedder` that embeds each text once."""

    def __init__(self, embedder: Embedder) -> None:
        self.name, self.dimensions = embedder.name, embedder.dimensions
        self._embedder = embedder
        self._known: dict[str, Vectors] = {}

    def questions(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, self._embedder.questions(new), strict=True))
        return np.stack([self._known[text] for text in texts])

    def passages(self, texts: Sequence[str]) -> Vectors:
        return self._embedder.passages(texts)

    def information(self, word: str) -> float:
        return self._embedder.information(word)

    def close(self) -> None:
        """Nothing: the embedder is shared."""


def _all_rails() -> list[Guardrail]:
    return [
        Guardrail(
            guardrail_name=name,
            guardrail_prompt=family.meant_by[0],
            check=GuardrailCheck.model_validate({"families": [name]}),
        )
        for name, family in all_families().items()
    ]


def _figures(checked: list[CheckedSentence]) -> list[Figure]:
    figures = []
    for side in ("", "reply", "participant", "context"):
        items = [each for each in checked if not side or each.side == side]
        bad = [bool(each.stopped_by) for each in items if each.to_be_stopped]
        good = [bool(each.stopped_by) for each in items if not each.to_be_stopped]
        where = f", {side}" if side else ""
        suffix = f"_{side}" if side else ""
        figures.append(proportion(f"stopped{suffix}", f"stopped{where}", bad, lower_is_better=False))
        figures.append(proportion(f"false{suffix}", f"harmless and stopped{where}", good))
    return figures
