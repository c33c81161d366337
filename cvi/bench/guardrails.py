"""`cvi bench guardrails`: sentences that are to be stopped, harmless ones like them, and what a check costs.

All families are on at once; see the head of `guardrails.yaml`.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import yaml

from cvi.bench.layers.measurement import finish, proportion
from cvi.bench.run import Figure, Variant
from cvi.bench.run_store import RunRecorder
from cvi.embeddings.base import Embedder, Vectors
from cvi.embeddings.shared import DEFAULT_ENGINE, shared_embedder
from cvi.persona.policy import Guardrail, GuardrailCheck
from cvi.policy.checks import Checks
from cvi.policy.families import all_families

GRADED = Path(__file__).with_name("guardrails.yaml")
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
