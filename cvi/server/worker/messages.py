"""The messages between the server and the process of one conversation, checked on both ends.

The server's first message is `StartSession`, the worker's last one `Stopped` or `Failed`. An `Offer` is
answered by `Answer` or `Refused`, an `Interaction` by `Accepted` or `Refused`, with the same `id`. Durations
are seconds, timestamps Unix seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class SessionLimits(_Part):
    """How long a conversation lasts, and waits for a participant, at first and after each leave."""

    max_call_duration_s: Annotated[float, Field(gt=0)] = 3600.0
    participant_absent_timeout_s: Annotated[float, Field(ge=0)] = 300.0
    participant_left_timeout_s: Annotated[float, Field(ge=0)] = 0.0


class VideoFormat(_Part):
    """The persona's picture, in pixels and frames per second."""

    width: Annotated[int, Field(ge=64, le=3840, multiple_of=2)] = 1280
    height: Annotated[int, Field(ge=64, le=2160, multiple_of=2)] = 720
    fps: Annotated[int, Field(ge=10, le=60)] = 25


class IceServerEntry(_Part):
    """A STUN or TURN server, as browsers write it."""

    urls: str | list[str]
    username: str | None = None
    credential: str | None = None


class RememberedAs(_Part):
    """A memory of the participant: theirs with a persona, "" for one that any persona may share."""

    participant: str
    persona: str = ""
    owner: str


class StartSession(_Part):
    """One conversation to hold. `persona` is the document as it would stand in a file."""

    type: Literal["start"] = "start"
    conversation_id: str
    persona: dict[str, Any]
    replica: str | None = None
    replica_id: str | None = None
    """What events call it; None for its name."""
    profile: str = "auto"
    conversational_context: str = ""
    custom_greeting: str | None = None
    dynamic_greeting: bool = False
    language: str | None = None
    audio_only: bool = False
    chat: bool = False
    """Typed on both sides: no sound, no picture."""
    recording: Path | None = None
    journal_folder: Path
    resume: bool = False
    """It goes on from its journal, where there is one: the process before was lost."""
    limits: SessionLimits = Field(default_factory=SessionLimits)
    ice_servers: list[IceServerEntry] = Field(default_factory=list)
    video: VideoFormat = Field(default_factory=VideoFormat)
    greenscreen: bool = False
    private_hosts: tuple[str, ...] | None = None
    """Which private hosts the persona's addresses may lead to; None for any address at all."""
    tool_modules: list[str] = Field(default_factory=list)
    """Python modules whose functions may be tools."""
    remembered: list[RememberedAs] = Field(default_factory=list)
    mcp_commands: bool = False
    """Whether MCP servers may be started as programs."""


class Offer(_Part):
    """A participant's WebRTC offer; with `restart` an ICE restart of their connection that is still open."""

    type: Literal["offer"] = "offer"
    id: str
    participant_id: str
    participant_name: str = ""
    sdp: str
    restart: bool = False


class Interaction(_Part):
    """An event of the Interactions Protocol from the API. Without an `id` it is not answered."""

    type: Literal["interaction"] = "interaction"
    id: str = ""
    event: dict[str, Any]


class Leave(_Part):
    """A participant leaves."""

    type: Literal["leave"] = "leave"
    participant_id: str


class EndSession(_Part):
    """End the conversation; `reason` is what its shutdown event says."""

    type: Literal["end"] = "end"
    reason: str = "end_conversation_endpoint_hit"


class Loading(_Part):
    """The layers whose engines are not warm yet, in the order of the talk: stt, llm, tts, face."""

    type: Literal["loading"] = "loading"
    layers: list[str]


class Ready(_Part):
    """The engines are warm: participants may join."""

    type: Literal["ready"] = "ready"


class Begun(_Part):
    """Somebody has joined: what waited for that is carried out and in the journal."""

    type: Literal["begun"] = "begun"


class Answer(_Part):
    """The SDP that answers the offer `id`."""

    type: Literal["answer"] = "answer"
    id: str
    sdp: str


class Accepted(_Part):
    """The interaction `id` is carried out, or will be once somebody has joined."""

    type: Literal["accepted"] = "accepted"
    id: str


class Refused(_Part):
    """The offer or interaction `id` is not carried out: an HTTP status and what is wrong."""

    type: Literal["refused"] = "refused"
    id: str
    status: Annotated[int, Field(ge=400, lt=600)] = 400
    message: str


class Joined(_Part):
    """A participant is connected."""

    type: Literal["joined"] = "joined"
    participant_id: str


class Left(_Part):
    """A participant is gone."""

    type: Literal["left"] = "left"
    participant_id: str


class ProtocolEvent(_Part):
    """An event of the Interactions Protocol as participants receive it."""

    message_type: Literal["conversation", "system", "application"]
    event_type: str
    conversation_id: str
    seq: int
    timestamp: float
    turn_idx: int | None = None
    inference_id: str | None = None
    properties: dict[str, Any]


class LiveEvent(_Part):
    """Something happened in the conversation."""

    type: Literal["event"] = "event"
    event: ProtocolEvent


class TranscriptLine(_Part):
    """What one side said, times in seconds; `inference_id` is that of the persona's live events."""

    role: str
    content: str
    timestamp: float
    seconds_from_start: float
    duration: float
    inference_id: str | None = None


class Stopped(_Part):
    """The conversation has ended in good order."""

    type: Literal["stopped"] = "stopped"
    reason: str
    transcript: list[TranscriptLine] = Field(default_factory=list)
    recording: Path | None = None
    facts: dict[str, Any] = Field(default_factory=dict)
    """Figures about the playout and the recording."""


class SessionFailed(_Part):
    """The conversation could not be held, or broke off."""

    type: Literal["failed"] = "failed"
    message: str


ServerMessage = Annotated[
    StartSession | Offer | Interaction | Leave | EndSession, Field(discriminator="type")
]
WorkerMessage = Annotated[
    Loading
    | Ready
    | Begun
    | Answer
    | Accepted
    | Refused
    | Joined
    | Left
    | LiveEvent
    | Stopped
    | SessionFailed,
    Field(discriminator="type"),
]
SERVER_MESSAGES: TypeAdapter[ServerMessage] = TypeAdapter(ServerMessage)
WORKER_MESSAGES: TypeAdapter[WorkerMessage] = TypeAdapter(WorkerMessage)
