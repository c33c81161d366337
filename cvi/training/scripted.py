"""A film's sound with its script: phones where a sentence was found, the bare sound elsewhere."""

from __future__ import annotations

from pathlib import Path

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm
from cvi.audio.resample import resample
from cvi.errors import UsageError
from cvi.training.alignment import align, known_sentences
from cvi.training.utterances import Utterance

_LIPS_MEET = frozenset("pbm")


def read_script(path: Path) -> str:
    """What was read in a film. Raises UsageError for what is no text, or none that can be found in sound;
    MissingError without the aligner."""
    if not path.is_file():
        raise UsageError(f"There is no script {path}.", "Check the path.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The script {path} cannot be read.", "Save it as plain text in UTF-8.") from error
    if not text.strip():
        raise UsageError(f"The script {path} is empty.", "Write into it what is said in the film.")
    if not known_sentences(text):
        raise UsageError(
            f"No sentence of {path} is of English words alone that are known here.",
            "Only English can be found in sound: leave --script out, and the sound alone is learned from.",
        )
    return text


def scripted_sound(sound: Pcm, script: str) -> tuple[list[Utterance], list[float]]:
    """`sound` at PLAYED_HZ, the whole film. The utterances in order, and the middles of all P, B and M that
    were found, seconds. Raises MissingError without the aligner."""
    utterances: list[Utterance] = []
    closures_s: list[float] = []
    at = 0
    for sentence in align(resample(sound, PLAYED_HZ, HEARD_HZ), script):
        first, end = round(sentence.start_s * PLAYED_HZ), round(sentence.end_s * PLAYED_HZ)
        # Sentences are cut with a margin, and so may share a little silence.
        if first > at:
            utterances.append(Utterance(at / PLAYED_HZ, sound[at:first]))
        utterances.append(Utterance(sentence.start_s, sound[first:end], sentence.phones))
        closures_s += [
            sentence.start_s + (phone.start_s + phone.end_s) / 2
            for phone in sentence.phones
            if phone.ipa in _LIPS_MEET
        ]
        at = end
    if at < len(sound):
        utterances.append(Utterance(at / PLAYED_HZ, sound[at:]))
    return utterances, closures_s
