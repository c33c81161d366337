"""The Interactions Protocol from the client to the persona: events are checked, then carried out.

Shapes and names are those of the contract's section 9.1. The API and the worker both read events with
`read_command`; nothing of an event is trusted.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from cvi.audio.block import Pcm
from cvi.errors import UsageError
from cvi.turns.thresholds import Level
from cvi.untrusted import size_of, valid_json, valid_text

MAX_MESSAGE_CHARS = 256 * 1024
MAX_TEXT_CHARS = 10_000
MAX_DEPTH = 40
MAX_CONTEXT_CHARS = 100_000
RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
EVENT_TYPES = (
    "conversation.echo",
    "conversation.respond",
    "conversation.interrupt",
    "conversation.overwrite_llm_context",
    "conversation.append_llm_context",
    "conversation.sensitivity",
    "conversation.tool_result",
)
NO_TOOL_CALL = "No tool call waits for a result."
# Eager about pauses is little patience.
_PATIENCE: dict[str, Level] = {
    "superlow": "high", "verylow": "high", "low": "high", "medium": "medium", "auto": "medium", "high": "low",
}  # fmt: skip
_INTERRUPTIBILITY: dict[str, Level] = {
    "superlow": "low", "verylow": "low", "low": "low", "medium": "medium", "auto": "medium", "high": "high",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Echo:
    """Speak exactly this."""

    text: str


@dataclass(frozen=True, slots=True)
class EchoSound:
    """Speak this sound: int16 mono at `rate_hz`. `done` ends the utterance `inference_id`."""

    pcm: Pcm
    rate_hz: int
    inference_id: str
    done: bool


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer this, as if the participant had said it."""

    text: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop speaking."""


@dataclass(frozen=True, slots=True)
class Context:
    """Replace what is known of this conversation, or add to it."""

    text: str
    replace: bool


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How soon a pause ends the turn, and how easily the persona yields; None leaves as it is."""

    patience: Level | None
    interruptibility: Level | None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool that runs at the client has answered. `output` is text or JSON."""

    tool_call_id: str
    output: Any
    ok: bool


Command = Echo | EchoSound | Respond | Interrupt | Context | Sensitivity | ToolResult


class CommandTarget(Protocol):
    """The conversation, as far as commands need it."""

    def say(self, text: str) -> object:
        """Speak a text."""

    def play(self, pcm: Pcm, rate_hz: int, utterance: str, *, done: bool) -> None:
        """Speak a sound, int16 mono; `done` ends the utterance."""

    def respond(self, text: str) -> object:
        """Answer a text as if the participant had said it."""

    def interrupt(self, why: str = "asked") -> None:
        """Stop speaking."""

    def replace_context(self, text: str) -> None:
        """Replace what is known of this conversation."""

    def append_context(self, text: str) -> None:
        """Add to what is known of this conversation."""

    def tool_result(self, call_id: str, output: object, ok: bool) -> None:
        """Give a tool's answer. Raises UsageError where no such call waits."""

    def adjust(self, patience: Level, interruptibility: Level) -> None:
        """Set patience with pauses and readiness to yield."""


def read_command(message: str | dict[str, Any]) -> Command:
    """A client's event as a command. Raises UsageError that says what is wrong with it."""
    event = _object(message)
    kind, properties = event.get("event_type"), event.get("properties", {})
    if not isinstance(properties, dict):
        raise UsageError("`properties` must be an object.")
    match kind:
        case "conversation.echo":
            return _echo(properties)
        case "conversation.respond":
            return Respond(_text(properties, "text", MAX_TEXT_CHARS))
        case "conversation.interrupt":
            return Interrupt()
        case "conversation.overwrite_llm_context":
            return Context(_text(properties, "context", MAX_CONTEXT_CHARS, empty=True), replace=True)
        case "conversation.append_llm_context":
            return Context(_text(properties, "context", MAX_CONTEXT_CHARS), replace=False)
        case "conversation.sensitivity":
            return _sensitivity(properties)
        case "conversation.tool_result":
            status = properties.get("status", "success")
            if status not in ("success", "error"):
                raise UsageError("`status` must be 'success' or 'error'.")
            call = _text(properties, "tool_call_id", 200)
            return ToolResult(call, _json(properties.get("output")), status == "success")
    raise UsageError(f"'{str(kind)[:80]}' is no event this server takes.")


class CommandHandler:
    """Carries out one conversation's commands. `patience` and `interruptibility` are the persona's own."""

    def __init__(self, conversation: CommandTarget, patience: Level, interruptibility: Level) -> None:
        self._conversation = conversation
        self._patience, self._interruptibility = patience, interruptibility

    def carry_out(self, command: Command) -> None:
        """Do what is asked. Raises UsageError for what this server cannot do."""
        conversation = self._conversation
        match command:
            case Echo(text):
                conversation.say(text)
            case Respond(text):
                conversation.respond(text)
            case Interrupt():
                conversation.interrupt("asked")
            case Context(text, replace):
                (conversation.replace_context if replace else conversation.append_context)(text)
            case Sensitivity(patience, interruptibility):
                self._patience = patience or self._patience
                self._interruptibility = interruptibility or self._interruptibility
                conversation.adjust(self._patience, self._interruptibility)
            case EchoSound(pcm, rate_hz, utterance, done):
                conversation.play(pcm, rate_hz, utterance, done=done)
            case ToolResult(call_id, output, ok):
                conversation.tool_result(call_id, output, ok)


def unsupported(command: Command, *, typed: bool, begun: bool) -> str | None:
    """Why a conversation cannot carry it out, as far as that can be told without asking it; else None."""
    if typed and isinstance(command, Echo | EchoSound):
        return "A typed conversation has no voice to echo with. Use `conversation.respond`."
    return NO_TOOL_CALL if isinstance(command, ToolResult) and not begun else None


def _object(message: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(message, str):
        if len(message) > MAX_MESSAGE_CHARS:
            raise UsageError(f"A message has at most {MAX_MESSAGE_CHARS} characters.")
        try:
            message = valid_json(message, MAX_DEPTH)
        except (ValueError, RecursionError):
            raise UsageError("The message is not JSON, or nested too deep.") from None
        if isinstance(message, str):  # some clients encode twice
            return _object(message if message.lstrip().startswith("{") else {})
    if not isinstance(message, dict):
        raise UsageError("The message must be a JSON object.")
    if size_of(message).depth > MAX_DEPTH:
        raise UsageError(f"A message is nested {MAX_DEPTH} levels deep at most.")
    return message


def _text(properties: dict[str, Any], name: str, most: int, *, empty: bool = False) -> str:
    value = properties.get(name)
    if not isinstance(value, str) or (not value.strip() and not empty):
        others = ", ".join(f"`{key[:40]}`" for key in properties if name not in properties)
        raise UsageError(f"`properties.{name}` must be a text." + (f" Given: {others}." if others else ""))
    if len(value) > most:
        raise UsageError(f"`properties.{name}` has at most {most} characters.")
    return valid_text(value).strip()


def _echo(properties: dict[str, Any]) -> Command:
    if properties.get("modality", "text") == "text":
        return Echo(_text(properties, "text", MAX_TEXT_CHARS))
    if properties["modality"] != "audio":
        raise UsageError("`modality` must be 'text' or 'audio'.")
    rate = properties.get("sample_rate", 24_000)
    if not isinstance(rate, int) or rate not in RATES_HZ:
        raise UsageError(f"`sample_rate` must be one of {', '.join(map(str, RATES_HZ))}.")
    data = properties.get("audio", "")
    try:
        raw = base64.b64decode(data, validate=True) if isinstance(data, str) else b"-"
    except ValueError:  # no base64, or no ASCII
        raise UsageError("`audio` must be base64.") from None
    if len(raw) % 2:
        raise UsageError("`audio` must be 16-bit samples, mono.")
    done = properties.get("done") in (True, "true", "True")
    if not raw and not done:
        raise UsageError("`audio` is empty.")
    return EchoSound(np.frombuffer(raw, "<i2"), rate, str(properties.get("inference_id", ""))[:200], done)


def _sensitivity(properties: dict[str, Any]) -> Sensitivity:
    pause = properties.get("participant_pause_sensitivity")
    interrupt = properties.get("participant_interrupt_sensitivity")
    if pause is None and interrupt is None:
        raise UsageError("Give `participant_pause_sensitivity` or `participant_interrupt_sensitivity`.")
    return Sensitivity(_level(pause, _PATIENCE), _level(interrupt, _INTERRUPTIBILITY))


def _level(value: Any, levels: dict[str, Level]) -> Level | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in levels:
        raise UsageError(f"A sensitivity is one of {', '.join(levels)}.")
    return levels[value]


def _json(value: Any) -> Any:
    """Output as JSON where it is JSON in a string, else as it stands."""
    if isinstance(value, str):
        try:
            return valid_json(value, MAX_DEPTH)
        except (ValueError, RecursionError):
            return value
    return value
