"""What a conversation is made of and how it is told to behave."""

from __future__ import annotations

from dataclasses import dataclass, field

from cvi.conversation.events import ConversationFacts
from cvi.face.sound_mouth import MouthNetwork
from cvi.llm.base import LlmEngine, Message, Sampling
from cvi.stt.base import SttEngine
from cvi.tts.base import TtsEngine
from cvi.turns.base import TurnModel, VadEngine
from cvi.turns.thresholds import TurnThresholds

APOLOGY = "Sorry, I lost my train of thought there. Could you say that once more?"
WELCOME = "Hello."
"""Said in the place of a greeting that the model could not write."""
OPENING = "Hello! I have just joined the call. Greet me warmly, in one short sentence of your own."
"""What a model is asked that writes the greeting itself."""
NOT_HEARD = "Sorry, I didn't catch that. Could you say it again?"


@dataclass(frozen=True, slots=True)
class SpeechEngines:
    """The engines of one conversation, built and warm. The face is given as its renderer.

    `turns` hears in the voice whether a turn is over; without one the words alone are judged. `ear` is the
    replica's own: it reads the mouth from speech without phone times in place of the shipped network.
    """

    vad: VadEngine
    stt: SttEngine
    llm: LlmEngine
    tts: TtsEngine
    turns: TurnModel | None = None
    ear: MouthNetwork | None = None


@dataclass(frozen=True, slots=True)
class ConversationSettings:
    """`system` is the whole system message. `greeting` is spoken first, "" for none; where it is not
    `greeting_interruptible`, words over it are passed over. Without one, and with an `opening`, the model
    speaks first, asked to by that.

    `persona_name` is what it calls itself. `judge_completeness` off, silence alone ends a turn.
    `max_sentences` caps a reply and `recent_turns` what the model is given of the past (small models
    ramble and repeat themselves); `prelude` are exchanges that show it how to answer. `facts` go into
    the journal's first event: persona, replica, profile, engines.

    `whole_replies`: nothing of a reply is spoken before all is written, the plain way to measure against.
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
    speculative: bool = True
    judge_completeness: bool = True
    whole_replies: bool = False
    echo: bool = False
    apology: str = APOLOGY
    not_heard: str = NOT_HEARD
    max_duration_s: float = 3600.0
    tail_s: float = 1.0
    seed: int = 0
    facts: ConversationFacts = field(default_factory=ConversationFacts)
