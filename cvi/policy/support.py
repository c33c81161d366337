"""How far what a model was told supports a sentence of its reply: a regression on figures of its words.

Words weigh what they tell: the information of their pieces in the embedder's multilingual vocabulary. So no
language needs a list of words that don't count. Inflected forms count as one where one begins with the other.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from cvi.knowledge.passages import sentences
from cvi.knowledge.terms import terms
from cvi.policy.said_values import joined_numbers, number_in_digits

WEIGHTS = Path(__file__).with_name("support.json")
LEAST_NATS, MOST_NATS = 10.0, 15.0
"""A word of so little information ("the", "nicht") counts nothing, one of so much fully."""
_SHARED = 4
"""Words of which one begins with the other count as one from so many letters on."""
_NEGATION = re.compile(
    r"\b(no|not|never|none|nobody|nothing|neither|nor|without|cannot|only|\w+n['’]t|nicht|kein\w*|nie|niemand|nichts|"
    r"ohne|nur|ne|pas|jamais|sans|aucun\w*|rien|non|nunca|sin|ningun\w*|nada|não|nem|sem|mai|senza|nessun\w*)\b|\bn['’]",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_COMMON = {
    "en": "the of and is are to in for a on by with from or you we do does can how what not have it there my",
    "de": "der die das und ist sind zu in für ein eine auf mit von oder sie wir ich wie was nicht den im es",
    "fr": "le la les des et est sont à dans pour un une sur avec ou vous nous je comment que ne pas du il y",
    "es": "el la los las de y es son a en para un una con o usted nosotros cómo qué no se del hay al por",
    "it": "il la i gli le di e è sono a in per un una con o lei noi come che non si del ci della nel posso",
    "pt": "o a os as de e é são em para um uma com ou você nós como que não se do da há ao no na posso",
    "nl": "de het een en is zijn in voor op met van of je we ik hoe wat niet er kan naar om te bij dat",
}
"""The commonest words of some languages, which tell them apart."""
_SPOKEN_IN: dict[str, list[str]] = defaultdict(list)
for _name, _words in _COMMON.items():
    for _word in _words.split():
        _SPOKEN_IN[_word].append(_name)
Information = Callable[[str], float]
Words = Mapping[str, float]


class WordWeights:
    """Content words of texts with their weights, 0 to 1. Any thread."""

    def __init__(self, information: Information) -> None:
        """`information` as `Embedder.information`."""
        self._information = lru_cache(20_000)(information)

    def content(self, text: str) -> dict[str, float]:
        """The words of a text that tell something; numbers are left out."""
        weighed = {word: self._weight(word) for word in terms(text) if not any(map(str.isdigit, word))}
        return {word: weight for word, weight in weighed.items() if weight > 0}

    def _weight(self, word: str) -> float:
        return min(max((self._information(word) - LEAST_NATS) / (MOST_NATS - LEAST_NATS), 0.0), 1.0)


@dataclass(frozen=True)
class WordEvidence:
    """What a sentence may rest on: the `passages`, the question and what was said before it, what else the
    model knows. Its words are read once."""

    weights: WordWeights
    passages: str
    question: str
    before: str = ""
    known: str = ""

    def figures(self, sentence: str) -> dict[str, float]:
        """The regression's figures of a sentence, by name."""
        words = self.weights.content(sentence)
        total = sum(words.values()) or 1e-6
        told = {word for word in words if contains(self.there, word)}
        asked = {word for word in words if contains(self.asked, word)}
        missing = [weight for word, weight in self._question.items() if not contains(self.there, word)]
        denies = bool(_NEGATION.search(sentence))
        return {
            "told": math.log1p(sum(words[word] for word in told - asked)),
            "only_asked": sum(words[word] for word in asked - told) / total,
            "nowhere": sum(words[word] for word in words.keys() - told - asked) / total,
            "number": float(bool(numbers(sentence) & self._new_numbers)),
            "question_found": 1.0 - sum(missing) / (sum(self._question.values()) or 1e-6),
            "question_missing": max(missing, default=0.0),
            "denies": float(denies),
            "denies_alone": float(denies and not _NEGATION.search(self._nearest(words))),
            "length": math.log1p(total),
        }

    def in_other_language(self, sentence: str) -> bool:
        """Whether the sentence, with its question, is in another language than the passages."""
        own = language_of(f"{self.question} {sentence}")
        return bool(own and self._language and own != self._language)

    @cached_property
    def _language(self) -> str:
        return language_of(self.passages)

    @cached_property
    def there(self) -> Words:
        """The content words of passages and of what else is known."""
        return self.weights.content(f"{self.passages}\n{self.known}")

    @cached_property
    def asked(self) -> Words:
        """The content words of the question and of what was said before."""
        return self.weights.content(f"{self.before}\n{self.question}")

    @cached_property
    def _question(self) -> Words:
        return self.weights.content(self.question)

    @cached_property
    def _new_numbers(self) -> set[str]:
        return numbers(self.passages) - numbers(self.question)

    @cached_property
    def _sentences(self) -> list[tuple[str, Words]]:
        parts = [each for line in self.passages.splitlines() for each in sentences(line)]
        return [(each, self.weights.content(each)) for each in parts]

    def _nearest(self, words: Words) -> str:
        """The sentence of the passages that shares most with these words."""
        shared = [sum(words[w] for w in words if contains(each, w)) for _, each in self._sentences]
        return self._sentences[shared.index(max(shared))][0] if shared else ""


@dataclass(frozen=True)
class SupportModel:
    """The regression: a weight for each figure, and the probability from which on a sentence is said."""

    bias: float
    weights: Mapping[str, float]
    least: float

    def probability(self, figures: Mapping[str, float]) -> float:
        """That the passages support a sentence of these figures."""
        return 1.0 / (1.0 + math.exp(-self.bias - sum(w * figures[name] for name, w in self.weights.items())))


@lru_cache(1)
def support_model() -> SupportModel:
    """The regression whose weights lie beside this file."""
    read = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return SupportModel(read["bias"], read["weights"], read["least"])


def language_of(text: str) -> str:
    """The language (ISO 639-1) that most common words of a text belong to; "" where that is open."""
    found = Counter(
        name for word in re.findall(r"[^\W\d_]+", text.lower()) for name in _SPOKEN_IN.get(word, ())
    )
    (first, most), (_, next_most) = [*found.most_common(2), ("", 0), ("", 0)][:2]
    return first if most > next_most else ""


def contains(words: Words, word: str) -> bool:
    """Whether a word, or another form of it, is among these."""
    if word in words:
        return True
    return len(word) >= _SHARED and any(
        len(each) >= _SHARED and (each.startswith(word) or word.startswith(each)) for each in words
    )


def numbers(text: str) -> set[str]:
    """The numbers in a text, in digits: those in words too, from three on ("one" is often no number)."""
    found = {_plain(match) for match in _NUMBER.findall(text)} | joined_numbers(text)
    words = (number_in_digits(word.lower()) for word in re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)?", text))
    return found | {word for word in words if word.isdigit() and int(word) > 2}


def _plain(number: str) -> str:
    whole = re.sub(r",(?=\d{3}\b)", "", number)
    return re.sub(r"[.:]0+$", "", whole).lstrip("0") or "0"
