"""The layers of a persona: which engine does each stage, and how it behaves.

Field names are the wire contract's; `engine`, `model` and `voice` are ours. Names of hosted engines
and models are accepted and stand for the local default, so that a file written for the contract runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator

from cvi.endpoints.address import address_fault
from cvi.persona.section import Headers, Parameters, Secret, Section, expand, rule_broken

Level = Literal["low", "medium", "high"]
Pace = Annotated[float, Field(ge=0.5, le=2.0)]

HOSTED_MODEL_PREFIX = "tavus-"
HOSTED_STT_PREFIX = "tavus-"
HOSTED_TTS = ("cartesia", "elevenlabs", "azure", "playht")
_SPEED_WORDS = {"slowest": 0.7, "slow": 0.85, "normal": 1.0, "fast": 1.15, "fastest": 1.3}


def _unhyphened(value: Any) -> Any:
    return "timebased" if value == "time-based" else value


def _is_on(value: str | None) -> bool:
    return (value or "off").strip().lower() not in ("off", "none", "no", "false", "disabled", "low")


@dataclass(frozen=True, slots=True)
class EndpointConnection:
    """Where an endpoint is, with `${NAME}` expanded. Its repr shows no secret."""

    base_url: str | None
    api_key: str | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class Endpoint(Section):
    """A layer that may be an OpenAI-compatible endpoint."""

    base_url: str | None = None
    """Address of an OpenAI-compatible API, without the route: http://127.0.0.1:8080/v1"""
    api_key: Secret | None = None
    """The endpoint's key. Write `${NAME}` to read it from the environment."""
    headers: Headers = Field(default_factory=dict)
    """Extra HTTP headers; values may hold `${NAME}`."""

    @field_validator("base_url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is None or url.startswith("${"):
            return url
        fault = address_fault(url)
        if fault:
            raise rule_broken(*fault)
        return url

    def connection(self) -> EndpointConnection:
        """The endpoint with its secrets read from the environment now. Raises `UsageError`."""
        return EndpointConnection(
            base_url=expand(self.base_url) if self.base_url else None,
            api_key=expand(self.api_key.get_secret_value()) if self.api_key else None,
            headers={name: expand(value.get_secret_value()) for name, value in self.headers.items()},
        )


class Perception(Endpoint):
    """What the persona notices about the participant. With a `base_url`, or the engine `llama-cpp`, a
    vision-language model understands the pictures too."""

    other_spellings: ClassVar = {
        "ambient_awareness_queries": "visual_awareness_queries",
        "perception_tool_prompt": "visual_tool_prompt",
        "tool_prompt": "visual_tool_prompt",
        "perception_tools": "visual_tools",
    }

    engine: str | None = None
    """`llama-cpp` for a vision-language model on this machine; with `base_url` it is openai."""
    model: str | None = None
    """The vision-language model: an installed model's name, a GGUF file with its mmproj*.gguf beside it, or
    the name at the endpoint."""
    perception_model: Literal["raven-1", "raven-0", "basic", "off"] = "raven-1"
    """`off` turns seeing off; the other names stand for the local engine."""
    visual_awareness_queries: list[str] = Field(default_factory=list)
    """Questions answered again and again from the camera picture."""
    audio_awareness_queries: list[str] = Field(default_factory=list)
    """Questions answered again and again from the participant's voice."""
    visual_tool_prompt: str | None = None
    audio_tool_prompt: str | None = None
    visual_tools: list[dict[str, Any]] = Field(default_factory=list)
    audio_tools: list[dict[str, Any]] = Field(default_factory=list)
    perception_analysis_queries: list[str] = Field(default_factory=list)
    """Questions answered in the summary at the end."""

    @property
    def local_engine(self) -> str | None:
        """The engine that understands pictures; None where there is none."""
        return self.engine or ("openai" if self.base_url else None)


class Stt(Endpoint):
    """How the participant's speech becomes text."""

    other_spellings: ClassVar = {"stt_engine": "engine"}

    engine: str | None = None
    """pocketsphinx, faster-whisper, openai, ...; hosted names stand for the profile's engine."""
    model: str | None = None
    """The engine's model, by name or path."""
    hotwords: str | None = None
    """Words to expect, separated by commas or line breaks."""

    @property
    def local_engine(self) -> str | None:
        """The engine to build; None leaves it to the profile."""
        if self.engine is None or self.engine.startswith(HOSTED_STT_PREFIX):
            return "openai" if self.base_url else None
        return self.engine

    @property
    def hotword_list(self) -> tuple[str, ...]:
        """The hotwords, one an item."""
        lines = (self.hotwords or "").replace("\n", ",").split(",")
        return tuple(word.strip() for word in lines if word.strip())


class ConversationalFlow(Section):
    """Whose floor it is: when the persona answers, yields and breaks a silence."""

    other_spellings: ClassVar = {
        "pal_interruptibility": "replica_interruptibility",
        "face_interruptibility": "replica_interruptibility",
    }

    turn_detection_model: Annotated[
        Literal["sparrow-2", "sparrow-1", "sparrow-0", "timebased"], BeforeValidator(_unhyphened)
    ] = "sparrow-1"
    """`timebased` waits for silence alone; the other names stand for the local turn model."""
    turn_taking_patience: Level = "medium"
    """`low` answers eagerly, `high` leaves long pauses to the participant."""
    replica_interruptibility: Level = "medium"
    """`low` keeps talking when the participant speaks, `high` yields to the first word."""
    voice_isolation: Literal["off", "near"] = "near"
    wake_phrase: str | None = None
    """Silent until this is heard."""
    sleep_phrase: str | None = None
    """Silent again once this is heard."""
    idle_engagement: Literal["off", "patient", "eager"] = "off"
    """Whether the persona speaks again when the participant stays silent."""
    turn_commitment: str | None = None
    """How sure it must be that a turn is over: `low`, `medium`, `high`; anything else is medium."""
    active_listening: str | None = None
    """Whether it says "uh-huh" while the participant talks at length: anything but `off` and its like."""
    noise_cancellation: str | None = None
    """Whether steady noise is lowered in the participant's sound: anything but `off` and its like."""

    neutral_openers: bool | None = None
    """Whether a reply that is long in coming begins with a neutral word ("Well,"). Unset: yes, but not with
    the very small model."""

    @property
    def commitment(self) -> Level:
        """`turn_commitment` as one of our levels."""
        given = (self.turn_commitment or "").strip().lower()
        return "low" if given == "low" else "high" if given == "high" else "medium"

    @property
    def listens_actively(self) -> bool:
        """Whether the persona gives signs of listening."""
        return _is_on(self.active_listening)

    @property
    def cancels_noise(self) -> bool:
        """Whether steady noise is lowered."""
        return _is_on(self.noise_cancellation)

    @property
    def uses_turn_model(self) -> bool:
        """Whether the ends of turns are judged by more than silence."""
        return self.turn_detection_model != "timebased"


class Llm(Endpoint):
    """What thinks."""

    engine: str | None = None
    """llama-cpp, openai, ...; with `base_url` it is openai unless said otherwise."""
    model: str | None = None
    """A GGUF path, an installed model's name, or the endpoint's model name."""
    extra_body: Parameters = Field(default_factory=dict)
    """Merged into each request. temperature, top_p and max_tokens also guide a local model."""
    default_query: Annotated[Parameters, "strings"] = Field(default_factory=dict)
    """Appended to the endpoint's address as a query string."""
    speculative_inference: bool = True
    """Draft replies before the turn has ended."""

    @property
    def local_engine(self) -> str | None:
        """The engine to build; None leaves it to the profile."""
        return self.engine or ("openai" if self.base_url else None)

    @property
    def local_model(self) -> str | None:
        """The model to run; None, for hosted names too, is the engine's own default."""
        hosted = self.model is not None and self.model.startswith(HOSTED_MODEL_PREFIX)
        return None if hosted and not self.base_url else self.model

    @property
    def temperature(self) -> float | None:
        """The sampling temperature in `extra_body`, None for the default."""
        return self._number("temperature")

    @property
    def top_p(self) -> float | None:
        """The sampling top-p in `extra_body`, None for the default."""
        return self._number("top_p")

    @property
    def max_tokens(self) -> int | None:
        """The longest reply in `extra_body`, None for the default."""
        value = self._number("max_tokens")
        return None if value is None else int(value)

    def _number(self, name: str) -> float | None:
        value = self.extra_body.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    @field_validator("extra_body")
    @classmethod
    def _plausible(cls, body: dict[str, Any]) -> dict[str, Any]:
        for name, least, most in (("temperature", 0, 2), ("top_p", 0, 1), ("max_tokens", 1, 100_000)):
            value = body.get(name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (number and least <= value <= most):
                raise rule_broken(
                    f"{name} is not a number from {least} to {most}", f"Correct it, or remove {name}.", name
                )
        return body


class VoiceSettings(Section):
    """How the voice speaks."""

    speed: Pace | Literal["slowest", "slow", "normal", "fast", "fastest"] = 1.0
    """1.0 is the voice's own pace; 0.5 to 2.0, or slowest, slow, normal, fast, fastest."""
    pitch: Pace = 1.0
    """1.0 is the voice's own pitch, where the engine can change it."""


class Tts(Endpoint):
    """How text becomes speech."""

    other_spellings: ClassVar = {"tts_engine": "engine", "tts_model_name": "model"}

    engine: str | None = None
    """espeak, flite, piper, openai, ...; hosted names stand for the profile's engine."""
    model: str | None = None
    """The engine's model, by name or path."""
    voice: str | None = None
    """The engine's name for a voice; the replica's own voice when it is left out."""
    external_voice_id: str | None = None
    """The contract's name for `voice`. An id of a hosted engine is ignored by a local one."""
    voice_settings: VoiceSettings = Field(default_factory=VoiceSettings)
    tts_emotion_control: bool = True
    """Whether the reply's emotion may colour voice and face."""
    pronunciation_dictionary_id: str | None = None

    @property
    def hosted(self) -> bool:
        """Whether the engine is a hosted one of the contract, for which a local one stands in."""
        return self.engine in HOSTED_TTS or (self.engine or "").startswith(HOSTED_MODEL_PREFIX)

    @property
    def local_engine(self) -> str | None:
        """The engine to build; None leaves it to the profile."""
        if self.engine is None or self.hosted:
            return "openai" if self.base_url else None
        return self.engine

    @property
    def local_voice(self) -> str | None:
        """The voice to use; None is the replica's, or the engine's default."""
        return self.voice or (self.external_voice_id if self.local_engine else None)

    @property
    def local_model(self) -> str | None:
        """The model to use; None is the engine's default."""
        return self.model if self.local_engine else None

    @property
    def speed(self) -> float:
        """The voice's pace as a factor."""
        speed = self.voice_settings.speed
        return _SPEED_WORDS[speed] if isinstance(speed, str) else speed


class Face(Section):
    """What draws the replica."""

    engine: str | None = None
    """sculpted, ...; the replica chooses when it is left out."""


class Layers(Section):
    """The stages of a conversation; what is left out is the profile's choice."""

    perception: Perception = Field(default_factory=Perception)
    stt: Stt = Field(default_factory=Stt)
    conversational_flow: ConversationalFlow = Field(default_factory=ConversationalFlow)
    llm: Llm = Field(default_factory=Llm)
    tts: Tts = Field(default_factory=Tts)
    face: Face = Field(default_factory=Face)
