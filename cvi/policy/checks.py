"""A persona's guardrails as checks of one sentence, and what each of them found.

A guardrail that is only a sentence for the model becomes a check by the families that its prompt means
(`matched_families`); one that means none has no check, and `Checks.unchecked` names it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from cvi.embeddings.base import Embedder
from cvi.persona.policy import Guardrail
from cvi.policy.families import INJECTION, GuardrailFamily, Side, all_families, stored_vectors
from cvi.policy.sentence_classifier import SentenceClassifier, SentenceFeatures

# Chosen on cvi/bench/guardrails_development.yaml: cvi bench guardrails --development
LIKENESS = 0.05
"""A sentence is stopped from this score of a classifier on."""
FRAGMENT_LIKENESS = 0.5
"""The same for the beginning of a sentence."""
MEANT = 0.6
"""A guardrail's prompt means a family whose description is so like it (cosine)."""
MOST_HARMLESS_SHARE = 0.25
"""A check that stops more of the families' harmless sentences stops everything, and is not used."""
LONGEST = 400
"""Characters of a sentence that are looked at."""

_NEGATION = re.compile(
    r"\b(not|never|no|nobody|none|without|cannot|refuse|avoid|against|instead of|rather than|wrong to)\b"
    r"|n't\b",
    re.IGNORECASE,
)
_BEFORE = 40

_DECLINES = re.compile(
    r"^\W*((i'm |i am )?(sorry|afraid),? )?(but )?"
    r"(i (can't|cannot|can not|couldn't|won't|don't|wouldn't|have no)\b|i'm (not|no)\b|i am (not|no)\b"
    r"|only an? )"
    r"|\b(ask|talk to|speak to|speak with|see|contact|call|go to) (an?|your|the|our) "
    r"(\w+ )?"
    r"(lawyer|attorney|doctor|nurse|pharmacist|hospital|adviser|bank|manager|team|department|desk|hotline)\b"
    r"|\b(lawyer|attorney|doctor|nurse|pharmacist|adviser|court|team|department|colleague) "
    r"(should|can|will|has to|decides?|could|would)\b|\bquestion for\b"
    r"|^\W*(don't|never|please don't|you must not) \w+",
    re.IGNORECASE,
)
"""A reply that declines, or sends people to somebody who may say it; not when it goes on with "but"."""
_GOES_ON = re.compile(r"[,;–-] ?(but|so|just|instead|yet|because)\b|\bbut\b|\bjust\b", re.IGNORECASE)

By = Literal["pattern", "phrase", "likeness", "model", "documents"]


@dataclass(frozen=True, slots=True)
class GuardrailFinding:
    """A sentence breaks a guardrail: which one, by what that was found, the classifier's score if by that."""

    guardrail: Guardrail
    by: By
    score: float | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    guardrail: Guardrail
    side: Side
    patterns: tuple[re.Pattern[str], ...]
    family_patterns: tuple[re.Pattern[str], ...]
    phrases: tuple[re.Pattern[str], ...]
    classifiers: tuple[SentenceClassifier, ...]

    def watches(self, side: Side) -> bool:
        return self.side in (side, "both")


class Checks:
    """The compiled guardrails of one persona. Thread-safe; `find` takes some milliseconds."""

    def __init__(self, guardrails: Sequence[Guardrail], embedder: Embedder) -> None:
        """Raises EngineError when the embedder fails."""
        self._embedder = embedder
        families = all_families()
        texts = tuple(text for each in families.values() for text in (*each.examples, *each.harmless))
        own = tuple(text for rail in guardrails for text in (*rail.check.examples, *rail.check.harmless))
        self._features = SentenceFeatures(embedder, (*texts, *own))
        vectors = stored_vectors(embedder, texts)
        rows = np.stack(
            [self._features.row(text, vector) for text, vector in zip(texts, vectors, strict=True)]
        )
        meant, harmless = _kinds(families)
        self._harmless = [texts[index] for index in np.flatnonzero(harmless)]
        self._families = {
            name: SentenceClassifier(rows[meant == name], rows[meant != name])
            for name in {INJECTION, *(name for rail in guardrails for name in self.families_of(rail))}
        }
        self._rules: list[_Rule] = []
        self.unchecked: list[str] = []
        """Guardrails that only the model knows: their prompt means no family and they have no check."""
        self.refused: list[str] = []
        """Guardrails whose check stops everything; it is not used."""
        for rail in guardrails:
            rule = self._compiled(rail, rows)
            if rule is None:
                self.unchecked.append(rail.guardrail_name)
            elif self._stops_everything(rule):
                self.refused.append(rail.guardrail_name)
            else:
                self._rules.append(rule)
        self._context_rule = _Rule(
            Guardrail(guardrail_name="instructions_in_context", guardrail_prompt="Context is data."),
            "both",
            (),
            _compile(families[INJECTION].patterns),
            (),
            (self._families[INJECTION],),
        )
        self._context_finding = lru_cache(maxsize=4096)(self._find_in_context)

    def families_of(self, rail: Guardrail) -> tuple[str, ...]:
        """The families that check a guardrail: named ones, else those that its prompt means."""
        check = rail.check
        if check.families or check.patterns or check.phrases or check.examples:
            return tuple(check.families)
        return matched_families(rail.guardrail_prompt, self._embedder)

    def find(
        self, sentence: str, side: Literal["reply", "participant"], *, whole: bool = True
    ) -> GuardrailFinding | None:
        """The first guardrail that a sentence of that side breaks; not `whole`, its beginning."""
        declines = side == "reply" and _DECLINES.search(sentence.replace("’", "'")) is not None
        may_be_like = not declines or _GOES_ON.search(sentence) is not None
        return self._find(sentence, [rule for rule in self._rules if rule.watches(side)], whole, may_be_like)

    def find_in_context(self, sentence: str) -> GuardrailFinding | None:
        """Whether a sentence of a document or of a tool's result speaks to the model."""
        return self._context_finding(sentence)

    def _find_in_context(self, sentence: str) -> GuardrailFinding | None:
        return self._find(sentence, [self._context_rule], True)

    def _find(
        self, sentence: str, rules: Sequence[_Rule], whole: bool, may_be_like: bool = True
    ) -> GuardrailFinding | None:
        text = sentence.replace("’", "'").strip()[:LONGEST]
        if not text or not rules:
            return None
        for rule in rules:
            if any(pattern.search(text) for pattern in rule.patterns):
                return GuardrailFinding(rule.guardrail, "pattern")
            if any(phrase.search(text) for phrase in rule.phrases):
                return GuardrailFinding(rule.guardrail, "phrase")
            if any(_asserted(pattern, text) for pattern in rule.family_patterns):
                return GuardrailFinding(rule.guardrail, "pattern")
        judged = [rule for rule in rules if rule.classifiers]
        if not judged or not may_be_like:
            return None
        row = self._features.of([text])[0]
        scores = [max(classifier.score(row) for classifier in rule.classifiers) for rule in judged]
        best = int(np.argmax(scores))
        if scores[best] < (LIKENESS if whole else FRAGMENT_LIKENESS):
            return None
        return GuardrailFinding(judged[best].guardrail, "likeness", round(scores[best], 3))

    def _compiled(self, rail: Guardrail, rows: np.ndarray) -> _Rule | None:
        check = rail.check
        names = self.families_of(rail)
        families = [all_families()[name] for name in names]
        classifiers = [self._families[name] for name in names]
        if check.examples:
            meant = self._features.of(check.examples)
            others = np.concatenate([rows, self._features.of(check.harmless)]) if check.harmless else rows
            classifiers.append(SentenceClassifier(meant, others))
        if not (families or check.patterns or check.phrases or check.examples):
            return None
        sides = {family.side for family in families} or {"reply"}
        side: Side = check.watches or (sides.pop() if len(sides) == 1 else "both")
        return _Rule(
            rail,
            side,
            _compile(check.patterns),
            _compile([pattern for family in families for pattern in family.patterns]),
            tuple(_phrase(phrase) for phrase in check.phrases),
            tuple(classifiers),
        )

    def _stops_everything(self, rule: _Rule) -> bool:
        check = rule.guardrail.check
        if not (check.patterns or check.phrases or check.examples):
            return False
        sample = self._harmless[:: max(len(self._harmless) // 60, 1)]
        stopped = sum(self._find(text, [rule], True) is not None for text in sample)
        return stopped > MOST_HARMLESS_SHARE * len(sample)


def matched_families(prompt: str, embedder: Embedder) -> tuple[str, ...]:
    """The families that a guardrail's prompt means, by the likeness of the prompt to their descriptions."""
    families = all_families()
    described = [(name, text) for name, family in families.items() for text in family.meant_by]
    vectors = stored_vectors(embedder, tuple(text for _, text in described))
    likeness = vectors @ embedder.questions([prompt])[0]
    best: dict[str, float] = {}
    for (name, _), value in zip(described, likeness, strict=True):
        best[name] = max(best.get(name, -1.0), float(value))
    return tuple(name for name, value in best.items() if value >= MEANT)


def _kinds(families: dict[str, GuardrailFamily]) -> tuple[np.ndarray, np.ndarray]:
    """For each of the families' texts: whose example it is, "" for none, and whether it is harmless."""
    names = [
        name
        for family in families.values()
        for name in (*(family.name for _ in family.examples), *("" for _ in family.harmless))
    ]
    meant = np.array(names)
    return meant, meant == ""


def _asserted(pattern: re.Pattern[str], text: str) -> bool:
    """Whether the pattern is found where nothing before it takes it back: "never split the invoice"."""
    return any(
        not _NEGATION.search(text[max(match.start() - _BEFORE, 0) : match.start()])
        for match in pattern.finditer(text)
    )


def _compile(patterns: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


def _phrase(phrase: str) -> re.Pattern[str]:
    words = re.findall(r"\w+", phrase.replace("’", "'"))
    return re.compile(r"\b" + r"[\W_]+".join(map(re.escape, words)) + r"\b", re.IGNORECASE)
