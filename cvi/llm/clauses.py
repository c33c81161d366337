"""A language model's raw stream -> clauses to be spoken, the first of them early.

No clock, no I/O. The reader of the stream pushes every piece and ends the stream once `done`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from cvi.llm.markup_filter import MarkupFilter
from cvi.llm.sentence_ends import STOPS, is_month, ordinals_have_stops, stop_after
from cvi.llm.thoughts import ThoughtFilter

_CLOSE = r"[\"'”’)»“」』）]*"
_END = re.compile(rf"[{re.escape(STOPS)}]{_CLOSE}$")
# Scripts without blanks between words and sentences: their marks end a clause at once.
_WIDE_STOP = re.compile(r"[。！？｡][」』）”’]*$")
_WIDE_MARKS = "。！？｡」』）”’"
_WIDE_PAUSE = "，、；：､"
_TRAILING_OFF = re.compile(rf"(?:\.\.+|…){_CLOSE}$")
_PAUSE = re.compile(rf"(?:[,;:،؛、，；：]|\s[-–]|—){_CLOSE}$")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f]")
_WIDE_ENDING = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff65]")
_WIDE_FIRST_CHARS = 4
"""Characters of a script without blanks that a first clause holds at least."""
_JOINTS = frozenset("and but or because so which who when where while if then before after until".split())
_LINKS = _JOINTS | frozenset("that with for from to in on at about as than by".split())
_QUOTE = re.compile(r"[\"“”‘«»]|(?:^|\s)'")
_URL = re.compile(r"(?:https?://|www\.\S{3})\S*[^\s.,;:!?)]")

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_LONGEST_PERIOD_WORDS = 8
_PHRASE_WORDS = 5
_PHRASE_TIMES = 3

# Clauses that may end before their sentence does.
EARLY_CLAUSES = 2

# A voice joins these to the word after them.
_ARTICLES = frozenset("a an the un una el la le les der die das ein eine".split())
_PHRASE_GROWTH = 1.5
"""Each phrase is longer than the last by this: while it is heard, the model writes as many words again."""


@dataclass(frozen=True, slots=True)
class Clause:
    """Words to be synthesized in one go, without markup or outer blanks; see `joined_clauses`.

    `ends_sentence` is False too at the end of a heading or a list's item. `emotion` is the tag that the
    model wrote before or within it, lower case; None where it wrote none, and the last one goes on. One
    that `restarts` has no text: the clauses before it were reasoning, not the reply, and what of them has
    not been heard is to be dropped. One that `goes_on` is the beginning of a clause, and the next one
    continues it without a pause; `following` is what was written after it by then, perhaps half a word.
    """

    text: str
    ends_sentence: bool
    emotion: str | None = None
    restarts: bool = False
    goes_on: bool = False
    following: str = field(default="", compare=False)


PHRASE_CHARS_PER_WORD = 5.0
"""Fewer ("I can do") would be spoken before a large model on slow memory has written the next phrase."""
_LEAST_PHRASE_WORDS = 2


class ClauseSplitter:
    """One reply's text, cut into clauses for speech.

    The first clause ends at a comma, dash or colon from its second word on, before a conjunction after
    `first_words` words, or before a preposition after half as many again; the second likewise, from
    `first_words` words on, so that the voice does not run dry; later ones are whole sentences, cut where
    they pass `max_clause_chars`. The reply is `done` after `max_sentences` sentences, after the clause
    that passes `max_chars`, where it begins to repeat itself, and where the model starts to write another
    speaker's part. Lines without a full stop (headings, items of a list, table rows) are not counted as
    sentences. `names` are the persona's: a label "Name: " is removed. `language` decides which full stops
    end a sentence. Reasoning in the stream gives no clauses. With `phrase_words`, the first clause is given
    in phrases: the first once so many words of a usual length are written and another begins, each later one
    half as long again; so is the next one after a clause shorter than the first phrase would be. The same
    text gives the same clauses however it is cut into pieces, but where the voice `runs_dry`: then two words
    of any clause are given at once.
    """

    def __init__(
        self,
        max_sentences: int = 3,
        max_clause_chars: int = 200,
        max_chars: int = 600,
        first_words: int = 4,
        names: Iterable[str] = (),
        language: str = "en",
        phrase_words: int | None = None,
        runs_dry: Callable[[], bool] = lambda: False,
    ) -> None:
        if max_sentences < 1 or max_clause_chars < 20 or first_words < 1:
            raise ValueError(f"too small: {max_sentences=} {max_clause_chars=} {first_words=}")
        self._max_sentences = max_sentences
        self._max_clause_chars = max_clause_chars
        self._max_chars = max_chars
        self._first_words = first_words
        self._names = tuple(names)
        self._language = language
        self._ordinals = ordinals_have_stops(language)
        self._phrase_words = phrase_words
        self._runs_dry = runs_dry
        self._thoughts = ThoughtFilter()
        self.done = False
        self._begin()

    def _begin(self) -> None:
        self._markup = MarkupFilter(self._names, self._language)
        self._repetitions = RepetitionDetector()
        self._text = ""
        self._emotion: str | None = None
        self._sentences = 0
        self._spoken_chars = 0
        self._clauses = 0
        self._midway = False
        self._phrase_size = float(self._phrase_words or 0)

    def push(self, piece: str) -> list[Clause]:
        """Take the next piece of raw text and return the clauses that it completes; [] once `done`."""
        out: list[Clause] = []
        for character in piece:
            if self.done:
                break
            self._feed(self._thoughts.feed(character), out)
        if out and out[-1].goes_on:
            out[-1] = replace(out[-1], following=self._text.strip())
        return out

    def finish(self) -> list[Clause]:
        """Return the clauses still held back at the end of the stream. Safe to call twice."""
        out: list[Clause] = []
        if not self.done:
            self._feed(self._thoughts.finish(), out)
        if not self.done:
            self._take(self._markup.finish(), out)
            self._emit(len(self._text), True, out)
        self.done = True
        return out

    def _feed(self, answer: str, out: list[Clause]) -> None:
        if self._thoughts.restarted:
            self._thoughts.restarted = False
            if self._clauses:
                out.append(Clause("", ends_sentence=False, restarts=True))
            self._begin()
        for character in answer:
            if not self.done:
                self._take(self._markup.feed(character), out)

    def _take(self, speakable: str, out: list[Clause]) -> None:
        for character in speakable:
            if self.done:
                return
            self._add(character, out)
        self._emotion = self._markup.take_emotion() or self._emotion
        if self._markup.stopped and not self.done:
            # Ended, because the model goes on as another speaker.
            self._emit(len(self._text), True, out)
            self.done = True

    def _add(self, character: str, out: list[Clause]) -> None:
        text = self._text
        if character == "\n":
            self._emit(len(text), True, out, counts=bool(_END.search(text.rstrip())))
            return
        if _WIDE_STOP.search(text) and character not in _WIDE_MARKS:
            self._emit(len(text), True, out)
            text = self._text
            if self.done:
                return
        if character.isspace():
            if not text or text[-1] == " ":
                return
            self._text = text + " "
            self._after_word(out)
            return
        if text.endswith(" ") and character in ".,!?;:)…":
            text = text[:-1]
            if character in ",;:" and text[-1] in ",;:":
                return
        if character in "!?,;" and text.endswith(character):
            return
        if text.endswith(" ") and character.isupper() and self._may_end(text):
            self._emit(len(text), True, out)
            text = self._text
            if self.done:
                return
        if text.endswith(" ") and character.isalpha() and self._phrase_is_due(text):
            self._emit(len(text), False, out, goes_on=True)
            text = self._text
            if self.done:
                return
        self._text = text + character
        sure = character == "," and self._first_pause_is_sure()
        if sure or (character in _WIDE_PAUSE and self._wide_pause_is_early()):
            self._emit(len(self._text), False, out)
        elif len(self._text) >= self._max_clause_chars:
            self._emit(self._split_at(), False, out)

    def _after_word(self, out: list[Clause]) -> None:
        """`_text` has just got a blank at its end: is there a place to stop?"""
        text = self._text[:-1]
        if _TRAILING_OFF.search(text):
            self._emit(len(text), False, out)
        elif (number := self._number_before_last_word(text)) is not None:
            self._emit(number, True, out)
        elif _END.search(text) and stop_after(text, self._language) == "end":
            self._emit(len(text), True, out)
        elif self._clauses < EARLY_CLAUSES:
            words = text.split()
            if _PAUSE.search(text) and len(words) >= (2 if self._clauses == 0 else self._first_words):
                self._emit(len(text), False, out)
            elif len(words) > self._first_words and words[-1].lower() in (
                _LINKS if len(words) > self._first_words * 3 // 2 else _JOINTS
            ):
                self._emit(len(text) - len(words[-1]), False, out)

    def _first_pause_is_sure(self) -> bool:
        """A comma after a plain word, outside quotation marks, ends the first clause without a look at
        what follows: that is a token sooner."""
        words = self._text[:-1].split()
        if self._clauses or len(words) < 2 or _QUOTE.search(self._text):
            return False
        return words[-1].replace("'", "").replace("’", "").isalpha()

    def _phrase_is_due(self, text: str) -> bool:
        """Whether the voice may have the words so far, in the middle of a clause."""
        words = text.split()
        size = _LEAST_PHRASE_WORDS if self._runs_dry() else self._phrase_size
        if not size or len(words) < size or len(text) < PHRASE_CHARS_PER_WORD * size:
            return False
        last = words[-1]
        return last.replace("'", "").replace("’", "").isalpha() and last.lower() not in _ARTICLES

    def _may_end(self, text: str) -> bool:
        """Whether the full stop of an abbreviation ends the sentence, now that a capital letter follows."""
        stripped = text.rstrip()
        if self._ordinals and stripped[-2:-1].isdigit():
            return False  # the whole word decides
        return stop_after(stripped, self._language) == "either"

    def _number_before_last_word(self, text: str) -> int | None:
        """Where a number with a full stop ends a sentence after all, now that the word after it is known:
        "Ich bin 25. Du", not "seit 5. Mai"."""
        match = re.search(r"(?<!\S)\d{1,3}\.(?= (\S+)$)", text) if self._ordinals else None
        if match is None or not match[1][0].isupper() or is_month(match[1].rstrip(",;:")):
            return None
        return match.end() if stop_after(text[: match.end()], self._language) == "either" else None

    def _wide_pause_is_early(self) -> bool:
        return self._clauses < EARLY_CLAUSES and len(_WIDE.findall(self._text)) >= _WIDE_FIRST_CHARS

    def _split_at(self) -> int:
        """Where a sentence that is too long is cut: at a pause, before a linking word, at a blank."""
        limit, low = len(self._text) - 1, len(self._text) // 3
        blanks = [i for i in range(low, limit) if self._text[i] == " "]
        for at in reversed(blanks):
            if _PAUSE.search(self._text[:at]):
                return at
        for at in range(limit, low, -1):
            if self._text[at - 1] in _WIDE_PAUSE:
                return at
        for at in reversed(blanks):
            if self._text[at + 1 :].split(" ", 1)[0].lower() in _LINKS and " " in self._text[at + 1 :]:
                return at
        return blanks[-1] if blanks else limit

    def _emit(
        self, end: int, ends_sentence: bool, out: list[Clause], counts: bool = True, goes_on: bool = False
    ) -> None:
        text, self._text = _tidy(self._text[:end]), self._text[end:].lstrip()
        if not any(character.isalnum() for character in text):
            if ends_sentence and self._midway:
                self._count_sentence()
            return
        start = self._repetitions.find(text, ends_sentence)
        if start is not None:
            self.done = True
            text, ends_sentence = text[:start].rstrip(" ,;:-–—(\"'“‘"), True
            if not any(character.isalnum() for character in text):
                return
        if ends_sentence and text[-1].isalnum():
            text += "."
        self._spoken_chars += len(text)
        self._clauses += 1
        self._midway = not ends_sentence
        ends_sentence = ends_sentence and (counts or self.done)
        if ends_sentence:
            self._count_sentence()
        self.done = self.done or self._spoken_chars >= self._max_chars
        self._emotion, emotion = None, self._emotion
        goes_on = goes_on and not self.done
        if goes_on:
            self._phrase_size *= _PHRASE_GROWTH
        elif len(text) >= PHRASE_CHARS_PER_WORD * (self._phrase_words or 0):  # "Sure!" is soon over
            self._phrase_size = 0.0
        out.append(Clause(text, ends_sentence, emotion, goes_on=goes_on))

    def _count_sentence(self) -> None:
        self._midway = False
        self._sentences += 1
        self.done = self.done or self._sentences >= self._max_sentences


def joined_clauses(texts: Iterable[str]) -> str:
    """Clauses as one text, with a blank between them but in scripts that have none."""
    whole = ""
    for text in texts:
        if whole and text and not (_WIDE_ENDING.match(whole[-1]) and _WIDE_ENDING.match(text[0])):
            whole += " "
        whole += text
    return whole


class RepetitionDetector:
    """Finds where a reply begins to repeat itself.

    That is a sentence of three words or more for the second time, the same 1 to 8 words three times running
    (a single word four times), or the same five words for the third time anywhere.
    """

    def __init__(self) -> None:
        self._words: list[str] = []
        self._sentences: set[tuple[str, ...]] = set()
        self._phrases: dict[tuple[str, ...], int] = {}
        self._sentence: list[str] = []

    def find(self, text: str, ends_sentence: bool) -> int | None:
        """Take the next clause and return the character at which a repetition begins; None for nowhere."""
        spans = list(_WORD.finditer(text))
        new = [match.group().lower() for match in spans]
        if ends_sentence and len(self._sentence) + len(new) >= 3:
            whole = (*self._sentence, *new)
            if whole in self._sentences:
                return 0
            self._sentences.add(whole)
        self._sentence = [] if ends_sentence else [*self._sentence, *new]
        before = len(self._words)
        for word in new:
            self._words.append(word)
            back = self._repeated_words()
            if back:
                first = max(len(self._words) - back - before, 0)
                return spans[first].start()
        return None

    def _repeated_words(self) -> int:
        """How many of the last words only repeat earlier ones."""
        words = self._words
        for period in range(1, _LONGEST_PERIOD_WORDS + 1):
            times = 4 if period == 1 else 3
            tail = words[-period:]
            if len(words) >= period * times and words[-period * times :] == tail * times:
                return period * (times - 1)
        if len(words) >= _PHRASE_WORDS:
            phrase = tuple(words[-_PHRASE_WORDS:])
            self._phrases[phrase] = self._phrases.get(phrase, 0) + 1
            if self._phrases[phrase] >= _PHRASE_TIMES:
                return _PHRASE_WORDS
        return 0


def _tidy(text: str) -> str:
    text = _URL.sub("the link", text)
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"^(?:[,.;:!?)–—]+\s*|-\s)+", "", text)
