"""What a labelled recording says, whatever folder it came from.

Times are seconds from the beginning of the recording. Sound is 16 kHz mono int16 and is read only when it is
asked for. Labels are those of people or of a synthesizer, never those of a voice detector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cvi.audio.block import Pcm
from cvi.bench.probe.waveform import TimeSpan

SHORTEST_SILENCE_S = 0.1
BACKCHANNEL_MAX_S = 1.2
"""A sound within the other speaker's speech that is longer than this is no backchannel."""
GIVES_WAY_S = 2.0
"""An interrupted speaker stops within this; one who goes on longer was not interrupted."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody speaks from `start_s` to `end_s` (None: to the end of the recording).

    `is_end`: the speaker's turn was over when it began.
    """

    start_s: float
    end_s: float | None
    is_end: bool


@dataclass(frozen=True, slots=True)
class LabelledTurn:
    """One speaker's turn with every silence of at least 0.1 s in it (protocol 1).

    `group` is the recording or speaker it came from: bootstrap samples are drawn by group.
    """

    id: str
    source: str
    group: str
    silences: tuple[Silence, ...]
    sound: Callable[[], Pcm]


@dataclass(frozen=True, slots=True)
class SpeakerEvents:
    """What happened on one speaker's channel of a dialogue (protocol 2).

    To be detected: `turn_ends`, and `takes`, moments at which this speaker took the floor from the other.
    Not to be detected: anything in `holds` (pauses within a turn) and `backchannels`.
    """

    turn_ends: tuple[float, ...] = ()
    holds: tuple[TimeSpan, ...] = ()
    takes: tuple[float, ...] = ()
    backchannels: tuple[TimeSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Two people, a channel each. `sound(k)` is channel k's."""

    id: str
    source: str
    speakers: tuple[SpeakerEvents, SpeakerEvents]
    sound: Callable[[int], Pcm]


@dataclass(frozen=True, slots=True)
class Overlap:
    """A voice that begins at `onset_s` while the other side speaks (protocol 3).

    `should_yield`: it was a bid for the floor; otherwise a backchannel. `until_s` is when that voice, or the
    last such voice in the recording, has ended, where that is known.
    """

    id: str
    source: str
    onset_s: float
    should_yield: bool
    sound: Callable[[], Pcm]
    words: str = ""
    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class LabelledUtterance:
    """Speech with its exact words, for recognizers."""

    id: str
    source: str
    text: str
    sound: Callable[[], Pcm]
    speech_end_s: float | None = None


@dataclass(slots=True)
class Recordings:
    """What a folder holds, by what can be measured on it."""

    turns: list[LabelledTurn] = field(default_factory=list)
    dialogues: list[Dialogue] = field(default_factory=list)
    overlaps: list[Overlap] = field(default_factory=list)
    utterances: list[LabelledUtterance] = field(default_factory=list)

    def add(self, other: Recordings) -> None:
        """Append all that `other` holds."""
        self.turns += other.turns
        self.dialogues += other.dialogues
        self.overlaps += other.overlaps
        self.utterances += other.utterances

    @property
    def empty(self) -> bool:
        """Nothing in it can be measured on."""
        return not (self.turns or self.dialogues or self.overlaps or self.utterances)


def floor_events(own: Sequence[TimeSpan], other: Sequence[TimeSpan], length_s: float) -> SpeakerEvents:
    """From who spoke when (sorted segments of both sides) to where the floor passed, for the side `own`.

    A segment's end is an end of turn when the other side speaks next or is speaking already, otherwise the
    silence after it is a hold; one that reaches the end of the recording has no end of turn. A short sound
    within the other side's speech is a backchannel; a longer one that the other side gives way to takes the
    floor.
    """
    ends: list[float] = []
    holds: list[TimeSpan] = []
    takes: list[float] = []
    backchannels: list[TimeSpan] = []
    for number, segment in enumerate(own):
        next_s = own[number + 1].start_s if number + 1 < len(own) else float("inf")
        during = next((span for span in other if span.start_s < segment.start_s < span.end_s), None)
        if during is not None:
            if during.end_s < min(segment.end_s + 0.5, segment.start_s + GIVES_WAY_S):
                takes.append(segment.start_s)
            elif segment.end_s - segment.start_s <= BACKCHANNEL_MAX_S and segment.end_s <= during.end_s:
                backchannels.append(segment)
                continue
        if segment.end_s >= length_s - SHORTEST_SILENCE_S:
            continue
        speaking = any(span.start_s <= segment.end_s < span.end_s for span in other)
        theirs = min((span.start_s for span in other if span.start_s >= segment.end_s), default=float("inf"))
        if speaking or theirs < next_s:
            ends.append(segment.end_s)
        elif SHORTEST_SILENCE_S <= next_s - segment.end_s < float("inf"):
            holds.append(TimeSpan(segment.end_s, next_s))
    return SpeakerEvents(tuple(ends), tuple(holds), tuple(takes), tuple(backchannels))
