"""The Interactions Protocol, both ways."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cvi.conversation import events
from cvi.conversation.events import Event
from cvi.errors import UsageError
from cvi.server.worker.commands import (
    MAX_MESSAGE_CHARS,
    CommandHandler,
    Context,
    Echo,
    EchoSound,
    Interrupt,
    Respond,
    Sensitivity,
    ToolResult,
    read_command,
)
from cvi.server.worker.interactions import Interactions, ProtocolMessage
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script


def told(*journal: Event) -> list[ProtocolMessage]:
    """The messages of these events, one a second."""
    protocol = Interactions("c1", now=lambda: 1000.5)
    return [
        message
        for number, event in enumerate(journal)
        for message in protocol.read(replace(event, seq=number, t=number * 1.0))
    ]


def of(messages: list[ProtocolMessage], kind: str) -> list[dict[str, Any]]:
    return [message["properties"] for message in messages if message["event_type"] == kind]


GREETING = (
    events.ReplyCommitted(reply=1, turn=None),
    events.ReplyWritten(reply=1, text="Hello there, I am June."),
    events.ReplyFirstAudio(reply=1, at_s=0.4),
    events.ReplyHeard(reply=1, text="Hello"),
    events.ReplyFinished(reply=1, text="Hello there, I am June."),
)
TURN = (
    events.UserStartedSpeaking(turn=1, at_s=2.0, overlap=False),
    events.TranscriptPartial(turn=1, text="what is"),
    events.TurnCommitted(turn=1, reply=2, text="what is this", speech_start_s=2.0, speech_end_s=3.25, silence_ms=300, completeness=None, draft_hit=False),
    events.ReplyCommitted(reply=2, turn=1),
)


def test_envelope_and_order() -> None:
    messages = told(*GREETING, *TURN)
    assert [message["seq"] for message in messages] == list(range(1, len(messages) + 1))
    for message in messages:
        assert message["message_type"] == "conversation" and message["conversation_id"] == "c1"
        assert message["timestamp"] == 1000.5
        json.dumps(message)


def test_what_the_persona_says_is_told_twice() -> None:
    messages = told(*GREETING)
    whole = "Hello there, I am June."
    utterances = of(messages, "conversation.utterance")
    assert [(each["role"], each["speech"]) for each in utterances] == [("pal", whole), ("replica", whole)]
    streaming = of(messages, "conversation.utterance.streaming")
    assert [each["role"] for each in streaming] == ["pal", "replica"] * 2
    assert [each["speech"] for each in streaming[::2]] == ["Hello", whole]
    assert [each["final"] for each in streaming[::2]] == [False, True]
    assert [each["content_index"] for each in streaming] == [0, 0, 1, 1]
    assert [each["role"] for each in of(messages, "conversation.started_speaking")] == ["pal", "replica"]
    assert of(messages, "conversation.replica.stopped_speaking") == [{"duration": 3.6, "interrupted": False}]
    ids = {message["inference_id"] for message in messages}
    assert len(ids) == 1 and {message["turn_idx"] for message in messages} == {0}


def test_a_given_sound_is_told_by_the_name_it_was_given_and_without_words() -> None:
    messages = told(
        events.ReplyGiven(reply=1, utterance="mine"),
        events.ReplyCommitted(reply=1, turn=None),
        events.ReplyFirstAudio(reply=1, at_s=0.4),
        events.ReplyHeard(reply=1, text=""),
        events.ReplyFinished(reply=1, text=""),
    )
    assert {message["inference_id"] for message in messages} == {"mine"}
    assert {message["event_type"].rpartition(".")[2] for message in messages} == {"started_speaking", "stopped_speaking"}
    assert [each["role"] for each in of(messages, "conversation.stopped_speaking")] == ["pal", "replica"]


def test_the_utterance_comes_with_the_speech_not_before() -> None:
    messages = told(*GREETING[:2])
    assert messages == []
    late = told(GREETING[0], GREETING[2], GREETING[1])
    assert [message["event_type"] for message in late][-2:] == ["conversation.utterance"] * 2


def test_the_participants_turn() -> None:
    messages = told(*TURN)
    names = [message["event_type"].removeprefix("conversation.") for message in messages]
    assert names == [
        "user.started_speaking",
        "started_speaking",
        "utterance.streaming",
        "user.stopped_speaking",
        "stopped_speaking",
        "utterance.streaming",
        "utterance",
    ]
    assert messages[3]["properties"] == {"duration": 1.25}
    assert messages[4]["properties"] == {"role": "user", "duration": 1.25, "interrupted": False}
    assert messages[6]["properties"] == {"role": "user", "speech": "what is this"}
    assert {message["turn_idx"] for message in messages} == {1}


def test_the_utterance_and_its_answer_share_an_inference() -> None:
    messages = told(*TURN, events.ReplyFirstAudio(reply=2, at_s=4.0))
    utterance = next(m for m in messages if m["event_type"] == "conversation.utterance")
    assert messages[-1]["inference_id"] == utterance["inference_id"] != messages[0]["inference_id"]


@pytest.mark.parametrize("written", [True, False])
def test_an_interruption_tells_what_was_meant_and_what_was_heard(written: bool) -> None:
    journal = [*TURN, events.ReplyFirstAudio(reply=2, at_s=4.0)]
    if written:
        journal.append(events.ReplyWritten(reply=2, text="It is a long answer."))
    cut = events.ReplyInterrupted(reply=2, why="barge_in", heard="It is", audible=True, silent_s=4.6)
    messages = told(*journal, cut)
    said = [each for each in of(messages, "conversation.utterance") if each["role"] == "pal"]
    assert said == [{"role": "pal", "speech": "It is a long answer." if written else "It is"}]
    last = of(messages, "conversation.utterance.streaming")[-1]
    assert last["speech"] == "It is" and last["final"] and last["is_interrupted"] is True
    assert of(messages, "conversation.replica_interrupted") == [{}]
    assert of(messages, "conversation.replica.stopped_speaking") == [{"duration": 0.6, "interrupted": True}]


def test_a_reply_nobody_heard_is_not_told() -> None:
    cut = events.ReplyInterrupted(reply=2, why="resumed", heard="", audible=False, silent_s=4.0)
    messages = told(*TURN, events.ReplyWritten(reply=2, text="No."), cut)
    assert len(messages) == len(told(*TURN))


def test_a_cough_begins_and_ends() -> None:
    messages = told(TURN[0], events.TurnEmpty(turn=1, voice_s=0.3))
    assert of(messages, "conversation.user.stopped_speaking") == [{"duration": 0.3}]


def test_a_turn_that_a_sleeping_persona_hears_begins_and_ends() -> None:
    messages = told(
        TURN[0], events.TurnUnanswered(turn=1, text="so i said", speech_start_s=1.0, speech_end_s=2.5)
    )
    assert of(messages, "conversation.user.stopped_speaking") == [{"duration": 1.5}]


def test_an_overloaded_machine_is_a_notice() -> None:
    messages = told(events.Overloaded(short="face", message="The machine is too slow."))
    assert of(messages, "system.notice") == [{"kind": "face", "message": "The machine is too slow."}]


def test_a_call_of_the_clients_is_the_contracts_event_and_every_call_is_told() -> None:
    called = events.ToolCalled(call="call_1", reply=2, turn=1, name="look", arguments={"a": 1}, delivery="app_message")
    messages = told(
        *TURN,
        called,
        replace(called, call="call_2", delivery="api"),
        events.ToolResolved(call="call_2", name="look", output="4", took_s=0.5),
        events.ToolFailed(call="call_1", name="look", message="No."),
        events.HumanRequested(source="tool", call="call_3"),
    )
    asked = {"name": "look", "arguments": '{"a": 1}', "tool_call_id": "call_1"}
    assert of(messages, "conversation.tool_call") == [asked]
    assert [each["delivery"] for each in of(messages, "conversation.tool.called")] == ["app_message", "api"]
    assert of(messages, "conversation.tool.resolved")[0]["output"] == "4"
    assert of(messages, "conversation.tool.failed")[0]["message"] == "No."
    assert of(messages, "application.human_requested") == [{"source": "tool", "tool_call_id": "call_3"}]
    (call,) = [message for message in messages if message["event_type"] == "conversation.tool_call"]
    (answered,) = [m for m in messages if m["event_type"] == "conversation.utterance" and m["properties"]["role"] == "user"]
    assert call["inference_id"] == answered["inference_id"] and call["turn_idx"] == 1


def test_a_whole_conversation_keeps_the_pairs() -> None:
    """Events of the real loop: everything that starts stops, and every utterance is told."""
    script = Script()
    end_s = script.user_says(1.0, "what is your name")
    script.user_says(end_s + 1.6, "stop please stop now")
    outcome = script.play(FakeLlm(["My name is June and I like long answers very much indeed."]))
    protocol = Interactions("c1")
    messages = [message for event in outcome.events for message in protocol.read(event)]
    for started, stopped in (
        ("conversation.user.started_speaking", "conversation.user.stopped_speaking"),
        ("conversation.replica.started_speaking", "conversation.replica.stopped_speaking"),
    ):
        assert len(of(messages, started)) == len(of(messages, stopped)) >= 1
    users = [each["speech"] for each in of(messages, "conversation.utterance") if each["role"] == "user"]
    assert users[0] == "what is your name"
    pal = [each for each in of(messages, "conversation.utterance") if each["role"] == "pal"]
    replica = [each for each in of(messages, "conversation.utterance") if each["role"] == "replica"]
    assert [each["speech"] for each in pal] == [each["speech"] for each in replica] and pal


def test_system_messages_share_the_sequence() -> None:
    protocol = Interactions("c1")
    first = protocol.system("replica_joined", replica_id="june")
    assert first["message_type"] == "system" and first["event_type"] == "system.replica_joined"
    assert protocol.system("pal_present")["seq"] == first["seq"] + 1


# -- what is asked --------------------------------------------------------------------------------


def event(kind: str, **properties: Any) -> dict[str, Any]:
    return {"message_type": "conversation", "event_type": f"conversation.{kind}", "properties": properties}


@pytest.mark.parametrize(
    ("message", "request_"),
    [
        (event("echo", modality="text", text=" Hi. ", done="true"), Echo("Hi.")),
        (event("respond", text="How are you?"), Respond("How are you?")),
        ({"event_type": "conversation.interrupt"}, Interrupt()),
        (event("overwrite_llm_context", context=""), Context("", replace=True)),
        (event("append_llm_context", context="It rains."), Context("It rains.", replace=False)),
        (event("sensitivity", participant_pause_sensitivity="high"), Sensitivity("low", None)),
        (event("sensitivity", participant_interrupt_sensitivity="verylow"), Sensitivity(None, "low")),
        (event("tool_result", tool_call_id="t", output='{"a": 1}'), ToolResult("t", {"a": 1}, True)),
        (event("tool_result", tool_call_id="t", output="no", status="error"), ToolResult("t", "no", False)),
    ],
)
def test_every_request_is_read(message: dict[str, Any], request_: object) -> None:
    assert read_command(message) == request_
    assert read_command(json.dumps(message)) == request_
    assert read_command(json.dumps(json.dumps(message))) == request_, "some clients encode twice"


def test_echo_of_sound_is_read() -> None:
    data = base64.b64encode(b"\x01\x00\xff\x7f").decode()
    request = read_command(
        event("echo", modality="audio", audio=data, sample_rate=16000, inference_id="i", done="true")
    )
    assert isinstance(request, EchoSound)
    assert request.pcm.tolist() == [1, 32767] and request.rate_hz == 16000 and request.done


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("", "not JSON"),
        ("[1]", "JSON object"),
        ('"text"', "no event"),
        ("[" * 100_000, "not JSON"),
        ("x" * (MAX_MESSAGE_CHARS + 1), "at most"),
        ({}, "no event"),
        (event("dance"), "no event"),
        ({"event_type": "conversation.respond", "properties": 3}, "object"),
        (event("respond"), "must be a text"),
        (event("respond", text="   "), "must be a text"),
        (event("respond", text="x" * 20_000), "at most"),
        (event("echo", modality="video", text="x"), "modality"),
        (event("echo", modality="audio", audio="a$b"), "base64"),
        (event("echo", modality="audio", audio=7), "16-bit"),
        (event("echo", modality="audio", audio="AA==", sample_rate=1), "sample_rate"),
        (event("echo", modality="audio", audio="AAA=", sample_rate=23_999), "sample_rate"),
        (event("sensitivity"), "Give"),
        (event("sensitivity", participant_pause_sensitivity="extreme"), "one of"),
        (event("tool_result", tool_call_id="t", status="maybe"), "status"),
    ],
)
def test_what_is_wrong_is_told(message: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_command(message)


class Conversation:
    def __init__(self) -> None:
        self.did: list[tuple[Any, ...]] = []

    def say(self, text: str) -> None:
        self.did.append(("say", text))

    def play(self, pcm: Any, rate_hz: int, utterance: str, *, done: bool) -> None:
        self.did.append(("play", pcm.tolist(), rate_hz, utterance, done))

    def respond(self, text: str) -> None:
        self.did.append(("respond", text))

    def interrupt(self, why: str = "asked") -> None:
        self.did.append(("interrupt", why))

    def replace_context(self, text: str) -> None:
        self.did.append(("replace", text))

    def append_context(self, text: str) -> None:
        self.did.append(("append", text))

    def adjust(self, patience: str, interruptibility: str) -> None:
        self.did.append(("adjust", patience, interruptibility))

    def tool_result(self, call_id: str, output: object, ok: bool) -> None:
        self.did.append(("tool_result", call_id, output, ok))


def test_requests_reach_the_conversation() -> None:
    conversation = Conversation()
    desk = CommandHandler(conversation, "medium", "high")
    desk.carry_out(Echo("a"))
    desk.carry_out(EchoSound(np.array([1, 2], np.int16), 16000, "i", False))
    desk.carry_out(Respond("b"))
    desk.carry_out(Interrupt())
    desk.carry_out(Context("c", replace=True))
    desk.carry_out(Context("d", replace=False))
    desk.carry_out(Sensitivity("low", None))
    desk.carry_out(Sensitivity(None, "low"))
    assert conversation.did == [
        ("say", "a"),
        ("play", [1, 2], 16000, "i", False),
        ("respond", "b"),
        ("interrupt", "asked"),
        ("replace", "c"),
        ("append", "d"),
        ("adjust", "low", "high"),
        ("adjust", "low", "low"),
    ]
    desk.carry_out(ToolResult("t", {"a": 1}, True))
    assert conversation.did[-1] == ("tool_result", "t", {"a": 1}, True)


def test_what_guardrails_and_objectives_declare_is_sent_with_them() -> None:
    call = {"name": "alert", "arguments": {"level": 2}}
    fired = events.GuardrailTriggered(
        reply=1, guardrail="g", side="reply", by="pattern", action="refuse", text="x", tool_call=call
    )
    save = {"type": "function", "function": {"name": "save"}}
    done = events.ObjectiveCompleted(objective="o", output_variables={"city": "Oslo"}, tool_call=save)
    other = events.ObjectiveCompleted(objective="p", output_variables={}, tool_call={"note": "no function"})
    messages = told(fired, done, other)
    assert of(messages, "conversation.guardrail.triggered")[0]["tool_call"] == call
    completed = of(messages, "conversation.objective.completed")
    assert [each["tool_call"] for each in completed] == [save, {"note": "no function"}]
    assert of(messages, "conversation.tool_call") == [
        {"name": "alert", "arguments": '{"level": 2}', "tool_call_id": "guardrail_0"},
        {"name": "save", "arguments": '{"city": "Oslo"}', "tool_call_id": "objective_1"},
    ]
