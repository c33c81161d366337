"""The engines of a persona and profile, one layer at a time, as `cvi.engines` would build them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from cvi.conversation.settings import ConversationSettings
from cvi.engine_registry import build
from cvi.engines import ResolvedConfig, build_llm, conversation_settings, resolve
from cvi.errors import UsageError
from cvi.llm.base import LlmEngine
from cvi.models.profiles import EngineChoice
from cvi.persona.loading import load_persona
from cvi.stt.base import SttEngine, SttSettings
from cvi.tts.base import TtsEngine, TtsSettings
from cvi.turns.base import TurnModel, TurnModelSettings, VadEngine, VadSettings


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asked for. `engine` and `model` replace the profile's own for one layer."""

    persona: str = "guide"
    profile: str = "auto"
    engine: str | None = None
    model: str | None = None
    voice: str | None = None


@dataclass(slots=True)
class Listeners:
    """What it takes to tell whose turn it is. `turn_model` is None where none is installed or wanted."""

    vad: VadEngine
    stt: SttEngine
    llm: LlmEngine
    turn_model: TurnModel | None
    settings: ConversationSettings
    names: dict[str, str] = field(default_factory=dict)

    async def close(self) -> None:
        await self.llm.close()
        self.stt.close()
        if self.turn_model is not None:
            self.turn_model.close()


def cast_of(wanted: Wanted) -> ResolvedConfig:
    """The persona and profile asked for. Raises MissingError, UsageError."""
    return resolve(load_persona(wanted.persona), profile=wanted.profile)


def layer_choice(wanted: Wanted, config: ResolvedConfig, layer: str) -> EngineChoice:
    """The engine of one layer: the profile's, or what was asked for."""
    own: EngineChoice = getattr(config, layer)
    if wanted.engine is None or wanted.engine == own.engine:
        return replace(own, model=wanted.model or own.model, voice=wanted.voice or own.voice)
    return EngineChoice(wanted.engine, wanted.model, wanted.voice)


async def build_stt(choice: EngineChoice, language: str = "en") -> SttEngine:
    engine: SttEngine = await asyncio.to_thread(
        build, "stt", choice.engine, SttSettings(language=language, model=choice.model)
    )
    return engine


async def build_tts(choice: EngineChoice, language: str = "en") -> TtsEngine:
    engine: TtsEngine = await asyncio.to_thread(
        build, "tts", choice.engine, TtsSettings(language=language, voice=choice.voice, model=choice.model)
    )
    return engine


def find_turn_model(wanted: Wanted, path: Path | None) -> Path | None:
    """The network's file: `path`, or the profile's own; None where there is none."""
    if path is not None:
        return path
    choice = cast_of(wanted).profile.choices.get("turns")
    return Path(choice.model) if choice is not None and choice.model is not None else None


@asynccontextmanager
async def listeners(wanted: Wanted, turn_model: Path | None) -> AsyncIterator[Listeners]:
    """Build and warm them; `turn_model` is the network's file, None for none.

    Raises MissingError, UsageError: an endpoint's answers cannot be waited for in simulated time.
    """
    config = cast_of(wanted)
    for layer in ("stt", "llm"):
        if getattr(config, layer).engine == "openai":
            raise UsageError(
                f"The {layer} layer of this persona is an endpoint, which cannot run in simulated time.",
                "Choose a persona or profile with local engines; `cvi bench latency` measures endpoints.",
            )
    settings = conversation_settings(config, "bench", greeting="")
    stt = await build_stt(config.stt, settings.language)
    llm = await build_llm(config)
    model: TurnModel | None = None
    if turn_model is not None:
        model = await asyncio.to_thread(build, "turns", "smart-turn", TurnModelSettings(str(turn_model)))
    vad: VadEngine = await asyncio.to_thread(build, "vad", "silero", VadSettings())
    names = {"vad": vad.name, "stt": stt.name, "llm": llm.name, "turns": model.name if model else "none"}
    found = Listeners(vad, stt, llm, model, settings, names)
    try:
        await stt.warm()
        if model is not None:
            await model.warm()
        yield found
    finally:
        await found.close()
