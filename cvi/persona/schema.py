"""The persona: who it is, in one validated value."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from cvi.persona.disclosure import Disclosure, DisclosureType, disclosure
from cvi.persona.language import CODES, MULTILINGUAL, language_code, language_name
from cvi.persona.layers import Layers
from cvi.persona.objective_graph import graph_fault
from cvi.persona.policy import (
    Example,
    Guardrail,
    Knowledge,
    McpServer,
    Memory,
    Objective,
    Phrase,
    Recording,
    Tool,
)
from cvi.persona.section import Section, rule_broken

ProfileName = Literal["embedded", "cpu", "laptop", "workstation"]
"""From the weakest to the strongest."""

PROFILES: tuple[str, ...] = get_args(ProfileName)

MOST_EXAMPLES = 24
"""Examples that a persona may have, and the number a very small model is given."""


def _known_language(text: str) -> str:
    name = language_name(text)
    if name is None:
        from difflib import get_close_matches

        near = get_close_matches(text.strip().lower(), [*CODES, MULTILINGUAL], n=1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise rule_broken(
            f"'{text}' is no language known here",
            f"{hint}Write an English name (german), a code (de) or multilingual.",
        )
    return name


class EmbeddedExample(Section):
    """One answer that a very small model shall copy, and what is said before it, in one or more wordings."""

    user: Phrase | Annotated[list[Phrase], Field(min_length=1)]
    persona: Phrase

    @property
    def wordings(self) -> list[str]:
        """What the participant says, in every wording."""
        return [self.user] if isinstance(self.user, str) else self.user


class EmbeddedPersona(Section):
    """What a very small model is given in place of the persona's system prompt and examples.

    It follows no instructions. It copies its answers from the examples, and only from those that it reads
    more than once: `rounds` repeats them.
    """

    system_prompt: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
    """One to three sentences: with more, the model uses the examples less."""
    examples: Annotated[list[EmbeddedExample], Field(max_length=MOST_EXAMPLES // 2)] = Field(
        default_factory=list
    )
    """Six to twelve; each is given two or three times, in its wordings. With eight or fewer answers a model
    of 135 million parameters mixes them up less."""

    def rounds(self) -> list[Example]:
        """The examples as the model is given them: all of them, again and again, up to `MOST_EXAMPLES`.

        Later rounds ask in later wordings; where there are more rounds than wordings, the first is repeated.
        """
        if not self.examples:
            return []
        count = MOST_EXAMPLES // len(self.examples)
        return [
            Example(user=wordings[_wording(number, count, len(wordings))], persona=example.persona)
            for number in range(count)
            for example in self.examples
            for wordings in [example.wordings]
        ]


def _wording(number: int, rounds: int, wordings: int) -> int:
    return min(max(0, number - max(0, rounds - wordings)), wordings - 1)


class Persona(Section):
    """Who it is: prompt, greeting, face, layers, rules and what it may keep.

    Unknown keys are ignored, as a server of the wire contract must; `load_persona` refuses them.
    """

    other_spellings: ClassVar = {
        "pal_name": "persona_name",
        "default_face_id": "default_replica_id",
    }

    persona_name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
    """How people call it."""
    system_prompt: Annotated[str, StringConstraints(max_length=200_000)] | None = None
    """Who it is and how it speaks: short, concrete, first things first. Very small models get `embedded`."""
    context: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    """What it should know besides. Very small models are not given it: it confuses them."""
    examples: Annotated[list[Example], Field(max_length=MOST_EXAMPLES)] = Field(default_factory=list)
    """Exchanges that show how it answers, given to the model as if they had been said before."""
    embedded: EmbeddedPersona | None = None
    """What very small models are given instead of system prompt and examples. It is best written into a file
    of its own beside this one: `embedded/NAME.yaml`."""
    greeting: Annotated[str, StringConstraints(max_length=2_000)] | None = None
    """Spoken when the participant joins; without one the persona waits."""
    pipeline_mode: Literal["full", "echo"] = "full"
    """`echo` speaks what a client sends, without a language model."""
    default_replica_id: str | None = None
    """The face and voice, unless the conversation names another."""
    profile: Literal["auto", ProfileName] = "auto"
    """Which class of machine its engines are chosen for; auto takes the best that is installed."""
    least_profile: ProfileName = "embedded"
    """The weakest profile it may run on, for roles that a very small model would play dangerously."""
    language: Annotated[str, AfterValidator(_known_language)] = "english"
    """English name, two-letter code, or multilingual."""
    layers: Layers = Field(default_factory=Layers)
    knowledge: Knowledge = Field(default_factory=Knowledge)
    tools: Annotated[list[Tool], Field(max_length=50)] = Field(default_factory=list)
    builtin_tools: list[Literal["end_call", "hand_over_to_human"]] = Field(default_factory=list)
    """Tools that come with the program: end the call, hand over to a human."""
    mcp_servers: Annotated[list[McpServer], Field(max_length=10)] = Field(default_factory=list)
    objectives: Annotated[list[Objective], Field(max_length=50)] = Field(default_factory=list)
    """In order; the first is where the conversation starts."""
    objectives_may_loop: bool = False
    """Whether objectives may follow each other in a circle."""
    guardrails: Annotated[list[Guardrail], Field(max_length=50)] = Field(default_factory=list)
    memory: Memory = Field(default_factory=Memory)
    recording: Recording = Field(default_factory=Recording)
    emotion_recognition: bool = False
    """Whether expressions of the participant's face are named (happy, surprised, ...). Off, only what is
    visible is described: a smile, raised brows."""

    disclosure_type: DisclosureType = "none"
    """How the participant is told that they talk with a program."""
    verbal_disclosure: Annotated[str, StringConstraints(max_length=500)] | bool = False
    """What is said before the greeting, not to be interrupted; true for the usual sentence."""
    visual_disclosure: Annotated[str, StringConstraints(max_length=200)] | bool = False
    """What the room's page shows throughout; true for the usual text."""
    policy: Literal["", "eu"] = ""
    """`eu`: both disclosures are given, and emotions are not recognized, whatever the other fields say."""

    @property
    def disclosure(self) -> Disclosure:
        """What the participant is told about talking with a program."""
        return disclosure(
            self.disclosure_type, self.verbal_disclosure, self.visual_disclosure, self.language_code or "en"
        )

    @model_validator(mode="after")
    def _keep_policy(self) -> Persona:
        if self.policy == "eu":
            self.__dict__.update(disclosure_type="both", emotion_recognition=False)
        return self

    def for_small_model(self) -> Persona:
        """The persona with the texts that were written for a very small model, if there are any."""
        if self.embedded is None:
            return self
        small = self.embedded
        return self.model_copy(update={"system_prompt": small.system_prompt, "examples": small.rounds()})

    def may_run_on(self, profile: str) -> bool:
        """Whether a profile is strong enough for this persona; with an own endpoint every profile is."""
        return not self.why_not_on(profile)

    @property
    def better_profile(self) -> str:
        """The weakest profile that it surely may run on."""
        return self.least_profile if self.least_profile != "embedded" else "cpu"

    def why_not_on(self, profile: str) -> str:
        """What keeps it from running on a profile, as a sentence's end; "" for nothing."""
        if self.layers.llm.base_url:
            return ""
        if PROFILES.index(profile) < PROFILES.index(self.least_profile):
            return "its model is too small for what is at stake"
        judged = [rail.guardrail_name for rail in self.guardrails if rail.check.needs_model]
        if judged and profile == "embedded":
            return f"its model is too small to judge by the guardrail '{judged[0]}', which needs one"
        return ""

    @property
    def spoken_name(self) -> str:
        """What it calls itself: "June" for "June, the guide"."""
        return self.persona_name.split(",", 1)[0].strip()

    @property
    def language_code(self) -> str | None:
        """Two letters, or None for multilingual: detect it."""
        return language_code(self.language)

    @model_validator(mode="after")
    def _prompt_fits_mode(self) -> Persona:
        if self.pipeline_mode == "full" and not (self.system_prompt or "").strip():
            raise rule_broken(
                "'system_prompt' is missing",
                "Say who the persona is, or set 'pipeline_mode: echo' for one that only repeats.",
                "system_prompt",
            )
        if self.pipeline_mode == "echo":
            for name in ("system_prompt", "context"):
                if getattr(self, name) is not None:
                    raise rule_broken(
                        f"'{name}' has no place in an echo persona, which has no language model",
                        "Remove it, or remove 'pipeline_mode: echo'.",
                        name,
                    )
        return self

    @model_validator(mode="after")
    def _names_fit(self) -> Persona:
        _unique("objectives", "objective_name", [item.objective_name for item in self.objectives])
        _unique("guardrails", "guardrail_name", [item.guardrail_name for item in self.guardrails])
        _unique("tools", "name", [item.name for item in self.tools])
        known = {item.objective_name for item in self.objectives}
        for index, item in enumerate(self.objectives):
            kind = "required_objective" if item.next_required_objective else "conditional_objectives"
            where = f"next_{kind}"
            for follower in item.followers:
                if follower == item.objective_name:
                    raise rule_broken(
                        f"objective '{follower}' follows itself", "Name another.", "objectives", index, where
                    )
                if follower not in known:
                    raise rule_broken(
                        f"there is no objective named '{follower}'",
                        f"Define it, or name one of: {', '.join(sorted(known))}.",
                        "objectives",
                        index,
                        where,
                    )
        fault = graph_fault(self.objectives, may_loop=self.objectives_may_loop)
        if fault is not None:
            index, message, remedy = fault
            raise rule_broken(message, remedy, "objectives", index, "objective_name")
        return self


def _unique(part: str, field: str, names: list[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise rule_broken(f"{field} '{name}' is used twice", "Rename one of the two.", part, index, field)
