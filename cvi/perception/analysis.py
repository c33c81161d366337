"""The summary at the end, from the journal's events: attention, expressions, voice, with times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cvi.conversation.events import Event, ParticipantHeard, ParticipantSeen, TurnCommitted

NOTABLE_SMILE, NOTABLE_BROWS = 0.6, 0.55


@dataclass(frozen=True, slots=True)
class Moment:
    """Something worth going back to, at `at_s` seconds of the conversation."""

    at_s: float
    what: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """How the participant came across. `attention` is the share of the time in which a face was seen that
    its eyes were on the screen, None where none was seen; `seen_s` how long there was one."""

    seen_s: float
    attention: float | None
    moments: tuple[Moment, ...]
    manner: Mapping[str, int]

    @property
    def markdown(self) -> str:
        """For people, and for `application.perception_analysis`."""
        lines = []
        if self.attention is None:
            lines.append("The camera showed no face.")
        else:
            on_screen = f"{self.attention:.0%}"
            lines.append(
                f"A face was seen for {self.seen_s:.0f} s, its eyes on the screen {on_screen} of that."
            )
        if self.manner:
            counted = ", ".join(f"{word} {count}x" for word, count in self.manner.items())
            lines.append(f"Voice, beside this person's usual one: {counted}.")
        if self.moments:
            lines.append("\n**Moments**\n")
            lines += [f"- {_clock(moment.at_s)} {moment.what}" for moment in self.moments]
        lines.append("\nAppearances only: how a face looked and a voice sounded, not what somebody felt.")
        return "\n".join(lines)


def analyse_participant(events: Iterable[Event]) -> Analysis:
    """The analysis of a conversation's events, in order."""
    seen_s = screen_s = 0.0
    last: ParticipantSeen | None = None
    moments: list[Moment] = []
    shown: set[str] = set()
    manner: Counter[str] = Counter()
    turns: dict[int, TurnCommitted] = {}
    for event in events:
        match event:
            case ParticipantSeen():
                if last is not None and last.people:
                    # A record holds until the next one, five seconds at most.
                    length_s = min(event.t - last.t, 6.0)
                    seen_s += length_s
                    screen_s += length_s if last.look in ("screen", "unknown") else 0.0
                now = _notable(event)
                moments += [Moment(event.t, what) for what in sorted(now - shown)]
                shown, last = now, event
            case TurnCommitted():
                turns[event.turn] = event
            case ParticipantHeard():
                manner.update(event.manner)
                at_s = turns[event.turn].speech_start_s if event.turn in turns else event.t
                if event.mismatch:
                    moments.append(Moment(at_s, event.mismatch))
                elif event.manner:
                    said = turns[event.turn].text if event.turn in turns else ""
                    moments.append(Moment(at_s, f'{event.text} "{said}"'))
    moments.sort(key=lambda moment: moment.at_s)
    attention = screen_s / seen_s if seen_s else None
    return Analysis(seen_s, attention, tuple(moments), dict(manner.most_common()))


def _notable(event: ParticipantSeen) -> set[str]:
    found = set()
    if event.picture in ("none", "black", "covered", "frozen"):
        found.add(f"no face to see: picture {event.picture}")
    if event.smile >= NOTABLE_SMILE:
        found.add("a smile")
    if event.brows <= -NOTABLE_BROWS:
        found.add("brows drawn together")
    elif event.brows >= NOTABLE_BROWS:
        found.add("raised brows")
    if event.hand:
        found.add("a hand at the face")
    if event.people > 1:
        found.add("two people before the camera")
    return found


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
