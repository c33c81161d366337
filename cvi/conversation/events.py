"""What is written in a conversation's journal: one frozen dataclass for each event.

Times are seconds on the conversation's clock, durations have their unit in their name. `turn` numbers
the participant's turns from 1, `reply` the persona's replies (drafts included) from 1. Field names are
the names in the file; a field with a default is left out of the file while it holds the default.
"""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, ClassVar, Literal

from pydantic import TypeAdapter

from cvi.turns.thresholds import Level

_COMMON = frozenset({"seq", "t"})


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened. `Journal.write` sets `seq` and `t`.

    `seq` counts from 0 without a gap; `t` is when it was written, seconds on the conversation's clock.
    """

    type: ClassVar[str]
    """The event's name in the file."""
    seq: int = -1
    t: float = 0.0

    @property
    def happened_s(self) -> float:
        """When it happened: `at_s` for an event that was only noticed later, else `t`."""
        return float(getattr(self, "at_s", self.t))

    def data(self) -> dict[str, Any]:
        """The event's own fields as they stand in the file, in order."""
        own = [one for one in fields(self) if one.name not in _COMMON and one.metadata.get("kept", True)]
        values = {one.name: getattr(self, one.name) for one in own}
        defaults = {one.name: _default(one) for one in own}
        return {
            name: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
            for name, value in values.items()
            if defaults[name] is MISSING or value != defaults[name]
        }

    def to_json(self) -> dict[str, Any]:
        """The whole event as JSON values: `seq`, `t`, `type` and `data`."""
        return {"seq": self.seq, "t": round(self.t, 4), "type": self.type, **self.data()}


@dataclass(frozen=True)
class PlayoutFigures:
    """How the media units of a conversation were presented.

    `units` presented; `late`: handed over more than a frame period after their time; `repeated`: shown
    with the frame before, since their own was not rendered yet; `stale`: with a frame older than that;
    `gaps`: the voice could not keep up. `worst_late_ms` is the worst delay of the playout clock.
    """

    units: int
    late: int
    repeated: int
    stale: int
    gaps: int
    worst_late_ms: float


@dataclass(frozen=True)
class ConversationFacts:
    """Who takes part and with what: names of persona, replica and profile, the engine of each layer, when it
    began (ISO 8601), and by which names the participant is remembered."""

    persona: str = ""
    replica: str = ""
    profile: str = ""
    engines: dict[str, str] = field(default_factory=dict)
    began: str = ""
    participants: list[str] = field(default_factory=list)


# -- the conversation -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ConversationStarted(Event):
    """The first event. Its fields but the id are those of `ConversationFacts`."""

    type: ClassVar[str] = "conversation_started"
    conversation_id: str = ""
    persona: str = ""
    replica: str = ""
    profile: str = ""
    engines: dict[str, str] = field(default_factory=dict)
    began: str = ""
    participants: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, conversation_id: str, facts: ConversationFacts) -> ConversationStarted:
        """The event of a conversation with these facts."""
        return cls(conversation_id=conversation_id, **asdict(facts))


@dataclass(frozen=True, kw_only=True)
class ConversationEnded(Event):
    """The last event. `playout` is None for a typed conversation."""

    type: ClassVar[str] = "conversation_ended"
    reason: str
    playout: PlayoutFigures | None = None


@dataclass(frozen=True, kw_only=True)
class ConversationResumed(Event):
    """It goes on in another process: the one before was lost `lost_s` seconds ago."""

    type: ClassVar[str] = "conversation_resumed"
    lost_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ContextReplaced(Event):
    """An application put `text` in the place of the conversation's context."""

    type: ClassVar[str] = "context_replaced"
    text: str


@dataclass(frozen=True, kw_only=True)
class ContextAppended(Event):
    """An application added `text` to what the model knows."""

    type: ClassVar[str] = "context_appended"
    text: str


@dataclass(frozen=True, kw_only=True)
class ContextProvided(Event):
    """A capability (`source`: knowledge, memory, ...) added `text` to what the model is given for a reply.

    `passages` says where in which document it stands, one line each; `quote` what of it may be said in place
    of a reply that it does not support.
    """

    type: ClassVar[str] = "context_provided"
    reply: int
    source: str
    text: str
    passages: list[str] = field(default_factory=list)
    quote: str = ""


@dataclass(frozen=True, kw_only=True)
class MemoriesRecalled(Event):
    """What the model is told of earlier conversations from the start: one line a memory, with its source."""

    type: ClassVar[str] = "memories_recalled"
    memories: list[str]


@dataclass(frozen=True, kw_only=True)
class MemoryKept(Event):
    """Of the participant's turn, `memory` is remembered from now on; `outdated` names what it contradicts."""

    type: ClassVar[str] = "memory_kept"
    turn: int
    memory: str
    kind: str
    outdated: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class MemoryFailed(Event):
    """Nothing more is remembered of this conversation for now; `message` says why."""

    type: ClassVar[str] = "memory_failed"
    message: str


@dataclass(frozen=True, kw_only=True)
class ToolWeighed(Event):
    """The turn's words are like the tool `name` (`likeness`, -1 to 1), so the model was asked whether it
    calls one: with which `probability`, what it `calls`, and which arguments were `lacking`."""

    type: ClassVar[str] = "tool_weighed"
    reply: int
    name: str
    likeness: float
    probability: float
    calls: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ToolCalled(Event):
    """The tool `name` is called for a reply; `delivery` says how: app_message, api, mcp, python, builtin."""

    type: ClassVar[str] = "tool_called"
    call: str
    reply: int
    turn: int | None = None
    name: str
    arguments: dict[str, Any]
    delivery: str


@dataclass(frozen=True, kw_only=True)
class ToolReused(Event):
    """A reply asked for the same as a call of an earlier one that was not heard, and is given its answer."""

    type: ClassVar[str] = "tool_reused"
    call: str
    reply: int


@dataclass(frozen=True, kw_only=True)
class ToolResolved(Event):
    """A call was answered after `took_s`; `output` is the beginning of the answer."""

    type: ClassVar[str] = "tool_resolved"
    call: str
    name: str
    output: str
    took_s: float


@dataclass(frozen=True, kw_only=True)
class ToolFailed(Event):
    """A call failed, for the reason in `message`; the conversation goes on."""

    type: ClassVar[str] = "tool_failed"
    call: str
    name: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ToolCancelled(Event):
    """A call was ended before its answer: its reply was `interrupted`."""

    type: ClassVar[str] = "tool_cancelled"
    call: str
    name: str
    reason: Literal["interrupted"]


@dataclass(frozen=True, kw_only=True)
class ToolBridged(Event):
    """The answer of a tool takes a while: `text` is said meanwhile, as a part of the reply."""

    type: ClassVar[str] = "tool_bridged"
    reply: int
    text: str


@dataclass(frozen=True, kw_only=True)
class GuardrailTriggered(Event):
    """A sentence (`text`) of one `side` breaks a guardrail.

    `by`: pattern, phrase, likeness (with its `score`), model, or documents (the passages that the reply was
    given do not say it); `action`: rephrase, refuse, escalate or end.
    """

    type: ClassVar[str] = "guardrail_triggered"
    reply: int
    guardrail: str
    side: Literal["participant", "reply"]
    by: Literal["pattern", "phrase", "likeness", "model", "documents"]
    score: float | None = None
    action: Literal["rephrase", "refuse", "escalate", "end"]
    text: str
    app_message: bool = True
    tool_call: dict[str, Any] = field(default_factory=dict)
    """What the guardrail declares to be sent with it."""


@dataclass(frozen=True, kw_only=True)
class GuardrailNotChecked(Event):
    """A guardrail that no check watches, and why: it is only told to the model."""

    type: ClassVar[str] = "guardrail_not_checked"
    guardrail: str
    why: str


@dataclass(frozen=True, kw_only=True)
class ContextScreened(Event):
    """Sentences of a document or of a tool's result that spoke to the model, and were `removed`."""

    type: ClassVar[str] = "context_screened"
    source: str
    removed: list[str]


@dataclass(frozen=True, kw_only=True)
class ObjectiveActivated(Event):
    """The persona now works towards an objective."""

    type: ClassVar[str] = "objective_activated"
    objective: str


@dataclass(frozen=True, kw_only=True)
class ObjectiveUpdated(Event):
    """What is known for an objective so far, by its output variables."""

    type: ClassVar[str] = "objective_updated"
    objective: str
    output_variables: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ObjectivePending(Event):
    """An objective is reached, and waits to be confirmed by the participant or the application."""

    type: ClassVar[str] = "objective_pending"
    objective: str
    output_variables: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ObjectiveCompleted(Event):
    """An objective is reached; `confirmed_by` says who confirmed it where that was asked for."""

    type: ClassVar[str] = "objective_completed"
    objective: str
    output_variables: dict[str, str]
    confirmed_by: Literal["", "participant", "application"] = ""
    tool_call: dict[str, Any] = field(default_factory=dict)
    """What the objective declares to be sent with it."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveResults(Event):
    """At the end: every objective with its `objective_name`, `status` and `output_variables`."""

    type: ClassVar[str] = "objective_results"
    results: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class DisclosureGiven(Event):
    """The participant is told that they talk with a program: spoken (`verbal`) or shown (`visual`)."""

    type: ClassVar[str] = "disclosure_given"
    kind: Literal["verbal", "visual"]
    text: str
    policy: str = ""


@dataclass(frozen=True, kw_only=True)
class HumanRequested(Event):
    """A human shall take over; `source` is what asked for it: `tool` (the `call`), or a guardrail."""

    type: ClassVar[str] = "human_requested"
    source: str
    call: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ParticipantSeen(Event):
    """What the participant looks like, put into words as `text`; written when that changes, and at times.

    `picture` is the camera's state ("good", "none", "black", "frozen", ...), `people` how many faces, `look`
    where the eyes go ("screen", "left", "right", "up", "down", "unknown"). `smile` 0..1, `brows` -1 drawn
    together .. 1 raised, both against this person's own neutral; `valence` -1..1 and `arousal` 0..1 of the
    face's appearance. `hand` is where on the face a hand is ("chin", "mouth", ...), "" for none. `age_s` is
    how old the picture was when this was written.
    """

    type: ClassVar[str] = "participant_seen"
    text: str
    picture: str = "good"
    people: int = 0
    look: str = "unknown"
    smile: float = 0.0
    brows: float = 0.0
    valence: float = 0.0
    arousal: float = 0.0
    hand: str = ""
    age_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ParticipantHeard(Event):
    """How the participant said a turn, put into words as `text`, "" for nothing worth a word.

    `pitch_hz` is the median, `pitch_range` in semitones, `level_db` the loudness of the voiced parts,
    `syllables_per_s` the rate of articulation, `pauses` longer than 0.25 s, `fillers` filled pauses. `manner`
    are the words for it ("hesitant", "rushed", ...), `mismatch` what words and face or voice disagree in.
    """

    type: ClassVar[str] = "participant_heard"
    turn: int
    text: str
    pitch_hz: float = 0.0
    pitch_range: float = 0.0
    level_db: float = 0.0
    syllables_per_s: float = 0.0
    pauses: int = 0
    fillers: int = 0
    manner: list[str] = field(default_factory=list)
    mismatch: str = ""


@dataclass(frozen=True, kw_only=True)
class ScreenRead(Event):
    """What the participant's shared screen, or a scene, shows: `text`, from `source` ("ocr", "vision")."""

    type: ClassVar[str] = "screen_read"
    source: str
    text: str


@dataclass(frozen=True, kw_only=True)
class AwarenessAnswered(Event):
    """A question about picture or voice, answered again: `answer`, new since the last time."""

    type: ClassVar[str] = "awareness_answered"
    modality: Literal["vision", "audio"]
    query: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class PerceptionToolCalled(Event):
    """The condition of a tool of perception holds: an application is told, once.

    `frames` are JPEGs, for live events alone: they are never written into a journal.
    """

    type: ClassVar[str] = "perception_tool_called"
    modality: Literal["vision", "audio"]
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    frames: tuple[bytes, ...] = field(default=(), compare=False, metadata={"kept": False})


@dataclass(frozen=True, kw_only=True)
class PerceptionUnavailable(Event):
    """Something of perception does not work in this conversation, which goes on without: `why`."""

    type: ClassVar[str] = "perception_unavailable"
    why: str


@dataclass(frozen=True, kw_only=True)
class PerceptionAnalysed(Event):
    """The summary at the end, markdown: how the participant came across over the whole conversation."""

    type: ClassVar[str] = "perception_analysed"
    analysis: str


@dataclass(frozen=True, kw_only=True)
class SensitivityChanged(Event):
    """An application changed how long pauses are waited for and how easily the persona yields."""

    type: ClassVar[str] = "sensitivity_changed"
    patience: Level
    interruptibility: Level


@dataclass(frozen=True, kw_only=True)
class EngineFailed(Event):
    """An engine failed with `message` and the conversation goes on without its result.

    `layer` names one that listens ("stt", "llm", "turns"); `reply` is the reply that failed.
    """

    type: ClassVar[str] = "engine_failed"
    layer: str | None = None
    reply: int | None = None
    message: str


Shortage = Literal["face", "recognition", "voice"]
"""What a machine has too little time for."""


@dataclass(frozen=True, kw_only=True)
class Overloaded(Event):
    """The machine is too slow for what is `short`; `message` says so in one line, and what would help.

    At most once for each in a conversation.
    """

    type: ClassVar[str] = "overloaded"
    short: Shortage
    message: str


@dataclass(frozen=True, kw_only=True)
class FrameRateChanged(Event):
    """From now on the face is drawn `fps` times a second; between, frames are shown again."""

    type: ClassVar[str] = "frame_rate_changed"
    fps: float


# -- the participant ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class UserStartedSpeaking(Event):
    """A turn began with a voice at `at_s`. `overlap`: a reply was being spoken."""

    type: ClassVar[str] = "user_started_speaking"
    turn: int
    at_s: float
    overlap: bool


@dataclass(frozen=True, kw_only=True)
class UserPaused(Event):
    """The voice fell silent; in the waveform speech ended at `speech_end_s`."""

    type: ClassVar[str] = "user_paused"
    turn: int
    speech_end_s: float


@dataclass(frozen=True, kw_only=True)
class UserResumed(Event):
    """The voice came back at `at_s`, within the same turn."""

    type: ClassVar[str] = "user_resumed"
    turn: int
    at_s: float


@dataclass(frozen=True, kw_only=True)
class TranscriptPartial(Event):
    """The words of the turn so far, while it is being spoken; they may change."""

    type: ClassVar[str] = "transcript_partial"
    turn: int
    text: str


@dataclass(frozen=True, kw_only=True)
class TranscriptFinal(Event):
    """The words of the turn up to a pause."""

    type: ClassVar[str] = "transcript_final"
    turn: int
    text: str


@dataclass(frozen=True, kw_only=True)
class TranscriptLate(Event):
    """The final words did not come within `TurnThresholds.final_within_s`; `text` are the words so far."""

    type: ClassVar[str] = "transcript_late"
    turn: int
    text: str


@dataclass(frozen=True, kw_only=True)
class TurnScored(Event):
    """How likely the turn is over, 0 to 1, judged at a pause.

    Silence is not counted yet. `words` is the text's score and `voice` the turn model's, `signs` all that was
    weighed (`cvi/turns/floor_weights.yaml`); `usual_pause_s` is this person's median pause within a turn.
    """

    type: ClassVar[str] = "turn_scored"
    turn: int
    text: str
    completeness: float
    words: float | None = None
    voice: float | None = None
    signs: dict[str, float] = field(default_factory=dict)
    usual_pause_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class JudgeLate(Event):
    """The judge of `layer` did not answer within `TurnThresholds.judge_within_s` and was not waited for."""

    type: ClassVar[str] = "judge_late"
    layer: Literal["llm", "turns"]


@dataclass(frozen=True, kw_only=True)
class TurnCommitted(Event):
    """The turn is over and is answered by `reply`.

    `speech_start_s` and `speech_end_s` are times in the waveform, `silence_ms` lies between the latter and
    now. `draft_hit`: the reply had been drafted before.
    """

    type: ClassVar[str] = "turn_committed"
    turn: int
    reply: int
    text: str
    speech_start_s: float
    speech_end_s: float
    silence_ms: int
    completeness: float | None
    draft_hit: bool


@dataclass(frozen=True, kw_only=True)
class TurnTyped(Event):
    """A turn that was typed, or asked for by an application; `reply` answers it."""

    type: ClassVar[str] = "turn_typed"
    turn: int
    reply: int
    text: str


@dataclass(frozen=True, kw_only=True)
class TurnEmpty(Event):
    """A turn of `voice_s` seconds of voice in which no word was recognized; nothing answers it."""

    type: ClassVar[str] = "turn_empty"
    turn: int
    voice_s: float


@dataclass(frozen=True, kw_only=True)
class TurnReopened(Event):
    """The participant went on before anything of the answer was heard: the turn was not over."""

    type: ClassVar[str] = "turn_reopened"
    turn: int


@dataclass(frozen=True, kw_only=True)
class Backchannel(Event):
    """A voice of `voice_s` seconds during a reply was no interruption ("mhm"); the reply goes on."""

    type: ClassVar[str] = "backchannel"
    turn: int
    text: str
    voice_s: float


@dataclass(frozen=True, kw_only=True)
class EchoHeard(Event):
    """A voice of `voice_s` seconds during a reply was the reply's own, come back through the microphone."""

    type: ClassVar[str] = "echo_heard"
    turn: int
    text: str
    voice_s: float


@dataclass(frozen=True, kw_only=True)
class TurnUnanswered(Event):
    """The turn is over and gets no answer: the persona sleeps."""

    type: ClassVar[str] = "turn_unanswered"
    turn: int
    text: str
    speech_start_s: float
    speech_end_s: float


@dataclass(frozen=True, kw_only=True)
class WakePhraseDetected(Event):
    """The turn held the wake phrase: the persona answers from now on."""

    type: ClassVar[str] = "wake_phrase_detected"
    turn: int


@dataclass(frozen=True, kw_only=True)
class SleepPhraseDetected(Event):
    """The turn held the sleep phrase: the persona is silent from now on."""

    type: ClassVar[str] = "sleep_phrase_detected"
    turn: int


@dataclass(frozen=True, kw_only=True)
class SilenceBroken(Event):
    """Nobody has spoken for `silence_s`: the persona says something, in `reply`."""

    type: ClassVar[str] = "silence_broken"
    reply: int
    silence_s: float


@dataclass(frozen=True, kw_only=True)
class ListeningSignGiven(Event):
    """The persona shows in a pause of the participant that it listens; `text` is no reply."""

    type: ClassVar[str] = "listening_sign_given"
    turn: int
    text: str


@dataclass(frozen=True, kw_only=True)
class BargeIn(Event):
    """The persona yields to a voice that began at `voice_at_s`, during its reply."""

    type: ClassVar[str] = "barge_in"
    turn: int
    voice_at_s: float


# -- the persona's replies ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class DraftStarted(Event):
    """A reply to the turn's `text` is being made before the turn is over; nothing of it is heard."""

    type: ClassVar[str] = "draft_started"
    turn: int
    reply: int
    text: str


@dataclass(frozen=True, kw_only=True)
class DraftDiscarded(Event):
    """A draft ended unheard: the participant `resumed`, the text `changed`, the turn was `dropped`."""

    type: ClassVar[str] = "draft_discarded"
    reply: int
    reason: Literal["resumed", "changed", "dropped"]


@dataclass(frozen=True, kw_only=True)
class ReplyCommitted(Event):
    """The reply is being spoken from now on. `turn` is what it answers, None for a greeting."""

    type: ClassVar[str] = "reply_committed"
    reply: int
    turn: int | None


@dataclass(frozen=True, kw_only=True)
class ReplyGiven(Event):
    """An application gave the reply as sound, under a name of its own, `utterance`."""

    type: ClassVar[str] = "reply_given"
    reply: int
    utterance: str


@dataclass(frozen=True, kw_only=True)
class ReplyResumed(Event):
    """The reply says what is left of an `interrupted` one, since the voice that cut it held no word."""

    type: ClassVar[str] = "reply_resumed"
    reply: int
    interrupted: int


@dataclass(frozen=True, kw_only=True)
class ReplyBridged(Event):
    """The first clause is long in coming; `text` is said meanwhile and is no part of the reply."""

    type: ClassVar[str] = "reply_bridged"
    reply: int
    text: str


@dataclass(frozen=True, kw_only=True)
class ReplyOpener(Event):
    """The reply begins with `text`, which is no part of it, since its own words are predicted to need
    `predicted_wait_s` seconds more."""

    type: ClassVar[str] = "reply_opener"
    reply: int
    text: str
    predicted_wait_s: float


@dataclass(frozen=True, kw_only=True)
class ReplyAfterOpener(Event):
    """The first unit of the reply's own words is heard at `at_s`. `pause_s` is the longest silence since its
    opener began, in seconds: before them, or before what followed the opener."""

    type: ClassVar[str] = "reply_after_opener"
    reply: int
    at_s: float
    pause_s: float


@dataclass(frozen=True, kw_only=True)
class ReplyFirstToken(Event):
    """The language model wrote its first piece of text."""

    type: ClassVar[str] = "reply_first_token"
    reply: int


@dataclass(frozen=True, kw_only=True)
class ReplyFirstClause(Event):
    """The first clause, `text`, is ready to be spoken."""

    type: ClassVar[str] = "reply_first_clause"
    reply: int
    text: str


@dataclass(frozen=True, kw_only=True)
class ReplyFirstSpeech(Event):
    """The voice synthesized the first sound; it may still be behind the gate."""

    type: ClassVar[str] = "reply_first_speech"
    reply: int


@dataclass(frozen=True, kw_only=True)
class ReplyWritten(Event):
    """The language model has written all of the reply, `text`."""

    type: ClassVar[str] = "reply_written"
    reply: int
    text: str


@dataclass(frozen=True, kw_only=True)
class ReplyFirstAudio(Event):
    """The first audible sample of the reply reaches the ear at `at_s`."""

    type: ClassVar[str] = "reply_first_audio"
    reply: int
    at_s: float


@dataclass(frozen=True, kw_only=True)
class ReplyFirstFrame(Event):
    """The reply's first frame with a moving mouth is shown at `at_s`."""

    type: ClassVar[str] = "reply_first_frame"
    reply: int
    at_s: float


@dataclass(frozen=True, kw_only=True)
class ReplyHeard(Event):
    """What has been heard of the reply so far, `text`; written about once a second."""

    type: ClassVar[str] = "reply_heard"
    reply: int
    text: str


@dataclass(frozen=True, kw_only=True)
class ReplyDucked(Event):
    """The reply is spoken more quietly, since the participant may be interrupting."""

    type: ClassVar[str] = "reply_ducked"
    reply: int


@dataclass(frozen=True, kw_only=True)
class SpeechGap(Event):
    """The voice could not keep up: a unit in the middle of the reply is silent."""

    type: ClassVar[str] = "speech_gap"
    reply: int


@dataclass(frozen=True, kw_only=True)
class ReplyFinished(Event):
    """The reply, `text`, was heard to its end."""

    type: ClassVar[str] = "reply_finished"
    reply: int
    text: str


@dataclass(frozen=True, kw_only=True)
class ReplyInterrupted(Event):
    """The reply was cut; `heard` is the part of its text that was heard.

    `why`: "barge_in", "resumed", "replaced", "conversation_ended", "guardrail", or "asked" by an application.
    `audible`: any sound of it was heard. `silent_s` is when it fell silent at the ear, None when typed.
    """

    type: ClassVar[str] = "reply_interrupted"
    reply: int
    why: str
    heard: str
    audible: bool
    silent_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class MouthAtRest(Event):
    """After a cut, the mouth is first shown at rest at `at_s`."""

    type: ClassVar[str] = "mouth_at_rest"
    at_s: float


# -- events of other versions ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class UnknownEvent(Event):
    """An event of a type that this version does not know, as it stands in the file."""

    type: ClassVar[str] = ""
    name: str
    values: dict[str, Any]

    def data(self) -> dict[str, Any]:
        """The event's fields as they stand in the file."""
        return self.values

    def to_json(self) -> dict[str, Any]:
        """The event as it was read."""
        return {**super().to_json(), "type": self.name}


EVENT_TYPES: dict[str, type[Event]] = {
    kind.type: kind for kind in Event.__subclasses__() if kind is not UnknownEvent
}
"""Every event of this version by its name in the file."""


def event_from_json(line: dict[str, Any]) -> Event:
    """The event of one line of a journal. Fields that are not known are left out.

    Raises KeyError without `seq`, `t` or `type`, ValueError for fields of the wrong type or missing.
    """
    name, seq, t = line["type"], line["seq"], line["t"]
    if not isinstance(name, str) or not isinstance(seq, int) or not isinstance(t, int | float):
        raise ValueError("type, seq or t is of the wrong type")
    if name not in EVENT_TYPES:
        own = {key: value for key, value in line.items() if key not in ("seq", "t", "type")}
        return UnknownEvent(seq=seq, t=t, name=name, values=own)
    return _adapter(name).validate_python(line)


@cache
def _adapter(name: str) -> TypeAdapter[Event]:
    return TypeAdapter(EVENT_TYPES[name])


def _default(one: Any) -> Any:
    return one.default if one.default_factory is MISSING else one.default_factory()
