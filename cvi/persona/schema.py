"""The persona: who it is, in one validated value."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from cvi.persona.language import CODES, MULTILINGUAL, language_code, language_name
from cvi.persona.layers import Layers
from cvi.persona.policy import Example, Guardrail, Knowledge, Memory, Objective, Recording, Tool
from cvi.persona.section import Section, rule_broken

PROFILES = ("embedded", "cpu", "workstation")
"""From the weakest to the strongest."""


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
    """Who it is and how it speaks. All that very small models get: short, concrete, first things first."""
    context: Annotated[str, StringConstraints(max_length=1_000_000)] | None = None
    """What it should know besides. Very small models are not given it: it confuses them."""
    examples: Annotated[list[Example], Field(max_length=24)] = Field(default_factory=list)
    """Exchanges that show how it answers, given to the model as if they had been said before."""
    greeting: Annotated[str, StringConstraints(max_length=2_000)] | None = None
    """Spoken when the participant joins; without one the persona waits."""
    pipeline_mode: Literal["full", "echo"] = "full"
    """`echo` speaks what a client sends, without a language model."""
    default_replica_id: str | None = None
    """The face and voice, unless the conversation names another."""
    profile: Literal["auto", "embedded", "cpu", "workstation"] = "auto"
    """Which class of machine its engines are chosen for; auto takes the best that is installed."""
    least_profile: Literal["embedded", "cpu", "workstation"] = "embedded"
    """The weakest profile it may run on, for roles that a very small model would play dangerously."""
    language: Annotated[str, AfterValidator(_known_language)] = "english"
    """English name, two-letter code, or multilingual."""
    layers: Layers = Field(default_factory=Layers)
    knowledge: Knowledge = Field(default_factory=Knowledge)
    tools: Annotated[list[Tool], Field(max_length=50)] = Field(default_factory=list)
    objectives: Annotated[list[Objective], Field(max_length=50)] = Field(default_factory=list)
    """In order; the first is where the conversation starts."""
    guardrails: Annotated[list[Guardrail], Field(max_length=50)] = Field(default_factory=list)
    memory: Memory = Field(default_factory=Memory)
    recording: Recording = Field(default_factory=Recording)

    def may_run_on(self, profile: str) -> bool:
        """Whether a profile is strong enough for this persona; with an own endpoint every profile is."""
        if self.layers.llm.base_url:
            return True
        return PROFILES.index(profile) >= PROFILES.index(self.least_profile)

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
        return self


def _unique(part: str, field: str, names: list[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise rule_broken(f"{field} '{name}' is used twice", "Rename one of the two.", part, index, field)
