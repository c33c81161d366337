"""From names to built engines: where persona, profile and replica meet.

`resolve` turns the names into a `ResolvedConfig` (nothing is built yet), `conversation_settings` into how the
conversation behaves, `build_engine_set` builds and warms the engines. The command line, the server and the
bench all start here; `cvi.engine_registry` finds one engine by its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, cast

from cvi.conversation.events import ConversationFacts, DisclosureGiven
from cvi.conversation.history import History
from cvi.conversation.listening_signs import make_listening_signs
from cvi.conversation.openers import make_openers
from cvi.conversation.phrases import phrases
from cvi.conversation.playout import Render
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.engine_registry import build
from cvi.errors import EngineError, MissingError, UsageError
from cvi.face.base import Controls, FaceEngine, FaceSettings
from cvi.face.replica import ReplicaCard, find_replica, load_replica_card
from cvi.face.sound_mouth import load_mouth_network
from cvi.llm.base import LlmEngine, LlmSettings, Message, Sampling
from cvi.llm.clauses import Clause, ClauseSplitter
from cvi.llm.judge import JudgedLlm
from cvi.media.frames import Frame
from cvi.models.installed import find_installed, is_model_id, model_path
from cvi.models.manifest import find_model
from cvi.models.profiles import EngineChoice, Profile, Resolution, resolve_profile
from cvi.persona.disclosure import Disclosure
from cvi.persona.prompt import context_message, system_message
from cvi.persona.schema import Persona
from cvi.stt.base import SttSettings
from cvi.threads import NativeThread
from cvi.training.package.cloned_voice import spoken_clone, voice_of
from cvi.tts.base import PhraseVoice, TtsEngine, TtsSettings
from cvi.turns.base import TurnModelSettings, VadSettings
from cvi.turns.thresholds import TurnThresholds

DEFAULT_REPLICA = "june"
# A small model rambles beyond these; the rest of the settings is the persona's.
SMALL_MODEL_SENTENCES = 2
SMALL_MODEL_TOKENS = 90
# A small model repeats its earlier answers, so it is given none of them: only the persona's examples.
SMALL_MODEL_TURNS = 0
LARGE_MODEL_SENTENCES = 6
_FIRST_QUESTION = "Hello, what can you tell me?"
JUDGE_CONTEXT_TOKENS = 1024
LARGE_MODEL_TOKENS = 320


@dataclass(frozen=True, slots=True)
class ResolvedConfig:
    """Persona, replica, profile and the engine of each layer, checked; nothing is built yet.

    `note` is one line for the user about the choice of profile, "" for none.
    """

    persona: Persona
    replica: ReplicaCard
    profile: Profile
    note: str
    stt: EngineChoice
    llm: EngineChoice
    tts: EngineChoice
    face: EngineChoice
    private_hosts: tuple[str, ...] | None = None
    """Which private hosts the persona's addresses may lead to (`OutboundPolicy`); None for any address: the
    persona is a file of this machine's user."""

    @property
    def small_model(self) -> bool:
        """Whether the language model is the one that comes with the package."""
        return self.llm.engine == "llama-cpp" and self.llm.model is None

    @property
    def language(self) -> str:
        """The two-letter code of the conversation's language."""
        return self.persona.language_code or "en"

    def facts(self) -> ConversationFacts:
        """The names of persona, replica, profile and engines, for the journal's first event."""
        return ConversationFacts(
            persona=self.persona.persona_name,
            replica=self.replica.name,
            profile=self.profile.name,
            engines={layer: getattr(self, layer).engine for layer in ("stt", "llm", "tts", "face")},
        )


def resolve(
    persona: Persona,
    *,
    replica: str | None = None,
    profile: str = "auto",
    profile_of: Callable[[str], Resolution] = resolve_profile,
    private_hosts: tuple[str, ...] | None = None,
) -> ResolvedConfig:
    """Choose replica, profile and engines. The persona's own engines come first, the profile's fill the rest.

    For the language model that comes with the package, the persona's texts for very small models are taken.

    Raises MissingError for a replica, model or package that is not here, UsageError for an unknown name and
    for a persona that may not run on the profile.
    """
    resolution = profile_of(persona.profile if profile == "auto" else profile)
    if not persona.may_run_on(resolution.profile.name):
        raise UsageError(
            f"'{persona.persona_name}' must not run on the profile '{resolution.profile.name}': "
            f"{persona.why_not_on(resolution.profile.name)}.",
            f"Get a better one with: cvi models pull {persona.better_profile}",
        )
    defaults = resolution.profile.choices
    layers = persona.layers
    card = load_replica_card(find_replica(replica or persona.default_replica_id or DEFAULT_REPLICA))

    def choose(layer: str, engine: str | None, model: str | None, voice: str | None = None) -> EngineChoice:
        default = defaults[layer]
        if engine is None or engine == default.engine:
            return EngineChoice(
                default.engine, installed_path(model) or default.model, voice or default.voice
            )
        return EngineChoice(engine, installed_path(model), voice)

    config = ResolvedConfig(
        persona=persona,
        replica=card,
        profile=resolution.profile,
        note=resolution.note,
        stt=choose("stt", layers.stt.local_engine, layers.stt.model),
        llm=choose("llm", layers.llm.local_engine, layers.llm.local_model),
        tts=_cloned_voice(persona, card)
        or choose("tts", layers.tts.local_engine, layers.tts.local_model, layers.tts.local_voice),
        face=EngineChoice(layers.face.engine or card.renderer),
        private_hosts=private_hosts,
    )
    config = _with_own_voice(config)
    return replace(config, persona=persona.for_small_model()) if config.small_model else config


def _cloned_voice(persona: Persona, card: ReplicaCard) -> EngineChoice | None:
    """The replica's cloned voice, where it has one that can be spoken and the persona names no voice."""
    tts = persona.layers.tts
    if tts.local_engine or tts.local_model or tts.local_voice:
        return None
    clone = spoken_clone(card, persona.language_code or "en")
    return None if clone is None else EngineChoice(clone[0], voice=clone[1])


def _with_own_voice(config: ResolvedConfig) -> ResolvedConfig:
    """With the model that the replica's card names as its voice, where the persona names none; where it is
    not installed, a note says so."""
    tts, own = config.persona.layers.tts, _voice_model(config)
    if own is None or config.language != "en" or tts.local_model or tts.local_voice:
        return config
    if find_installed(own) is None:
        note = f"{config.replica.name} speaks with a voice of the profile; their own: cvi models pull {own}"
        return replace(config, note=f"{config.note} {note}".strip())
    return replace(config, tts=replace(config.tts, model=str(model_path(own))))


def _voice_model(config: ResolvedConfig) -> str | None:
    """The manifest's model that is the replica's voice with the chosen engine."""
    voice = config.replica.voices.get(config.tts.engine)
    return voice if voice is not None and find_model(voice) is not None else None


def installed_path(name: str | None) -> str | None:
    """The path of an installed model, where `name` is the id of one; else `name`."""
    if name is not None and is_model_id(name) and find_installed(name) is not None:
        return str(model_path(name))
    return name


def conversation_settings(
    config: ResolvedConfig,
    conversation_id: str,
    *,
    conversational_context: str = "",
    greeting: str | None = None,
    typed: bool = False,
) -> ConversationSettings:
    """The settings of a spoken or `typed` conversation from persona and model size.

    `conversational_context` is what the model is told behind the system message. `greeting` replaces the
    persona's own and cannot be interrupted; "" is no greeting. A spoken disclosure stands before either.
    """
    persona = config.persona
    flow, llm = persona.layers.conversational_flow, persona.layers.llm
    small = config.small_model
    told = persona.disclosure
    opening = (persona.greeting or "") if greeting is None else greeting
    sampling = Sampling(max_tokens=llm.max_tokens or (SMALL_MODEL_TOKENS if small else LARGE_MODEL_TOKENS))
    if llm.temperature is not None:
        sampling = replace(sampling, temperature=llm.temperature)
    if llm.top_p is not None:
        sampling = replace(sampling, top_p=llm.top_p)
    return ConversationSettings(
        conversation_id=conversation_id,
        system=system_message(persona, small_model=small, typed=typed),
        context=context_message(persona, conversational_context, small_model=small),
        greeting=f"{told.verbal} {opening}".strip(),
        greeting_interruptible=greeting is None and not told.verbal,
        language=config.language,
        persona_name=persona.spoken_name,
        thresholds=TurnThresholds().adapted(
            flow.turn_taking_patience, flow.replica_interruptibility, flow.commitment
        ),
        wake_phrase=flow.wake_phrase or "",
        sleep_phrase=flow.sleep_phrase or "",
        idle_engagement=flow.idle_engagement,
        voice_isolation=flow.voice_isolation == "near",
        noise_cancellation=flow.cancels_noise,
        active_listening=flow.listens_actively,
        sampling=sampling,
        max_sentences=SMALL_MODEL_SENTENCES if small else LARGE_MODEL_SENTENCES,
        recent_turns=SMALL_MODEL_TURNS if small else None,
        prelude=tuple(_examples(persona, repeats=small)),
        openers=not small if flow.neutral_openers is None else flow.neutral_openers,
        speculative=llm.speculative_inference,
        judge_completeness=flow.uses_turn_model,
        phrases=phrases(config.language),
        echo=persona.pipeline_mode == "echo",
        disclosures=tuple(_disclosures(told, persona.policy)),
        facts=config.facts(),
    )


def _disclosures(told: Disclosure, policy: str) -> Iterator[DisclosureGiven]:
    if told.verbal:
        yield DisclosureGiven(kind="verbal", text=told.verbal, policy=policy)
    if told.visual:
        yield DisclosureGiven(kind="visual", text=told.visual, policy=policy)


def _examples(persona: Persona, repeats: bool) -> Iterator[Message]:
    """The persona's examples as messages; `repeats` keeps those whose answer was given by an earlier one."""
    answers: set[str] = set()
    for example in persona.examples:
        if repeats or example.persona not in answers:
            yield Message("user", example.user)
            yield Message("assistant", example.persona)
        answers.add(example.persona)


@dataclass(slots=True)
class EngineSet:
    """The engines of one conversation, built and warm; `face` draws on a thread of its own."""

    layers: SpeechEngines
    face: FaceEngine | None
    _face_thread: NativeThread

    @property
    def render(self) -> Render:
        """Draws a frame from controls on the face's thread. Needs a face."""
        face = self.face
        assert face is not None, "this engine set was built without a face"

        async def draw(controls: Controls) -> Frame:
            return await self._face_thread.run(lambda: face.render(controls))

        return draw

    async def close(self) -> None:
        """Free every engine and end their threads."""
        if self.layers.turns is not None:
            self.layers.turns.close()
        await self.layers.llm.close()
        self.layers.stt.close()
        self.layers.tts.close()
        if self.face is not None:
            self.face.close()
        self._face_thread.close()


async def build_llm(config: ResolvedConfig) -> LlmEngine:
    """Only the language model, for typed conversations; not warm. Raises MissingError, EngineError."""
    engine: LlmEngine = await asyncio.to_thread(build, "llm", config.llm.engine, _llm_settings(config))
    return engine


async def build_engine_set(
    config: ResolvedConfig,
    settings: ConversationSettings,
    *,
    width: int = 1280,
    height: int = 720,
    fps: int = 25,
    background: str = "room",
    with_face: bool = True,
    progress: Callable[[str], None] = lambda layer: None,
) -> EngineSet:
    """Build and warm every engine, side by side. `progress` is called with each layer that is ready.

    `background` as in `FaceSettings`. Raises MissingError, UsageError, EngineError; whatever was built by
    then is closed.
    """
    # Read first: a damaged one is reported before any model is read.
    mouth_reader = load_mouth_network(config.replica.folder) if with_face else None
    face_thread = NativeThread("face")
    face_settings = FaceSettings(config.replica.folder, width, height, fps, background)

    async def ready(layer: str, engine_name: str, options: Any) -> Any:
        engine = await asyncio.to_thread(build, layer, engine_name, options)
        if layer == "llm":
            engine = await _warm_llm(config, settings, engine)
        elif layer != "vad":
            await engine.warm()
        progress(layer)
        return engine

    async def face_ready() -> FaceEngine | None:
        if not with_face:
            return None
        face: FaceEngine = await face_thread.run(lambda: build("face", config.face.engine, face_settings))
        await face_thread.run(lambda: face.render(Controls()))
        progress("face")
        return face

    async def turn_model_ready() -> Any:
        choice = config.profile.choices.get("turns")
        return choice and await ready("turns", choice.engine, TurnModelSettings(choice.model))

    vad, stt, llm, tts, face, turns = await _all_built(
        face_thread,
        ready("vad", "silero", VadSettings()),
        ready("stt", config.stt.engine, _stt_settings(config)),
        ready("llm", config.llm.engine, _llm_settings(config)),
        ready("tts", config.tts.engine, tts_settings(config)),
        face_ready(),
        turn_model_ready(),
    )
    openers = await make_openers(tts, config.language) if settings.openers else ()
    signs = await make_listening_signs(tts, config.language) if settings.active_listening else ()
    first_wait_s = None
    if openers and config.llm.engine == "llama-cpp":
        first_wait_s = await _first_wait_s(settings, llm, tts)
    layers = SpeechEngines(vad, stt, llm, tts, turns, mouth_reader, openers, first_wait_s, signs)
    return EngineSet(layers, face, face_thread)


async def _all_built(face_thread: NativeThread, *building: Coroutine[Any, Any, Any]) -> list[Any]:
    """All engines, side by side; where one fails the others and the face's thread are closed."""
    results = await asyncio.gather(*building, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors:
        await _close_built(results)
        face_thread.close()
        raise errors[0]
    return results


async def _warm_llm(config: ResolvedConfig, settings: ConversationSettings, engine: LlmEngine) -> LlmEngine:
    """The model with its judge, after it has read what every conversation begins with."""
    engine = await _with_judge(config, settings, engine)
    history = History(settings.system, settings.recent_turns, settings.prelude)
    history.append_context(settings.context)
    await engine.warm(history.recent)
    return engine


async def _first_wait_s(settings: ConversationSettings, llm: LlmEngine, tts: TtsEngine) -> float | None:
    """How long the warm models take from a question to the first sound; None where one of them fails."""
    messages = History(settings.system, settings.recent_turns, settings.prelude).with_user(_FIRST_QUESTION)
    words = tts.first_words if isinstance(tts, PhraseVoice) else None
    splitter = ClauseSplitter(language=settings.language, phrase_words=words)
    began_s = perf_counter()
    clauses: list[Clause] = []
    try:
        async with aclosing(
            cast("AsyncGenerator[str, None]", llm.stream(messages, settings.sampling))
        ) as pieces:
            async for piece in pieces:
                if clauses := splitter.push(piece):
                    break
        for clause in (clauses or splitter.finish())[:1]:
            async for _ in tts.speak(clause.text):
                return perf_counter() - began_s
    except EngineError:
        return None
    return None


async def _with_judge(config: ResolvedConfig, settings: ConversationSettings, llm: LlmEngine) -> LlmEngine:
    """The model with a small one beside it that judges turns, where it is not the small one itself.

    The judge knows English alone; in other languages a local model judges itself, an endpoint by rules.
    """
    judge = await _small_judge(config, settings)
    return llm if judge is None else JudgedLlm(llm, judge)


async def build_turn_judge(config: ResolvedConfig, settings: ConversationSettings) -> LlmEngine:
    """The model that judges turns in a conversation, without one that answers where those are two.

    Raises MissingError, UsageError.
    """
    return await _small_judge(config, settings) or await build_llm(config)


async def _small_judge(config: ResolvedConfig, settings: ConversationSettings) -> LlmEngine | None:
    if config.small_model or config.language != "en" or not settings.judge_completeness:
        return None
    small = LlmSettings(context_tokens=JUDGE_CONTEXT_TOKENS, only_judges=True)
    try:
        judge: LlmEngine = await asyncio.to_thread(build, "llm", "llama-cpp", small)
    except MissingError:
        return None  # the package with the small model is not installed: the large one judges
    return judge


async def _close_built(results: Sequence[Any]) -> None:
    """Close every engine among the results; errors and the layers that are None have no `close`."""
    for result in results:
        if hasattr(result, "close"):
            closing = result.close()
            if closing is not None:
                await closing


def _stt_settings(config: ResolvedConfig) -> SttSettings:
    layer = config.persona.layers.stt
    connection = layer.connection()
    return SttSettings(
        language=config.language,
        model=config.stt.model,
        hotwords=layer.hotword_list,
        base_url=connection.base_url,
        api_key=connection.api_key,
        headers=connection.headers,
        private_hosts=config.private_hosts,
    )


def _llm_settings(config: ResolvedConfig) -> LlmSettings:
    layer = config.persona.layers.llm
    connection = layer.connection()
    return LlmSettings(
        model=config.llm.model,
        base_url=connection.base_url,
        api_key=connection.api_key,
        headers=connection.headers,
        private_hosts=config.private_hosts,
        extra_body=layer.extra_body,
        default_query={name: str(value) for name, value in layer.default_query.items()},
    )


def tts_settings(config: ResolvedConfig, language: str | None = None) -> TtsSettings:
    """The voice's settings: the persona's voice, else the replica's. `language` None is the persona's."""
    layer = config.persona.layers.tts
    connection = layer.connection()
    return TtsSettings(
        language=language or config.language,
        voice=config.tts.voice
        or (None if _voice_model(config) else voice_of(config.replica, config.tts.engine)),
        model=config.tts.model,
        speed=layer.speed,
        pitch=layer.voice_settings.pitch * config.replica.pitch.get(config.tts.engine, 1.0),
        base_url=connection.base_url,
        api_key=connection.api_key,
        headers=connection.headers,
        private_hosts=config.private_hosts,
    )
