"""Which words stand on the screen when: the script as a row of cues that the reader walks through."""

from __future__ import annotations

from dataclasses import dataclass

from cvi.training.reading.sheet import LINE_PAUSE_S, WORDS_PER_S, Kind, Sheet

NOTE_WORDS_PER_S = 3.0
LEAST_NOTE_S = 3.0


@dataclass(frozen=True, slots=True)
class Cue:
    """One screenful. `kind` "note" is read silently (what comes next), the others as in the script;
    `seconds` how long it stays unless the reader goes on earlier."""

    kind: Kind | str
    text: str
    feeling: str
    seconds: float


def cues(sheet: Sheet) -> tuple[Cue, ...]:
    """The script in order: before every part a note that says what to do, then its lines."""
    found: list[Cue] = []
    for part in sheet.parts:
        note_s = max(LEAST_NOTE_S, len(part.say.split()) / NOTE_WORDS_PER_S)
        found.append(Cue("note", part.say, part.feeling, note_s))
        found += [
            Cue("read", line, part.feeling, len(line.split()) / WORDS_PER_S + LINE_PAUSE_S)
            for line in part.lines
        ]
        if part.kind != "read":
            found.append(Cue(part.kind, part.say, part.feeling, part.seconds))
    return tuple(found)


class Prompter:
    """Walks through the cues by the clock or by hand. Not thread-safe."""

    def __init__(self, sheet: Sheet) -> None:
        self._cues = cues(sheet)
        self._index = 0
        self._since_s = 0.0

    @property
    def over(self) -> bool:
        return self._index >= len(self._cues)

    @property
    def cue(self) -> Cue | None:
        """What stands on the screen; None when all is done."""
        return None if self.over else self._cues[self._index]

    @property
    def coming(self) -> str:
        """The line after this one, for a glance ahead; "" at a part's end."""
        after = self._index + 1
        if after < len(self._cues) and self._cues[after].kind == "read":
            return self._cues[after].text
        return ""

    @property
    def spoken(self) -> str:
        """The lines shown so far: what was said, if it was read."""
        return "\n".join(cue.text for cue in self._cues[: self._index] if cue.kind == "read")

    @property
    def left_s(self) -> float:
        """About how long it still takes."""
        return sum(cue.seconds for cue in self._cues[self._index :])

    def share(self, now_s: float) -> float:
        """How much of the current cue's time is over, 0..1."""
        if self.cue is None:
            return 1.0
        return min(max((now_s - self._since_s) / self.cue.seconds, 0.0), 1.0)

    def at(self, now_s: float) -> Cue | None:
        """Move on when the current cue's time is over; the cue to show at `now_s`."""
        while (cue := self.cue) is not None and now_s - self._since_s >= cue.seconds:
            self._since_s += cue.seconds
            self._index += 1
        return self.cue

    def skip(self, now_s: float) -> None:
        """The reader is done with this one."""
        if not self.over:
            self._index += 1
            self._since_s = now_s

    def again(self, now_s: float) -> None:
        """The reader stumbled: this line once more; at its very beginning the one before."""
        if self.share(now_s) < 0.15 and self._index > 0:
            self._index -= 1
        self._since_s = now_s
