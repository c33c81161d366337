"""The reading script and its teleprompter: what to say, which mood to show, when to be silent.

Scripts are YAML files in `reading_scripts`, about two minutes of speech each. `coverage` counts what a text
asks of the mouth, by what the mouth does for each sound (`cvi.face.phonetics`): the same for every language
that espeak can pronounce. `Teleprompter` walks through a script as a row of cues.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cvi.engine_registry import build
from cvi.errors import UsageError
from cvi.face.phonetics import Target, targets
from cvi.tts.base import Phone, TtsEngine, TtsSettings
from cvi.yaml_document import read_yaml

Kind = Literal["still", "read", "listen"]

WORDS_PER_S = 2.3
"""Of unhurried reading aloud."""
LINE_PAUSE_S = 0.8
_FOLDER = Path(__file__).parent / "reading_scripts"


@dataclass(frozen=True, slots=True)
class ScriptPart:
    """One stretch of the script. `kind`: "read" the `lines`, or be "still" or "listen" for `seconds`; `say`
    is the instruction to the reader, `feeling` the mood to show."""

    kind: Kind
    say: str
    seconds: float
    feeling: str = "neutral"
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadingScript:
    """A whole script. `language` is its code, `name` the language's own name."""

    language: str
    name: str
    parts: tuple[ScriptPart, ...]

    @property
    def speech_s(self) -> float:
        """About how long the reading takes, pauses included."""
        return sum(part.seconds for part in self.parts if part.kind == "read")

    @property
    def duration_s(self) -> float:
        """About how long all parts take."""
        return sum(part.seconds for part in self.parts)

    @property
    def spoken_text(self) -> str:
        """Everything that is read, one line each, as `--script` of `cvi train-replica` takes it."""
        return "\n".join(line for part in self.parts for line in part.lines)


def languages() -> tuple[str, ...]:
    """Codes of the languages that have a script."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def load_reading_script(language: str) -> ReadingScript:
    """The script of a language, by its code. Raises UsageError for a language without one."""
    code = language.strip().lower().replace("_", "-").split("-")[0]
    if code not in languages():
        raise UsageError(
            f"There is no reading script in '{language}'.",
            f"There is one in: {', '.join(languages())}. Any text of your own will do: read it for two "
            "minutes and give it as --script.",
        )
    path = _FOLDER / f"{code}.yaml"
    document: dict[str, Any] = read_yaml(path)
    return ReadingScript(
        document["language"], document["name"], tuple(_part(part) for part in document["parts"])
    )


def _part(given: dict[str, Any]) -> ScriptPart:
    lines = tuple(given.get("lines", ()))
    words = sum(len(line.split()) for line in lines)
    seconds = given.get("seconds", round(words / WORDS_PER_S + LINE_PAUSE_S * len(lines)))
    say = " ".join(given["say"].split())
    return ScriptPart(given["kind"], say, float(seconds), given.get("feeling", "neutral"), lines)


CLOSED, BITTEN, ROUNDED, OPEN, SPREAD, TONGUE = (
    "lips closed", "lip to teeth", "lips rounded", "mouth open", "mouth spread", "tongue seen"
)  # fmt: skip
NEEDED = {CLOSED: 40, BITTEN: 12, ROUNDED: 20, OPEN: 20, SPREAD: 15, TONGUE: 10}
"""How often each should occur in the footage: about five examples for every neighbour that matters, chosen by
judgement. `cvi replica script --check` prints the counts of the shipped scripts."""
NAMES = {
    CLOSED: "P, B, M",
    BITTEN: "F, V",
    ROUNDED: "OO, W",
    OPEN: "AH",
    SPREAD: "EE",
    TONGUE: "L, TH",
}


@dataclass(frozen=True, slots=True)
class Coverage:
    """`mouths` counts what the mouth does (keys of NEEDED), `phones` each sound by its IPA symbol."""

    mouths: dict[str, int]
    phones: dict[str, int]

    @property
    def missing(self) -> tuple[str, ...]:
        """Keys of NEEDED that occur too seldom."""
        return tuple(name for name, least in NEEDED.items() if self.mouths.get(name, 0) < least)


def coverage(text: str, language: str = "en") -> Coverage:
    """Count the sounds of a text. Raises MissingError without espeak, UsageError for a language it lacks."""
    voice: TtsEngine = build("tts", "espeak", TtsSettings(language=language))
    try:
        phones = asyncio.run(_phones(voice, text))
    finally:
        voice.close()
    return count_phones(phones)


def count_phones(phones: list[Phone]) -> Coverage:
    """The coverage of known phones."""
    mouths: Counter[str] = Counter(dict.fromkeys(NEEDED, 0))
    symbols: Counter[str] = Counter()
    for phone in phones:
        if phone.ipa:
            symbols[phone.ipa] += 1
        mouths.update({name for target in targets(phone.ipa) if (name := _does(target)) is not None})
    return Coverage(dict(mouths), dict(symbols.most_common()))


def _does(target: Target) -> str | None:
    if target.lips >= 0.9:
        return CLOSED
    if target.teeth >= 0.5:
        return BITTEN
    if target.round >= 0.6:
        return ROUNDED
    if target.tongue >= 0.6:
        return TONGUE
    if target.vowel and target.jaw >= 0.6:
        return OPEN
    if target.vowel and target.wide >= 0.5:
        return SPREAD
    return None


async def _phones(voice: TtsEngine, text: str) -> list[Phone]:
    found: list[Phone] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        async with aclosing(voice.speak(line)) as spoken:  # type: ignore[type-var]
            async for piece in spoken:
                found += piece.phones
    return found


NOTE_WORDS_PER_S = 3.0
LEAST_NOTE_S = 3.0


@dataclass(frozen=True, slots=True)
class PrompterCue:
    """One screenful. `kind` "note" announces what comes next, the others are those of the script; it stays
    for `seconds` unless the reader continues earlier."""

    kind: Kind | str
    text: str
    feeling: str
    seconds: float


def cues(sheet: ReadingScript) -> tuple[PrompterCue, ...]:
    """The script in order: each part's instruction as a note, then its lines."""
    found: list[PrompterCue] = []
    for part in sheet.parts:
        note_s = max(LEAST_NOTE_S, len(part.say.split()) / NOTE_WORDS_PER_S)
        found.append(PrompterCue("note", part.say, part.feeling, note_s))
        found += [
            PrompterCue("read", line, part.feeling, len(line.split()) / WORDS_PER_S + LINE_PAUSE_S)
            for line in part.lines
        ]
        if part.kind != "read":
            found.append(PrompterCue(part.kind, part.say, part.feeling, part.seconds))
    return tuple(found)


class Teleprompter:
    """Walks through the cues by the clock or by hand. Not thread-safe."""

    def __init__(self, sheet: ReadingScript) -> None:
        self._cues = cues(sheet)
        self._index = 0
        self._since_s = 0.0

    @property
    def over(self) -> bool:
        """All cues were shown."""
        return self._index >= len(self._cues)

    @property
    def cue(self) -> PrompterCue | None:
        """The cue on the screen; None when all are done."""
        return None if self.over else self._cues[self._index]

    @property
    def coming(self) -> str:
        """The next line, as a preview; "" at a part's end."""
        after = self._index + 1
        if after < len(self._cues) and self._cues[after].kind == "read":
            return self._cues[after].text
        return ""

    @property
    def spoken(self) -> str:
        """The lines shown so far."""
        return "\n".join(cue.text for cue in self._cues[: self._index] if cue.kind == "read")

    @property
    def left_s(self) -> float:
        """About how many seconds remain."""
        return sum(cue.seconds for cue in self._cues[self._index :])

    def share(self, now_s: float) -> float:
        """How much of the current cue's time is over, 0..1."""
        if self.cue is None:
            return 1.0
        return min(max((now_s - self._since_s) / self.cue.seconds, 0.0), 1.0)

    def at(self, now_s: float) -> PrompterCue | None:
        """Move on when the current cue's time is over; the cue to show at `now_s`."""
        while (cue := self.cue) is not None and now_s - self._since_s >= cue.seconds:
            self._since_s += cue.seconds
            self._index += 1
        return self.cue

    def skip(self, now_s: float) -> None:
        """Continue with the next cue."""
        if not self.over:
            self._index += 1
            self._since_s = now_s

    def again(self, now_s: float) -> None:
        """Repeat this line; at its beginning the one before."""
        if self.share(now_s) < 0.15 and self._index > 0:
            self._index -= 1
        self._since_s = now_s
