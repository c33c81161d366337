"""The reading script: what to say, what to feel and when to be silent, about two minutes of speech in all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from cvi.errors import UsageError

Kind = Literal["still", "read", "listen"]

WORDS_PER_S = 2.3
"""Of somebody who reads aloud without hurry."""
LINE_PAUSE_S = 0.8


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch of the script. `kind`: "read" the `lines`, or be "still" or "listen" for `seconds`;
    `say` is told to the reader, `feeling` is what the face shows meanwhile."""

    kind: Kind
    say: str
    seconds: float
    feeling: str = "neutral"
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole script. `language` is its code, `name` the language's own name of itself."""

    language: str
    name: str
    parts: tuple[Part, ...]

    @property
    def speech_s(self) -> float:
        """About how long somebody reads, pauses included."""
        return sum(part.seconds for part in self.parts if part.kind == "read")

    @property
    def duration_s(self) -> float:
        return sum(part.seconds for part in self.parts)

    @property
    def spoken_text(self) -> str:
        """Everything that is said, a line each; what `--script` of `cvi train-replica` takes."""
        return "\n".join(line for part in self.parts for line in part.lines)


def languages() -> tuple[str, ...]:
    """Codes of the languages there is a script in."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.yaml")))


def read_sheet(language: str) -> Sheet:
    """The script of a language, by its code. Raises UsageError for one there is none in."""
    code = language.strip().lower().replace("_", "-").split("-")[0]
    if code not in languages():
        raise UsageError(
            f"There is no reading script in '{language}'.",
            f"There is one in: {', '.join(languages())}. Any text of your own will do: read it for two "
            "minutes and give it as --script.",
        )
    path = Path(__file__).with_name(f"{code}.yaml")
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return Sheet(document["language"], document["name"], tuple(_part(part) for part in document["parts"]))


def _part(given: dict[str, Any]) -> Part:
    lines = tuple(given.get("lines", ()))
    words = sum(len(line.split()) for line in lines)
    seconds = given.get("seconds", round(words / WORDS_PER_S + LINE_PAUSE_S * len(lines)))
    say = " ".join(given["say"].split())
    return Part(given["kind"], say, float(seconds), given.get("feeling", "neutral"), lines)
