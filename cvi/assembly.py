"""From names to a running conversation: persona, replica and profile -> engines, built and warm.

The one place where layers, personas, profiles and replicas meet; the command line, the server and
the bench all start here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from cvi.conversation.history import History
from cvi.conversation.performance import Render
from cvi.conversation.settings import ConversationSettings, Layers
from cvi.engines import build
from cvi.errors import UsageError
from cvi.face.base import Controls, FaceEngine, FaceSettings, Frame
from cvi.face.replica import ReplicaCard, find_replica, load_replica_card
from cvi.face.sound_mouth import load_ear
from cvi.llm.base import LlmEngine, LlmSettings, Message, Sampling
from cvi.models.installed import find_installed, model_path
from cvi.models.profiles import EngineChoice, Profile, Resolution, resolve_profile
from cvi.persona.prompt import system_message
from cvi.persona.schema import Persona
from cvi.stt.base import SttSettings
from cvi.threads import NativeThread
from cvi.training.cloned_voice import spoken_clone, voice_of
from cvi.tts.base import TtsSettings
from cvi.turns.base import TurnModel, TurnModelSettings, VadSettings
from cvi.turns.thresholds import TurnThresholds

DEFAULT_REPLICA = "june"
# What a small model can hold without rambling; the rest of the settings is the persona's.
SMALL_MODEL_SENTENCES = 2
SMALL_MODEL_TOKENS = 90
# With what it once said before it, it says it again: it answers each turn from the examples alone.
SMALL_MODEL_TURNS = 0
LARGE_MODEL_SENTENCES = 8
LARGE_MODEL_TOKENS = 320


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part and with what, resolved and checked, nothing built yet."""

    persona: Persona
    replica: ReplicaCard
    profile: Profile
    note: str
    stt: EngineChoice
    llm: EngineChoice
    tts: EngineChoice
    face: EngineChoice

    @property
    def small_model(self) -> bool:
        """The language model is the one the package carries."""
        return self.llm.engine == "llama-cpp" and self.llm.model is None

    def facts(self) -> dict[str, object]:
        """What the journal's first event says of it."""
        return {
            "persona": self.persona.persona_name,
            "replica": self.replica.name,
            "profile": self.profile.name,
            "engines": {
                layer: getattr(self, layer).engine for layer in ("stt", "llm", "tts", "face")
            },
        }


def cast(
    persona: Persona,
    *,
    replica: str | None = None,
    profile: str = "auto",
    resolve: Callable[[str], Resolution] = resolve_profile,
) -> Cast:
    """Resolve names. The persona's own engines come first, the profile fills in what it leaves open.

    Raises MissingError and UsageError for what is not here.
    """
    wanted = persona.profile if profile == "auto" else profile
    resolution = resolve(wanted)
    if not persona.may_run_on(resolution.profile.name):
        raise UsageError(
            f"'{persona.persona_name}' must not run on the profile '{resolution.profile.name}': its model is "
            f"too small for what is at stake.",
            f"Get a better one with: cvi models pull {persona.least_profile}",
        )
    chosen = resolution.profile.choices
    layers = persona.layers
    card = load_replica_card(find_replica(replica or persona.default_replica_id or DEFAULT_REPLICA))

    def choose(layer: str, engine: str | None, model: str | None, voice: str | None = None) -> EngineChoice:
        default = chosen[layer]
        if engine is None or engine == default.engine:
            return EngineChoice(default.engine, _model(model) or default.model, voice or default.voice)
        return EngineChoice(engine, _model(model), voice)

    return Cast(
        persona=persona,
        replica=card,
        profile=resolution.profile,
        note=resolution.note,
        stt=choose("stt", layers.stt.local_engine, layers.stt.model),
        llm=choose("llm", layers.llm.local_engine, layers.llm.local_model),
        tts=_own_voice(persona, card)
        or choose("tts", layers.tts.local_engine, layers.tts.local_model, layers.tts.local_voice),
        face=EngineChoice(layers.face.engine or card.renderer),
    )


def _own_voice(persona: Persona, card: ReplicaCard) -> EngineChoice | None:
    """The person's cloned voice, where the replica has one that can be spoken and the persona names none."""
    tts = persona.layers.tts
    if tts.local_engine or tts.local_model or tts.local_voice:
        return None
    clone = spoken_clone(card, persona.language_code or "en")
    return None if clone is None else EngineChoice(clone[0], voice=clone[1])


def _model(name: str | None) -> str | None:
    """A model's path, if it is the id of an installed one; else as it stands."""
    if name is not None and find_installed(name) is not None:
        return str(model_path(name))
    return name


def conversation_settings(
    cast: Cast, conversation_id: str, *, conversational_context: str = "", greeting: str | None = None
) -> ConversationSettings:
    """How this cast converses. `greeting` replaces the persona's own, and words over it do not end it; ""
    for none."""
    persona = cast.persona
    flow, llm = persona.layers.conversational_flow, persona.layers.llm
    small = cast.small_model
    sampling = Sampling(max_tokens=llm.max_tokens or (SMALL_MODEL_TOKENS if small else LARGE_MODEL_TOKENS))
    if llm.temperature is not None:
        sampling = replace(sampling, temperature=llm.temperature)
    if llm.top_p is not None:
        sampling = replace(sampling, top_p=llm.top_p)
    return ConversationSettings(
        conversation_id=conversation_id,
        system=system_message(persona, conversational_context=conversational_context, small_model=small),
        greeting=(persona.greeting or "") if greeting is None else greeting,
        greeting_interruptible=greeting is None,
        language=persona.language_code or "en",
        persona_name=persona.spoken_name,
        thresholds=TurnThresholds().adapted(flow.turn_taking_patience, flow.replica_interruptibility),
        sampling=sampling,
        max_sentences=SMALL_MODEL_SENTENCES if small else LARGE_MODEL_SENTENCES,
        recent_turns=SMALL_MODEL_TURNS if small else None,
        prelude=tuple(_exchanges(persona, repeats=small)),
        speculative=llm.speculative_inference,
        judge_completeness=flow.uses_turn_model,
        echo=persona.pipeline_mode == "echo",
        facts=cast.facts(),
    )


def _exchanges(persona: Persona, repeats: bool) -> Iterator[Message]:
    """The persona's examples as messages. Only a very small model needs to be told twice."""
    told: set[str] = set()
    for example in persona.examples:
        if repeats or example.persona not in told:
            yield Message("user", example.user)
            yield Message("assistant", example.persona)
        told.add(example.persona)


@dataclass(slots=True)
class Studio:
    """Engines that are built and warm. `close` ends their threads."""

    layers: Layers
    face: FaceEngine | None
    _stage: NativeThread

    @property
    def render(self) -> Render:
        """Draws a frame on the face's own thread."""
        face = self.face
        assert face is not None, "this studio was built without a face"

        async def draw(controls: Controls) -> Frame:
            return await self._stage.run(lambda: face.render(controls))

        return draw

    async def close(self) -> None:
        if self.layers.turns is not None:
            self.layers.turns.close()
        await self.layers.llm.close()
        self.layers.stt.close()
        self.layers.tts.close()
        if self.face is not None:
            self.face.close()
        self._stage.close()


async def build_llm(cast: Cast) -> LlmEngine:
    """Only the language model, for typed conversations. Raises MissingError, EngineError."""
    engine: LlmEngine = await asyncio.to_thread(build, "llm", cast.llm.engine, _llm_settings(cast))
    return engine


async def build_studio(
    cast: Cast,
    settings: ConversationSettings,
    *,
    width: int = 1280,
    height: int = 720,
    fps: int = 25,
    background: str = "room",
    with_face: bool = True,
    progress: Callable[[str], None] = lambda step: None,
) -> Studio:
    """Build and warm every engine, side by side. `progress` is told each layer that is ready.

    `background` as in `FaceSettings`. Without a face the studio draws nothing.

    Raises MissingError, UsageError, EngineError; what was built by then is closed.
    """
    # A damaged one is told before any model is read; nobody needs it who is not seen.
    ear = load_ear(cast.replica.folder) if with_face else None
    stage = NativeThread("face")
    persona = cast.persona

    async def ready(layer: str, name: str, options: Any) -> Any:
        engine = await asyncio.to_thread(build, layer, name, options)
        if layer == "llm":
            history = History(settings.system, settings.recent_turns, settings.prelude)
            await engine.warm(history.recent)
        elif layer != "vad":
            await engine.warm()
        progress(layer)
        return engine

    async def draw() -> FaceEngine | None:
        if not with_face:
            return None
        face: FaceEngine = await stage.run(lambda: build("face", cast.face.engine, face_settings))
        await stage.run(lambda: face.render(Controls()))
        progress("face")
        return face

    async def hear_ends() -> TurnModel | None:
        choice = cast.profile.choices.get("turns")
        if choice is None:
            return None
        model: TurnModel = await ready("turns", choice.engine, TurnModelSettings(choice.model))
        return model

    face_settings = FaceSettings(cast.replica.folder, width, height, fps, background)
    language = persona.language_code or "en"
    tasks = [
        asyncio.create_task(ready("vad", "silero", VadSettings())),
        asyncio.create_task(ready("stt", cast.stt.engine, _stt_settings(cast, language))),
        asyncio.create_task(ready("llm", cast.llm.engine, _llm_settings(cast))),
        asyncio.create_task(ready("tts", cast.tts.engine, tts_settings(cast, language))),
        asyncio.create_task(draw()),
        asyncio.create_task(hear_ends()),
    ]
    done = await asyncio.gather(*tasks, return_exceptions=True)
    failures = [item for item in done if isinstance(item, BaseException)]
    if failures:
        for item in done:
            if not isinstance(item, BaseException) and hasattr(item, "close"):
                closing = item.close()
                if closing is not None:
                    await closing
        stage.close()
        raise failures[0]
    vad, stt, llm, tts, face, turns = done
    return Studio(Layers(vad, stt, llm, tts, turns, ear), face, stage)  # type: ignore[arg-type]


def _stt_settings(cast: Cast, language: str) -> SttSettings:
    layer = cast.persona.layers.stt
    there = layer.connection()
    return SttSettings(
        language=language,
        model=cast.stt.model,
        hotwords=layer.hotword_list,
        base_url=there.base_url,
        api_key=there.api_key,
        headers=tuple(there.headers.items()),
    )


def _llm_settings(cast: Cast) -> LlmSettings:
    layer = cast.persona.layers.llm
    there = layer.connection()
    return LlmSettings(
        model=cast.llm.model,
        base_url=there.base_url,
        api_key=there.api_key,
        headers=there.headers,
        extra_body=layer.extra_body,
        default_query={name: str(value) for name, value in layer.default_query.items()},
    )


def tts_settings(cast: Cast, language: str) -> TtsSettings:
    layer = cast.persona.layers.tts
    there = layer.connection()
    return TtsSettings(
        language=language,
        voice=cast.tts.voice or voice_of(cast.replica, cast.tts.engine),
        model=cast.tts.model,
        speed=layer.speed,
        pitch=layer.voice_settings.pitch,
        base_url=there.base_url,
        api_key=there.api_key,
        headers=tuple(there.headers.items()),
    )

