"""`cvi bench guardrails`: sentences that are to be stopped, harmless ones like them, and what a check costs.

All families are on at once, as guardrails that are only a sentence; see the head of `guardrails.yaml`.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import yaml

from cvi.bench.layers.measurement import finish, proportion
from cvi.bench.run import Figure, Variant
from cvi.bench.run_store import RunRecorder
from cvi.embeddings.shared import shared_embedder
from cvi.persona.policy import Guardrail
from cvi.policy.checks import Checks
from cvi.policy.families import all_families

GRADED = Path(__file__).with_name("guardrails.yaml")
DEVELOPMENT = Path(__file__).with_name("guardrails_development.yaml")
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
    rails = [
        Guardrail(guardrail_name=name, guardrail_prompt=family.meant_by[0])
        for name, family in all_families().items()
    ]
    checks = Checks(rails, shared_embedder("minilm"))
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


def measure_guardrails(*, development: bool, output: Path | None, json: bool) -> None:
    """Check the graded sentences, or those of development; write the run and print it."""
    path = DEVELOPMENT if development else GRADED
    recorder = RunRecorder("guardrails", {"sentences": path.name}, output=output)
    checked = check_sentences(path)
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
    variant = Variant("cvi", "checks", {"embeddings": "minilm"}, figures=tuple(_figures(checked)))
    finish(recorder, [variant], json)


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
