"""What the participant's side is told: the Interactions Protocol, read from the journal.

Shapes and names are those of the contract's section 9.2. Whatever the persona says is told twice, with
role `pal` and with role `replica`: older clients count one, newer ones the other.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cvi.conversation.journal import Event

ROLES = ("pal", "replica")
Told = dict[str, Any]
_IDS = uuid.UUID("6d1f0b0a-7c0e-5f64-9a51-0e6a3c2f9d11")


def inference_id(conversation_id: str, kind: str, number: int) -> str:
    """The same for everything that belongs to one reply ("reply") or one user turn ("turn")."""
    return str(uuid.uuid5(_IDS, f"{conversation_id}/{kind}/{number}"))


@dataclass(slots=True)
class _Reply:
    """What is known of a reply that is being spoken."""

    turn: int
    intended: str = ""
    began_s: float | None = None
    uttered: bool = False
    parts: int = 0
    given: str = ""
    """What the application calls it that gave it as sound."""


class Interactions:
    """Turns journal events into messages. One a conversation; `read` every event in order.

    What must always hold: `seq` increases by one from message to message, whatever made it.
    """

    def __init__(self, conversation_id: str, now: Callable[[], float] = time.time) -> None:
        """`now` gives Unix seconds."""
        self._conversation_id = conversation_id
        self._now = now
        self._seq = 0
        self._turn = 0
        self._partials = 0
        self._replies: dict[int, _Reply] = {}

    def read(self, event: Event) -> list[Told]:
        """The messages one journal event makes, often none."""
        reader = _READERS.get(event.type)
        return list(reader(self, event)) if reader is not None else []

    def system(self, name: str, **properties: Any) -> Told:
        """`system.<name>`: that the replica joined, is present, that the room is closed."""
        return self._message("system", f"system.{name}", properties)

    def inference_id(self, kind: str, number: int) -> str:
        return inference_id(self._conversation_id, kind, number)

    # -- the participant --------------------------------------------------------------------------

    def _user_started(self, event: Event) -> Iterator[Told]:
        self._turn = event.data["turn"]
        self._partials = 0
        told = {"turn_idx": self._turn, "inference_id": self.inference_id("turn", self._turn)}
        yield self._told("conversation.user.started_speaking", {}, **told)
        yield self._told("conversation.started_speaking", {"role": "user"}, **told)

    def _user_stopped(self, duration_s: float, **told: Any) -> Iterator[Told]:
        duration = {"duration": round(max(duration_s, 0.0), 3)}
        yield self._told("conversation.user.stopped_speaking", duration, **told)
        whole = {"role": "user", **duration, "interrupted": False}
        yield self._told("conversation.stopped_speaking", whole, **told)

    def _partial(self, event: Event) -> Iterator[Told]:
        turn = event.data["turn"]
        yield self._user_streaming(
            event.data["text"], False, turn_idx=turn, inference_id=self.inference_id("turn", turn)
        )

    def _user_streaming(self, text: str, final: bool, **told: Any) -> Told:
        properties = {"role": "user", "speech": text, "content_index": self._partials, "final": final}
        self._partials += 1
        return self._told("conversation.utterance.streaming", properties, **told)

    def _committed(self, event: Event) -> Iterator[Told]:
        data = event.data
        turn, text = data["turn"], data["text"]
        stopped = {"turn_idx": turn, "inference_id": self.inference_id("turn", turn)}
        yield from self._user_stopped(data["speech_end_s"] - data["speech_start_s"], **stopped)
        said = {"turn_idx": turn, "inference_id": self.inference_id("reply", data["reply"])}
        yield self._user_streaming(text, True, **said)
        yield self._told("conversation.utterance", {"role": "user", "speech": text}, **said)

    def _typed(self, event: Event) -> Iterator[Told]:
        self._turn = event.data["turn"]
        # What was typed is answered by a reply of the same inference.
        reply = event.data["reply"]
        self._replies[reply] = _Reply(self._turn)
        told = {"turn_idx": self._turn, "inference_id": self.inference_id("reply", reply)}
        yield self._told("conversation.utterance", {"role": "user", "speech": event.data["text"]}, **told)

    def _no_turn(self, event: Event) -> Iterator[Told]:
        """A voice that was no bid for the floor, or said no word."""
        turn = event.data["turn"]
        told = {"turn_idx": turn, "inference_id": self.inference_id("turn", turn)}
        yield from self._user_stopped(event.data["voice_s"], **told)

    # -- the persona ------------------------------------------------------------------------------

    def _reply(self, event: Event) -> _Reply:
        return self._replies.setdefault(event.data["reply"], _Reply(self._turn))

    def _staged(self, event: Event) -> Iterator[Told]:
        reply = self._reply(event)
        turn = event.data.get("turn")
        reply.turn = self._turn if turn is None else turn
        yield from ()

    def _given(self, event: Event) -> Iterator[Told]:
        self._reply(event).given = event.data["utterance"]
        yield from ()

    def _written(self, event: Event) -> Iterator[Told]:
        reply = self._reply(event)
        reply.intended = event.data["text"]
        if reply.began_s is not None:
            yield from self._utterance(event, reply)

    def _began(self, event: Event) -> Iterator[Told]:
        reply = self._reply(event)
        reply.began_s = event.data["at_s"]
        yield self._of(event, "conversation.replica.started_speaking", {})
        yield from self._both(event, "conversation.started_speaking", {})
        if reply.intended:
            yield from self._utterance(event, reply)

    def _dropped(self, event: Event) -> Iterator[Told]:
        self._replies.pop(event.data["reply"], None)
        yield from ()

    def _utterance(self, event: Event, reply: _Reply) -> Iterator[Told]:
        """The full text, once: when it is known and its speech has begun."""
        if not reply.uttered and reply.intended:
            reply.uttered = True
            yield from self._both(event, "conversation.utterance", {"speech": reply.intended})

    def _heard(self, event: Event) -> Iterator[Told]:
        if event.data["text"]:
            yield from self._streaming(event, event.data["text"], final=False)

    def _streaming(self, event: Event, text: str, *, final: bool, **more: Any) -> Iterator[Told]:
        reply = self._reply(event)
        properties = {"speech": text, "content_index": reply.parts, "final": final, **more}
        reply.parts += 1
        yield from self._both(event, "conversation.utterance.streaming", properties)

    def _finished(self, event: Event) -> Iterator[Told]:
        yield from self._over(event, event.data["text"], event.t, interrupted=False)

    def _interrupted(self, event: Event) -> Iterator[Told]:
        data = event.data
        if data["audible"] or data["heard"]:
            yield from self._over(event, data["heard"], data.get("silent_s", event.t), interrupted=True)
        else:
            self._replies.pop(event.data["reply"], None)

    def _over(self, event: Event, heard: str, end_s: float, *, interrupted: bool) -> Iterator[Told]:
        reply = self._reply(event)
        reply.intended = reply.intended or heard
        yield from self._utterance(event, reply)
        more = {"is_interrupted": True} if interrupted else {}
        if reply.intended:  # nobody knows what words a given sound holds
            yield from self._streaming(event, heard, final=True, **more)
        if interrupted:
            yield self._of(event, "conversation.replica_interrupted", {})
        if reply.began_s is not None:  # a typed reply is never spoken
            stopped = {"duration": round(max(end_s - reply.began_s, 0.0), 3), "interrupted": interrupted}
            yield self._of(event, "conversation.replica.stopped_speaking", stopped)
            yield from self._both(event, "conversation.stopped_speaking", stopped)
        del self._replies[event.data["reply"]]

    # -- what acts and sees -----------------------------------------------------------------------

    def _tool(self, event: Event) -> Iterator[Told]:
        data = event.data
        properties = {key: data[key] for key in ("name", "arguments", "tool_call_id")}
        yield self._of(event, "conversation.tool_call", properties)

    def _perception_tool(self, event: Event) -> Iterator[Told]:
        data = event.data
        names = ("name", "modality", "arguments", "frames")
        properties: dict[str, Any] = {key: data[key] for key in names if key in data}
        yield self._told("conversation.perception_tool_call", properties, turn_idx=self._turn)

    def _analysis(self, event: Event) -> Iterator[Told]:
        yield self._told("conversation.perception_analysis", {"analysis": event.data["analysis"]})

    def _objective(self, event: Event) -> Iterator[Told]:
        state = event.type.removeprefix("objective_")
        yield self._told(f"conversation.objective.{state}", dict(event.data), turn_idx=self._turn)

    def _guardrail(self, event: Event) -> Iterator[Told]:
        yield self._told("conversation.guardrail.triggered", dict(event.data), turn_idx=self._turn)

    # -- envelopes --------------------------------------------------------------------------------

    def _of(self, event: Event, name: str, properties: dict[str, Any]) -> Told:
        """A message that belongs to the event's reply."""
        number = event.data.get("reply")
        if number is None:
            return self._told(name, properties, turn_idx=self._turn)
        reply = self._reply(event)
        inference_id = reply.given or self.inference_id("reply", number)
        return self._told(name, properties, turn_idx=reply.turn, inference_id=inference_id)

    def _both(self, event: Event, name: str, properties: dict[str, Any]) -> Iterator[Told]:
        for role in ROLES:
            yield self._of(event, name, {"role": role, **properties})

    def _told(self, name: str, properties: dict[str, Any], **told: Any) -> Told:
        return self._message("conversation", name, properties, **told)

    def _message(self, kind: str, name: str, properties: dict[str, Any], **told: Any) -> Told:
        self._seq += 1
        return {
            "message_type": kind,
            "event_type": name,
            "conversation_id": self._conversation_id,
            "seq": self._seq,
            "timestamp": round(self._now(), 3),
            **told,
            "properties": properties,
        }


_READERS: dict[str, Callable[[Interactions, Event], Iterator[Told]]] = {
    "user_started_speaking": Interactions._user_started,
    "transcript_partial": Interactions._partial,
    "turn_committed": Interactions._committed,
    "turn_typed": Interactions._typed,
    "turn_empty": Interactions._no_turn,
    "backchannel": Interactions._no_turn,
    "reply_committed": Interactions._staged,
    "draft_discarded": Interactions._dropped,
    "reply_given": Interactions._given,
    "reply_written": Interactions._written,
    "reply_first_audio": Interactions._began,
    "reply_heard": Interactions._heard,
    "reply_finished": Interactions._finished,
    "reply_interrupted": Interactions._interrupted,
    "tool_called": Interactions._tool,
    "perception_tool_called": Interactions._perception_tool,
    "perception_analyzed": Interactions._analysis,
    "objective_activated": Interactions._objective,
    "objective_pending": Interactions._objective,
    "objective_completed": Interactions._objective,
    "guardrail_triggered": Interactions._guardrail,
}
