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
from cvi.embeddings.shared import shared_embedder
from cvi.persona.policy import Guardrail
from cvi.policy.families import IN_NOTES, INJECTION, Families, FamilyClassifier, Side, all_families
from cvi.policy.sentence_classifier import Features, kernel, trained

# Chosen by cross-validation on the families' own sentences: cvi bench guardrails --development
LIKENESS = -0.2
"""A sentence is stopped from this score of a classifier on."""
FRAGMENT_LIKENESS = 0.3
"""The same for the beginning of a sentence."""
CONTEXT_LIKENESS = 0.0
"""The same for a sentence of a document, of a tool's result or of what is perceived. Trained with two thirds
of the family `injection`, it finds 72 % of the others, and 3 % of 250 sentences of READMEs and licences; -0.2
finds 81 and 6 %."""
EVERY_NTH = 4
"""A guardrail's own examples are told from this share of the families' sentences: more takes a second."""
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
class _OwnExamples:
    """The classifier of a guardrail's own examples."""

    rows: Features
    counts: Features

    def score(self, row: Features) -> float:
        return float(((kernel(row[None], self.rows) + 1) @ self.counts)[0, 0])


@dataclass(frozen=True, slots=True)
class _Rule:
    guardrail: Guardrail
    side: Side
    patterns: tuple[re.Pattern[str], ...] = ()
    family_patterns: tuple[re.Pattern[str], ...] = ()
    phrases: tuple[re.Pattern[str], ...] = ()
    families: tuple[str, ...] = ()
    own: _OwnExamples | None = None

    def watches(self, side: Side) -> bool:
        return self.side in (side, "both")


class Checks:
    """The compiled guardrails of one persona. Thread-safe; `find` takes some milliseconds."""

    def __init__(
        self,
        guardrails: Sequence[Guardrail],
        embedder: Embedder,
        *,
        families: Families | None = None,
        likeness: float = LIKENESS,
    ) -> None:
        """`families` other than those that come with cvi are trained now. Raises EngineError when the
        embedder fails."""
        self._all = families or all_families()
        self._likeness = likeness
        self._classifier = FamilyClassifier(embedder, self._all)
        self._rules: list[_Rule] = []
        self.unchecked: list[str] = []
        """Guardrails that only the model knows: their prompt means no family and they have no check."""
        self.refused: list[str] = []
        """Guardrails whose check stops everything; it is not used."""
        for rail in guardrails:
            rule = self._compiled(rail)
            if rule is None:
                self.unchecked.append(rail.guardrail_name)
            elif self._stops_everything(rule):
                self.refused.append(rail.guardrail_name)
            else:
                self._rules.append(rule)
        self._context_rule = _Rule(
            Guardrail(guardrail_name="instructions_in_context", guardrail_prompt="Context is data."),
            "both",
            family_patterns=_compile(self._all[INJECTION].patterns),
            families=(IN_NOTES,),
        )
        self._context_finding = lru_cache(maxsize=4096)(self._find_in_context)

    def families_of(self, rail: Guardrail) -> tuple[str, ...]:
        """The families that check a guardrail: named ones, else those that its prompt means."""
        check = rail.check
        if check.families or check.patterns or check.phrases or check.examples:
            return tuple(check.families)
        return matched_families(rail.guardrail_prompt, shared_embedder("minilm"))

    def find(
        self, sentence: str, side: Literal["reply", "participant"], *, whole: bool = True
    ) -> GuardrailFinding | None:
        """The first guardrail that a sentence of that side breaks; not `whole`, its beginning."""
        declines = side == "reply" and _DECLINES.search(sentence.replace("’", "'")) is not None
        may_be_like = not declines or _GOES_ON.search(sentence) is not None
        rules = [rule for rule in self._rules if rule.watches(side)]
        return self._find(sentence, rules, self._likeness if whole else FRAGMENT_LIKENESS, may_be_like)

    def find_in_context(self, sentence: str) -> GuardrailFinding | None:
        """Whether a sentence of a document or of a tool's result speaks to the model."""
        return self._context_finding(sentence)

    def _find_in_context(self, sentence: str) -> GuardrailFinding | None:
        return self._find(sentence, [self._context_rule], CONTEXT_LIKENESS)

    def _find(
        self, sentence: str, rules: Sequence[_Rule], likeness: float, may_be_like: bool = True
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
        judged = [rule for rule in rules if rule.families or rule.own]
        if not judged or not may_be_like:
            return None
        row = self._classifier.features.of([text])[0]
        by_family = self._classifier.scores(row)
        scores = [
            max([by_family[name] for name in rule.families] + ([rule.own.score(row)] if rule.own else []))
            for rule in judged
        ]
        best = int(np.argmax(scores))
        if scores[best] < likeness:
            return None
        return GuardrailFinding(judged[best].guardrail, "likeness", round(scores[best], 3))

    def _compiled(self, rail: Guardrail) -> _Rule | None:
        check = rail.check
        names = self.families_of(rail)
        families = [self._all[name] for name in names]
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
            names,
            self._own(check.examples, check.harmless),
        )

    def _own(self, examples: Sequence[str], harmless: Sequence[str]) -> _OwnExamples | None:
        if not examples:
            return None
        own = self._classifier.features.of([*examples, *harmless])
        rows = np.concatenate([own, self._classifier.rows[::EVERY_NTH]])
        meant = np.arange(len(rows)) < len(examples)
        return _OwnExamples(rows, trained(rows, meant[:, None]))

    def _stops_everything(self, rule: _Rule) -> bool:
        check = rule.guardrail.check
        if not (check.patterns or check.phrases or check.examples):
            return False
        harmless = np.flatnonzero(self._classifier.harmless)
        sample = [self._classifier.texts[at] for at in harmless[:: max(len(harmless) // 60, 1)]]
        stopped = sum(self._find(text, [rule], self._likeness) is not None for text in sample)
        return stopped > MOST_HARMLESS_SHARE * len(sample)


def matched_families(prompt: str, embedder: Embedder) -> tuple[str, ...]:
    """The families that a guardrail's prompt means, by the likeness of the prompt to their descriptions."""
    families = all_families()
    described = [(name, text) for name, family in families.items() for text in family.meant_by]
    likeness = embedder.questions([text for _, text in described]) @ embedder.questions([prompt])[0]
    best: dict[str, float] = {}
    for (name, _), value in zip(described, likeness, strict=True):
        best[name] = max(best.get(name, -1.0), float(value))
    return tuple(name for name, value in best.items() if value >= MEANT)


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
