"""What a persona wants, must not do, may call, knows and keeps.

Objectives, guardrails and tools have the shapes of the wire contract's resources, written in place.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from cvi.persona.section import Headers, Parameters, Secret, Section, rule_broken

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$", max_length=100)]
Prompt = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
Url = Annotated[str, StringConstraints(max_length=2048, pattern=r"^https?://")]
Modality = Literal["verbal", "visual", "audio"]


class Objective(Section):
    """Something the conversation should achieve, and what follows it."""

    objective_name: Name
    """Letters, digits and underscores; unique in the persona."""
    objective_prompt: Prompt
    """What to achieve, in words the model reads."""
    confirmation_mode: Literal["auto", "manual"] = "auto"
    output_variables: Annotated[list[Name], Field(max_length=50)] = Field(default_factory=list)
    """What to take down from the answer."""
    modality: Modality = "verbal"
    next_required_objective: Name | None = None
    """The objective that follows."""
    next_conditional_objectives: dict[Name, str] = Field(default_factory=dict)
    """Name of a following objective -> the condition for it."""
    callback_url: Url | None = None
    tool_call: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_way_on(self) -> Objective:
        if self.next_required_objective and self.next_conditional_objectives:
            raise rule_broken(
                "an objective has either next_required_objective or next_conditional_objectives, not both",
                "Remove one of the two.",
                "next_conditional_objectives",
            )
        return self

    @property
    def followers(self) -> tuple[str, ...]:
        """The names of all objectives that may follow."""
        required = (self.next_required_objective,) if self.next_required_objective else ()
        return (*required, *self.next_conditional_objectives)


Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
GuardrailFamilyName = Literal[
    "injection", "prompt_leak", "legal_advice", "medical_advice", "financial_advice", "concealment",
    "personal_data", "self_harm", "human_claim", "promises", "abuse", "dangerous_instructions",
    "sexual_content",
]  # fmt: skip


_EVERYDAY = ("Hello.", "Yes, please!", "How much is it?", "Thank you, that was all for today.")
"""A pattern that finds something in each of these stops everything."""


def _safe_pattern(text: str) -> str:
    try:
        compiled = re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise rule_broken(f"'{text}' is no regular expression ({error})", "Mend it.") from error
    if compiled.search("") or all(map(compiled.search, _EVERYDAY)):
        raise rule_broken(f"the pattern '{text}' matches everything", "Write one that needs some words.")
    if re.search(r"\([^()]*[+*][^()]*\)[+*{]", text):
        raise rule_broken(
            f"the pattern '{text}' repeats a repetition, which can take forever", "Write it without."
        )
    return text


class GuardrailCheck(Section):
    """How a guardrail is checked on each sentence before it is spoken: an extension of cvi to the contract.

    Any of `families`, `patterns`, `phrases` and `examples` stops a sentence.
    """

    families: list[GuardrailFamilyName] = Field(default_factory=list)
    """Kinds of forbidden sentences that come with cvi. Without `patterns`, `phrases` and `examples`, those
    that the prompt means."""
    patterns: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_safe_pattern)]],
        Field(max_length=50),
    ] = Field(default_factory=list)
    """Regular expressions, searched for in a sentence; case does not count."""
    phrases: Annotated[list[Phrase], Field(max_length=500)] = Field(default_factory=list)
    """Words in a row, whatever stands between and around them but letters."""
    examples: Annotated[list[Phrase], Field(max_length=500)] = Field(default_factory=list)
    """Sentences that break the rule; what is like them is stopped. Five or more, twenty are better."""
    harmless: Annotated[list[Phrase], Field(max_length=500)] = Field(default_factory=list)
    """Sentences that look like the examples and do not break it."""
    watches: Literal["reply", "participant", "both"] | None = None
    """Whose sentences; else what the families say, and `reply` without one."""
    action: Literal["rephrase", "refuse", "escalate", "end"] = "refuse"
    """What happens instead: the model says it anew, `say` is said, a human is called too, or the conversation
    ends after `say`."""
    say: Phrase | None = None
    needs_model: bool = False
    """The model judges each reply while it is spoken, beside the checks; refused by `embedded`."""


class Guardrail(Section):
    """Something the persona must or must not do, whatever it is asked."""

    guardrail_name: Name
    guardrail_prompt: Prompt
    """The rule, in words the model reads."""
    modality: Modality = "verbal"
    callback_url: Url | None = None
    tool_call: dict[str, Any] | None = None
    app_message: bool = True
    """Whether clients are told when it is triggered."""
    tags: Annotated[list[str], Field(max_length=32)] = Field(default_factory=list)
    check: GuardrailCheck = Field(default_factory=GuardrailCheck)


class ToolAuth(Section):
    """How a tool's address is called with a credential. Write secrets as `${NAME}`."""

    type: Literal["none", "bearer", "basic", "api_key", "hmac", "oauth2_client_credentials"] = "none"
    token: Secret | None = None
    username: str | None = None
    password: Secret | None = None
    name: str | None = None
    value: Secret | None = None
    location: Literal["header", "query"] | None = None
    secret: Secret | None = None
    token_url: Url | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    scope: str | None = None


class ToolApi(Section):
    """An address to call."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://")]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    timeout: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Seconds."""
    headers: Headers = Field(default_factory=dict)
    auth: ToolAuth = Field(default_factory=ToolAuth)
    body_template: dict[str, Any] | str | None = None
    query_params: Parameters = Field(default_factory=dict)
    content_type: str | None = None


class ToolDelivery(Section):
    """Who answers a call: the client (`app_message: true`), an address (`api`) or a `python` function."""

    app_message: bool = False
    api: ToolApi | None = None
    python: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    """`module:function`, which runs only where the operator allowed the module."""

    @model_validator(mode="after")
    def _exactly_one(self) -> ToolDelivery:
        if [self.app_message, self.api is not None, self.python is not None].count(True) != 1:
            raise rule_broken(
                "a tool is delivered by app_message, by api or by python, exactly one of them",
                "Write 'app_message: true', an 'api' with its url, or 'python: module:function'.",
            )
        return self


class McpServer(Section):
    """A server of the Model Context Protocol, whose tools the persona has: a program or an address."""

    name: Name
    url: Url | None = None
    headers: Headers = Field(default_factory=dict)
    command: Annotated[list[str], Field(max_length=50)] = Field(default_factory=list)
    """The program with its arguments, which is started only where the operator allowed it."""
    env: Headers = Field(default_factory=dict)
    """What the program finds in its environment."""
    tools: Annotated[list[str], Field(max_length=50)] = Field(default_factory=list)
    """Only these of its tools; all when empty."""
    read_only: bool = False
    """Whether none of these tools changes anything."""

    @model_validator(mode="after")
    def _exactly_one_way(self) -> McpServer:
        if bool(self.command) == (self.url is not None):
            raise rule_broken(
                "an MCP server has a url or a command, exactly one of them",
                "Write 'url: https://...', or 'command: [program, argument]'.",
            )
        return self


def _schema_of_an_object(schema: dict[str, Any]) -> dict[str, Any]:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise rule_broken(
            f"the parameters are no JSON Schema: {error.message[:160]}", "See https://json-schema.org."
        ) from None
    if schema.get("type", "object") != "object":
        raise rule_broken("the parameters are no object", "Write 'type: object' with 'properties'.")
    return schema


class Tool(Section):
    """A function the model may call."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
    description: Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
    parameters: Annotated[dict[str, Any], AfterValidator(_schema_of_an_object)] = Field(
        default_factory=lambda: {"type": "object", "properties": {}}
    )
    """JSON Schema of the arguments."""
    origin: Literal["llm", "vision", "audio"] | None = None
    trigger_type: Literal["in_call", "post_call"] = "in_call"
    delivery: ToolDelivery = Field(default_factory=lambda: ToolDelivery(app_message=True))
    on_call: Literal["generate_filler", "static_filler", "silent", "passthrough"] = "silent"
    """What is said while the call runs."""
    static_filler: str | None = None
    on_resolve: Literal["generate_response", "response_in_result", "add_to_context", "fire_and_forget"] = (
        "generate_response"
    )
    """What becomes of the result."""
    on_interrupt: Literal["finish", "cancel"] = "finish"
    """Whether a call goes on when the participant interrupts the reply that made it."""
    read_only: bool = False
    """Whether it changes nothing, so that it may be called before the turn is over."""
    careful: bool = False
    """Whether it needs more certainty, because calling it unasked would do harm."""
    examples: Annotated[list[str], Field(max_length=20)] = Field(default_factory=list)
    """What people say who want it: makes the decision to call it better."""
    tags: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits_its_trigger(self) -> Tool:
        if self.trigger_type == "post_call" and (self.origin is not None or self.delivery.api is None):
            raise rule_broken(
                "a tool with trigger_type post_call has no origin and is delivered by api",
                "Leave 'origin' out and give 'delivery' an 'api' with its url.",
            )
        return self


class Example(Section):
    """One exchange that shows how the persona answers."""

    user: Phrase
    """What someone says, as a recognizer hears it."""
    persona: Phrase
    """What the persona answers, as it is spoken."""


class Knowledge(Section):
    """Documents the persona answers from."""

    documents: list[str] = Field(default_factory=list)
    """Files, folders or web pages; relative paths start at the persona's file."""
    document_ids: list[str] = Field(default_factory=list)
    """Documents that were added before, by their ids."""
    tags: list[str] = Field(default_factory=list)
    """Documents that were added before, by their tags."""
    retrieval: Literal["speed", "balanced", "quality"] = "balanced"
    """How much the model is told for a turn: one passage, two, or four; more takes it longer to read."""

    @property
    def anything(self) -> bool:
        """Whether there is anything to look up."""
        return bool(self.documents or self.document_ids or self.tags)


class Memory(Section):
    """What is kept about a participant between conversations. Nothing, unless `remember` is true."""

    remember: bool = False
    topics: list[str] = Field(default_factory=list)
    """What is worth keeping; anything the persona thinks useful when empty."""
    keep_days: Annotated[int, Field(ge=1)] | None = None
    """Erased after so many days; None keeps it until it is forgotten on request."""


class Recording(Section):
    """Whether a conversation's picture and sound are kept. They are not, unless `enabled` is true."""

    enabled: bool = False
    keep_days: Annotated[int, Field(ge=1)] | None = None
