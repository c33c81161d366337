"""What a conversation's process is told to hold: its first line of standard input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cvi.errors import UsageError

LONGEST_LINE = 4 << 20


class Limits(BaseModel):
    """Seconds. How long it lasts, how long it waits for somebody, and for somebody's return."""

    max_call_duration_s: Annotated[float, Field(gt=0)] = 3600.0
    participant_absent_timeout_s: Annotated[float, Field(ge=0)] = 300.0
    participant_left_timeout_s: Annotated[float, Field(ge=0)] = 0.0


class Video(BaseModel):
    width: Annotated[int, Field(ge=64, le=3840, multiple_of=2)] = 1280
    height: Annotated[int, Field(ge=64, le=2160, multiple_of=2)] = 720
    fps: Annotated[int, Field(ge=10, le=60)] = 25


class Server(BaseModel):
    """A STUN or TURN server, as browsers write it."""

    urls: str | list[str]
    username: str | None = None
    credential: str | None = None


class Spec(BaseModel):
    """One conversation. `persona` is the document as it would stand in a file."""

    model_config = ConfigDict(extra="ignore")

    conversation_id: str
    persona: dict[str, Any]
    replica: str | None = None
    profile: str = "auto"
    conversational_context: str = ""
    custom_greeting: str | None = None
    dynamic_greeting: bool = False
    language: str | None = None
    audio_only: bool = False
    chat: bool = False
    recording: Path | None = None
    journal_folder: Path
    limits: Limits = Field(default_factory=Limits)
    ice_servers: list[Server] = Field(default_factory=list)
    video: Video = Field(default_factory=Video)
    greenscreen: bool = False
    test_mode: bool = False


def read_spec(line: str) -> Spec:
    """Raises UsageError that says what is wrong."""
    try:
        message = json.loads(line)
        if not isinstance(message, dict) or message.pop("type", None) != "start":
            raise UsageError("The first line must be a `start` message.")
        return Spec.model_validate(message)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{where}: {first['msg']}.") from None
    except ValueError:
        raise UsageError("The first line is not JSON.") from None
