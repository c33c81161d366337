"""A film's sound with its script: phones where a sentence was found, the bare sound elsewhere."""

from __future__ import annotations

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm
from cvi.audio.resample import resample
from cvi.replica.alignment import align
from cvi.replica.speaking import Utterance

_LIPS_MEET = frozenset("pbm")


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
