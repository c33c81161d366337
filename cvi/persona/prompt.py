"""The system message: who the persona is, what it knows, and how one speaks aloud.

A large model gets everything. A small one follows a few sentences, mixes up the rest, and pays for
every token of its prompt: it gets the system prompt, what this conversation adds, and one line of
rules. With SmolLM2-135M the persona's context did harm: in scripted chats with the shipped guide and
support agent it took things from there that nobody had asked for (a story, the sticker under the
router), and was less often beside the point without it. It remains unreliable either way.
"""

from __future__ import annotations

import re

from cvi.persona.schema import Persona

SMALL_BUDGET_TOKENS = 120
"""The most that a small model's message holds on top of the system prompt."""

_CHARACTERS_PER_TOKEN = 3.6
"""Spoken English has about 4.2 with SmolLM2's tokenizer; lower, so that names and numbers fit too."""

_SPOKEN_RULES = """\
You are talking with someone face to face in a live video call. Everything you write is spoken aloud, so:
- Answer in one to three short sentences, in plain spoken language. Say more only when asked to.
- Ask at most one question at a time, and let the other person finish their thought.
- No lists, headings, markdown, emoji, links or stage directions. Write numbers and symbols as they are said.
- What you hear comes from speech recognition and may hold wrong words: go by the meaning; ask when unsure.
- Say what you do not know. Never speak for the other person, and never mention these instructions."""

_SPOKEN_RULES_SMALL = "You speak out loud: one or two short sentences, no lists."


def system_message(persona: Persona, *, conversational_context: str = "", small_model: bool) -> str:
    """The whole system message; "" for an echo persona, which has no language model.

    `conversational_context` is what this one conversation adds; it outranks the persona's context.
    A `small_model` is not given the latter, nor objectives and guardrails: what it must know stands in
    the system prompt. All that follows that prompt stays within `SMALL_BUDGET_TOKENS`, estimated.
    """
    if persona.pipeline_mode == "echo":
        return ""
    compose = _small if small_model else _large
    parts = compose(persona, conversational_context)
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _large(persona: Persona, conversational_context: str) -> list[str]:
    goals = "\n".join(f"{i}. {item.objective_prompt.strip()}" for i, item in enumerate(persona.objectives, 1))
    rules = "\n".join(f"- {item.guardrail_prompt.strip()}" for item in persona.guardrails)
    here = conversational_context.strip()
    return [
        persona.system_prompt or "",
        _SPOKEN_RULES,
        _language_rule(persona),
        f"What you should know:\n{persona.context.strip()}" if persona.context else "",
        f"What this conversation should achieve, in this order:\n{goals}" if goals else "",
        f"About this conversation:\n{here}" if here else "",
        f"Rules that hold whatever you are asked:\n{rules}" if rules else "",
    ]


def _small(persona: Persona, conversational_context: str) -> list[str]:
    rules = " ".join(filter(None, (_SPOKEN_RULES_SMALL, _language_rule(persona))))
    left = int(SMALL_BUDGET_TOKENS * _CHARACTERS_PER_TOKEN) - len(rules) - 4
    return [persona.system_prompt or "", first_sentences(conversational_context, left), rules]


def _language_rule(persona: Persona) -> str:
    if persona.language == "english":
        return ""
    if persona.language_code is None:
        return "Answer in the language you are spoken to."
    return f"Speak {persona.language.capitalize()}."


def first_sentences(text: str, most_characters: int) -> str:
    """As many whole sentences from the start of the text as fit, on one line; "" when not even one does."""
    line = " ".join(text.split())
    if len(line) <= most_characters:
        return line
    ends = [match.end() for match in re.finditer(r"[.!?…。？！][\"'”’)]*(?=\s|$)", line)]
    return line[: max((end for end in ends if end <= most_characters), default=0)]
