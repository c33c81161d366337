"""How a conversation behaves, its engines, and what its parts share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from cvi.clock import Clock
from cvi.conversation.capabilities import Capabilities
from cvi.conversation.events import ConversationFacts, DisclosureGiven
from cvi.conversation.history import History
from cvi.conversation.idle_engagement import IdleLevel
from cvi.conversation.journal import Journal
from cvi.conversation.listening_signs import ListeningSign
from cvi.conversation.openers import Opener
from cvi.conversation.phrases import Phrases, phrases
from cvi.face.sound_mouth import MouthReader
from cvi.llm.base import LlmEngine, Message, Sampling
from cvi.stt.base import SttEngine
from cvi.transport.base import Transport
from cvi.tts.base import TtsEngine
from cvi.turns.base import TurnModel, VadEngine
from cvi.turns.thresholds import TurnThresholds

OPENING = "Hello! I have just joined the call. Greet me warmly, in one short sentence of your own."
"""The request to a model that writes the greeting itself."""


@dataclass(frozen=True, slots=True)
class SpeechEngines:
    """The engines of a spoken conversation, built and warm. The face is given as its renderer.

    `turns` judges from the voice whether a turn is over; without it only the words are judged.
    `mouth_reader` reads the mouth from speech without phone times, None for the shipped network. `openers`
    are what the voice may say first where the answer is long in coming (none: it waits), `listening_signs`
    what it may say while the participant talks at length, and `first_wait_s`
    how long the models took at warm-up from a question to the first sound.
    """

    vad: VadEngine
    stt: SttEngine
    llm: LlmEngine
    tts: TtsEngine
    turns: TurnModel | None = None
    mouth_reader: MouthReader | None = None
    openers: tuple[Opener, ...] = ()
    first_wait_s: float | None = None
    listening_signs: tuple[ListeningSign, ...] = ()


@dataclass(frozen=True, slots=True)
class TextEngines:
    """The engine of a typed conversation, built; the conversation warms it."""

    llm: LlmEngine


@dataclass(frozen=True, slots=True)
class ConversationSettings:
    """How one conversation behaves; the times in seconds.

    `system` is the whole system message, `context` what may be replaced while the conversation runs;
    `persona_name` is the persona's own name. `greeting` is spoken
    first, "" for none; words during it do not end it where it is not `greeting_interruptible`. Without a
    greeting but with an `opening`, the model is asked by it to speak first.

    `max_sentences` caps a reply, `recent_turns` how many of the past turns the model is given (None for
    all; small models ramble and repeat themselves), `prelude` are exchanges that show it how to answer.
    With a `wake_phrase` nothing is answered before it is heard, and no longer once the `sleep_phrase` is.
    `idle_engagement` breaks silences. `voice_isolation` ignores voices far fainter than the participant's,
    `noise_cancellation` lowers steady noise in their sound. With `active_listening` the persona says "uh-huh"
    while they talk at length.

    `openers` lets replies that are long in coming begin with a neutral word.
    `speculative` drafts replies before a turn is over. With `judge_completeness` off, silence alone ends a
    turn. `whole_replies` speaks nothing of a reply before all of it is written, for comparison. `echo`
    answers with the participant's own words. `phrases` are said where a reply fails or is awaited, the
    bridge ("" for none) after `bridge_after_s`.

    The conversation ends after `max_duration_s`, and `tail_s` after a recorded caller has nothing more to
    say. `seed` is the face's. `disclosures` are written into the journal when it begins, `facts`
    into its first event.
    """

    conversation_id: str
    system: str
    greeting: str = ""
    greeting_interruptible: bool = True
    opening: str = ""
    language: str = "en"
    persona_name: str = ""
    thresholds: TurnThresholds = field(default_factory=TurnThresholds)
    sampling: Sampling = field(default_factory=Sampling)
    max_sentences: int = 3
    recent_turns: int | None = None
    prelude: tuple[Message, ...] = ()
    context: str = ""
    wake_phrase: str = ""
    sleep_phrase: str = ""
    idle_engagement: IdleLevel = "off"
    voice_isolation: bool = False
    noise_cancellation: bool = False
    active_listening: bool = False
    openers: bool = True
    speculative: bool = True
    judge_completeness: bool = True
    whole_replies: bool = False
    echo: bool = False
    phrases: Phrases = field(default_factory=lambda: phrases("en"))
    bridge_after_s: float = 4.0
    max_duration_s: float = 3600.0
    tail_s: float = 1.0
    seed: int = 0
    disclosures: tuple[DisclosureGiven, ...] = ()
    facts: ConversationFacts = field(default_factory=ConversationFacts)


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What the parts of one conversation share. Made by `Conversation`, used on its event loop.

    `ending` is done when the conversation is to end: with the reason, or with a fault of this program.
    """

    settings: ConversationSettings
    engines: SpeechEngines | TextEngines
    history: History
    transport: Transport
    journal: Journal
    clock: Clock
    ending: asyncio.Future[str]
    capabilities: Capabilities = field(default_factory=Capabilities)

    def end(self, reason: str) -> None:
        """End the conversation, for the first reason given."""
        if not self.ending.done():
            self.ending.set_result(reason)

    def fail(self, fault: BaseException) -> None:
        """End the conversation by a fault of this program, which `Conversation.run` raises."""
        if not self.ending.done():
            self.ending.set_exception(fault)
