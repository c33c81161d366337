"""The Interactions Protocol from the persona to the client, made from the journal's events.

Shapes and names are those of the contract's section 9.2. Whatever the persona says is sent twice, with
role `pal` and with role `replica`: older clients count one, newer ones the other.
"""

from __future__ import annotations

import base64
import json
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cvi.conversation import events
from cvi.conversation.events import Event

ROLES = ("pal", "replica")
ProtocolMessage = dict[str, Any]
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

    def go_on_from(self, past: Sequence[Event], at_s: float) -> None:
        """Number messages on from those of the conversation's part before, which `at_s` seconds held.

        What was not made from events (a beat every few seconds, who joined) was fewer than one a second.
        """
        for event in past:
            self.read(event)
        self._replies.clear()
        self._seq += math.ceil(at_s)

    def read(self, event: Event) -> list[ProtocolMessage]:
        """The messages one journal event makes, often none."""
        return list(self._messages(event))

    def _messages(self, event: Event) -> Iterator[ProtocolMessage]:
        match event:
            case events.UserStartedSpeaking():
                yield from self._user_started(event)
            case events.TranscriptPartial():
                yield from self._partial(event)
            case events.TurnCommitted():
                yield from self._committed(event)
            case events.TurnTyped():
                yield from self._typed(event)
            case events.TurnEmpty() | events.Backchannel() | events.EchoHeard():
                yield from self._no_turn(event.turn, event.voice_s)
            case events.TurnUnanswered():
                yield from self._no_turn(event.turn, event.speech_end_s - event.speech_start_s)
            case events.ReplyCommitted():
                self._reply(event.reply).turn = self._turn if event.turn is None else event.turn
            case events.DraftDiscarded():
                self._replies.pop(event.reply, None)
            case events.ReplyGiven():
                self._reply(event.reply).given = event.utterance
            case events.ReplyWritten():
                yield from self._written(event)
            case events.ReplyFirstAudio():
                yield from self._began(event)
            case events.ReplyHeard():
                if event.text:
                    yield from self._streaming(event.reply, event.text, final=False)
            case events.ReplyFinished():
                yield from self._over(event.reply, event.text, event.t, interrupted=False)
            case events.ReplyInterrupted():
                yield from self._interrupted(event)
            case _:
                yield from self._of_capabilities(event)

    def _of_capabilities(self, event: Event) -> Iterator[ProtocolMessage]:
        """The messages of perception, tools, guardrails, objectives and notices."""
        match event:
            case events.PerceptionToolCalled():
                yield self._perception_tool(event)
            case events.PerceptionAnalysed():
                yield self._conversation("conversation.perception_analysis", {"analysis": event.analysis})
            case events.ToolCalled():
                yield from self._tool_called(event)
            case events.ToolResolved():
                about = {"output": event.output, "duration": event.took_s}
                yield self._tool("resolved", event.call, event.name, **about)
            case events.ToolFailed():
                yield self._tool("failed", event.call, event.name, message=event.message)
            case events.ToolCancelled():
                yield self._tool("failed", event.call, event.name, message=f"It was {event.reason}.")
            case events.HumanRequested():
                about = {"source": event.source, "tool_call_id": event.call, "reason": event.reason}
                asked = {key: value for key, value in about.items() if value}
                yield self._message("application", "application.human_requested", asked)
            case events.GuardrailTriggered():
                yield self._of_reply("conversation.guardrail.triggered", event.reply, self._guardrail(event))
                yield from self._declared_call(event.tool_call, f"guardrail_{event.seq}", {})
            case events.ObjectiveActivated():
                about = {"objective_name": event.objective}
                yield self._conversation("conversation.objective.activated", about)
            case events.ObjectivePending():
                yield self._objective("pending", event.objective, event.output_variables)
            case events.ObjectiveCompleted():
                yield self._objective("completed", event.objective, event.output_variables, event.tool_call)
                known = event.output_variables
                yield from self._declared_call(event.tool_call, f"objective_{event.seq}", known)
            case events.ObjectiveResults():
                results = {"objectives": event.results}
                yield self._message("application", "application.objective_results", results)
            case events.DisclosureGiven():
                about = {"kind": event.kind, "text": event.text}
                yield self.system("disclosure", **about)
            case events.WakePhraseDetected():
                yield self.system("wake_phrase_detected")
            case events.SleepPhraseDetected():
                yield self.system("sleep_phrase_detected")
            case events.Overloaded():
                yield self.system("notice", kind=event.short, message=event.message)

    def _objective(
        self, what: str, name: str, found: dict[str, str], tool_call: Mapping[str, Any] | None = None
    ) -> ProtocolMessage:
        about = {"objective_name": name, "output_variables": found, **_with_call(tool_call or {})}
        return self._conversation(f"conversation.objective.{what}", about)

    def _declared_call(
        self, payload: Mapping[str, Any], call: str, known: dict[str, str]
    ) -> Iterator[ProtocolMessage]:
        """The call that a guardrail or an objective declares, where its payload names a function; `known` are
        its arguments where it has none."""
        function = payload.get("function", payload)
        if not isinstance(function, Mapping) or not isinstance(name := function.get("name"), str):
            return
        arguments = function.get("arguments") or known
        text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        about = {"name": name, "arguments": text, "tool_call_id": call}
        yield self._conversation("conversation.tool_call", about)

    def _guardrail(self, event: events.GuardrailTriggered) -> dict[str, Any]:
        return {
            "guardrail_name": event.guardrail,
            "role": "user" if event.side == "participant" else "pal",
            "speech": event.text,
            "detected_by": event.by,
            "action": event.action,
            **_with_call(event.tool_call),
        }

    def _of_reply(self, name: str, reply: int, properties: dict[str, Any]) -> ProtocolMessage:
        inference_id = self.inference_id("reply", reply)
        return self._conversation(name, properties, turn_idx=self._turn, inference_id=inference_id)

    def system(self, name: str, **properties: Any) -> ProtocolMessage:
        """`system.<name>`: that the replica joined, is present, that the room is closed."""
        return self._message("system", f"system.{name}", properties)

    def inference_id(self, kind: str, number: int) -> str:
        """The `inference_id` of a reply ("reply") or of a participant's turn ("turn")."""
        return inference_id(self._conversation_id, kind, number)

    # -- the participant --------------------------------------------------------------------------

    def _user_started(self, event: events.UserStartedSpeaking) -> Iterator[ProtocolMessage]:
        self._turn = event.turn
        self._partials = 0
        about = {"turn_idx": self._turn, "inference_id": self.inference_id("turn", self._turn)}
        yield self._conversation("conversation.user.started_speaking", {}, **about)
        yield self._conversation("conversation.started_speaking", {"role": "user"}, **about)

    def _user_stopped(self, duration_s: float, **about: Any) -> Iterator[ProtocolMessage]:
        duration = {"duration": round(max(duration_s, 0.0), 3)}
        yield self._conversation("conversation.user.stopped_speaking", duration, **about)
        whole = {"role": "user", **duration, "interrupted": False}
        yield self._conversation("conversation.stopped_speaking", whole, **about)

    def _partial(self, event: events.TranscriptPartial) -> Iterator[ProtocolMessage]:
        inference_id = self.inference_id("turn", event.turn)
        yield self._user_streaming(event.text, False, turn_idx=event.turn, inference_id=inference_id)

    def _user_streaming(self, text: str, final: bool, **about: Any) -> ProtocolMessage:
        properties = {"role": "user", "speech": text, "content_index": self._partials, "final": final}
        self._partials += 1
        return self._conversation("conversation.utterance.streaming", properties, **about)

    def _committed(self, event: events.TurnCommitted) -> Iterator[ProtocolMessage]:
        turn, text = event.turn, event.text
        stopped = {"turn_idx": turn, "inference_id": self.inference_id("turn", turn)}
        yield from self._user_stopped(event.speech_end_s - event.speech_start_s, **stopped)
        about = {"turn_idx": turn, "inference_id": self.inference_id("reply", event.reply)}
        yield self._user_streaming(text, True, **about)
        yield self._conversation("conversation.utterance", {"role": "user", "speech": text}, **about)

    def _typed(self, event: events.TurnTyped) -> Iterator[ProtocolMessage]:
        self._turn = event.turn
        # What was typed is answered by a reply of the same inference.
        self._replies[event.reply] = _Reply(self._turn)
        about = {"turn_idx": self._turn, "inference_id": self.inference_id("reply", event.reply)}
        yield self._conversation("conversation.utterance", {"role": "user", "speech": event.text}, **about)

    def _no_turn(self, turn: int, voice_s: float) -> Iterator[ProtocolMessage]:
        """A voice that was no bid for the floor, held no word, or gets no answer."""
        about = {"turn_idx": turn, "inference_id": self.inference_id("turn", turn)}
        yield from self._user_stopped(voice_s, **about)

    def _perception_tool(self, event: events.PerceptionToolCalled) -> ProtocolMessage:
        properties: dict[str, Any] = {"name": event.name, "modality": event.modality}
        if event.modality == "audio":
            # The contract's odd one: text for audio, an object for vision.
            properties["arguments"] = json.dumps(event.arguments)
        else:
            frames = [base64.b64encode(frame).decode() for frame in event.frames]
            properties["arguments"] = event.arguments
            properties["frames"] = [{"data": data, "mime_type": "image/jpeg"} for data in frames]
        return self._conversation("conversation.perception_tool_call", properties)

    # -- the persona ------------------------------------------------------------------------------

    def _reply(self, number: int) -> _Reply:
        return self._replies.setdefault(number, _Reply(self._turn))

    def _written(self, event: events.ReplyWritten) -> Iterator[ProtocolMessage]:
        reply = self._reply(event.reply)
        reply.intended = event.text
        if reply.began_s is not None:
            yield from self._utterance(event.reply)

    def _began(self, event: events.ReplyFirstAudio) -> Iterator[ProtocolMessage]:
        reply = self._reply(event.reply)
        reply.began_s = event.at_s
        yield self._of(event.reply, "conversation.replica.started_speaking", {})
        yield from self._both(event.reply, "conversation.started_speaking", {})
        yield from self._utterance(event.reply)

    def _utterance(self, number: int) -> Iterator[ProtocolMessage]:
        """The full text, once: when it is known and its speech has begun."""
        reply = self._reply(number)
        if not reply.uttered and reply.intended:
            reply.uttered = True
            yield from self._both(number, "conversation.utterance", {"speech": reply.intended})

    def _streaming(self, number: int, text: str, *, final: bool, **more: Any) -> Iterator[ProtocolMessage]:
        reply = self._reply(number)
        properties = {"speech": text, "content_index": reply.parts, "final": final, **more}
        reply.parts += 1
        yield from self._both(number, "conversation.utterance.streaming", properties)

    def _interrupted(self, event: events.ReplyInterrupted) -> Iterator[ProtocolMessage]:
        if event.audible or event.heard:
            end_s = event.t if event.silent_s is None else event.silent_s
            yield from self._over(event.reply, event.heard, end_s, interrupted=True)
        else:
            self._replies.pop(event.reply, None)

    def _over(self, number: int, heard: str, end_s: float, *, interrupted: bool) -> Iterator[ProtocolMessage]:
        reply = self._reply(number)
        reply.intended = reply.intended or heard
        yield from self._utterance(number)
        more = {"is_interrupted": True} if interrupted else {}
        if reply.intended:  # nobody knows what words a given sound holds
            yield from self._streaming(number, heard, final=True, **more)
        if interrupted:
            yield self._of(number, "conversation.replica_interrupted", {})
        if reply.began_s is not None:  # a typed reply is never spoken
            stopped = {"duration": round(max(end_s - reply.began_s, 0.0), 3), "interrupted": interrupted}
            yield self._of(number, "conversation.replica.stopped_speaking", stopped)
            yield from self._both(number, "conversation.stopped_speaking", stopped)
        del self._replies[number]

    # -- tools ------------------------------------------------------------------------------------

    def _tool_called(self, event: events.ToolCalled) -> Iterator[ProtocolMessage]:
        """What the client is to carry out is the contract's event; that a tool was called is one of ours."""
        arguments = json.dumps(event.arguments, ensure_ascii=False)
        if event.delivery == "app_message":
            asked = {"name": event.name, "arguments": arguments, "tool_call_id": event.call}
            yield self._of(event.reply, "conversation.tool_call", asked)
        about = {"arguments": arguments, "delivery": event.delivery}
        yield self._tool("called", event.call, event.name, **about)

    def _tool(self, what: str, call: str, name: str, **properties: Any) -> ProtocolMessage:
        about = {"tool_call_id": call, "name": name, **properties}
        return self._conversation(f"conversation.tool.{what}", about)

    # -- envelopes --------------------------------------------------------------------------------

    def _of(self, number: int, name: str, properties: dict[str, Any]) -> ProtocolMessage:
        """A message that belongs to a reply."""
        reply = self._reply(number)
        inference_id = reply.given or self.inference_id("reply", number)
        return self._conversation(name, properties, turn_idx=reply.turn, inference_id=inference_id)

    def _both(self, number: int, name: str, properties: dict[str, Any]) -> Iterator[ProtocolMessage]:
        for role in ROLES:
            yield self._of(number, name, {"role": role, **properties})

    def _conversation(self, name: str, properties: dict[str, Any], **about: Any) -> ProtocolMessage:
        return self._message("conversation", name, properties, **about)

    def _message(self, kind: str, name: str, properties: dict[str, Any], **about: Any) -> ProtocolMessage:
        self._seq += 1
        return {
            "message_type": kind,
            "event_type": name,
            "conversation_id": self._conversation_id,
            "seq": self._seq,
            "timestamp": round(self._now(), 3),
            **about,
            "properties": properties,
        }


def _with_call(tool_call: Mapping[str, Any]) -> dict[str, Any]:
    return {"tool_call": tool_call} if tool_call else {}
