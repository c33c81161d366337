"""What of a persona has no effect in this version, or not everywhere, and what to do instead.

One table for `cvi persona check`, `cvi talk` and the API. A field that is not in it acts everywhere. Paths
are written with our spellings and without indices: `objectives.callback_url`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cvi.persona.schema import Persona
from cvi.persona.section import Section, section_of


@dataclass(frozen=True, slots=True)
class FieldEffect:
    """What a field does. `why` completes "'x' is accepted and has no effect here: ...", without a full stop.

    `acts` says where it does act; with `since` "cpu" only from that profile on, since the very small model of
    the profile `embedded` is not given it. `neutral` is the value that asks for nothing and is not worth a
    word. `remedy` is a sentence that names what works now.
    """

    why: str = ""
    remedy: str = ""
    neutral: object = None
    acts: Literal["nowhere", "in served conversations", "everywhere"] = "nowhere"
    since: Literal["embedded", "cpu"] = "embedded"

    def is_in_effect(self, *, served: bool, small_model: bool) -> bool:
        """Whether it acts in a conversation that a server holds or not, with a very small model or not."""
        if self.acts == "nowhere" or (self.acts == "in served conversations" and not served):
            return False
        return self.since == "embedded" or not small_model


@dataclass(frozen=True, slots=True)
class NotInEffect:
    """A field that was given and does nothing: where it stands, why, and what to do instead."""

    field: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"'{self.field}' has no effect here: {self.why}. {self.remedy}".strip()


_ONLY_CLIENTS = "it is sent to clients and webhooks, which only a server has"
_SMALL_MEMORY = "a very small model cannot tell what is worth remembering, so nothing is kept"
_SMALL_TOOLS = "a very small model cannot tell when to call a tool"
_LARGER = "Run it on the profile cpu or a better one."
_SEEING = "the participant's picture and voice are not analysed in this version"
_FOREIGN = "it belongs to another service"
_HOSTED = "no engine here has such a setting"
_BOOKKEEPING = "a server writes it about a persona"
_IDS = "only a server knows what that stands for"
_CONTEXT_REMEDY = "Write what it should know into 'context' or 'system_prompt'."
_AT_CREATION = "Give it when the conversation is created."
_SMALL = "a very small model is given the system prompt alone"
_SMALL_REMEDY = "Put what it must know into 'system_prompt', or run it on the profile cpu or a better one."


def _each(prefix: str, names: str, effect: FieldEffect) -> dict[str, FieldEffect]:
    return {f"{prefix}{name}": effect for name in names.split()}


EFFECTS: Mapping[str, FieldEffect] = {
    "context": FieldEffect(_SMALL, _SMALL_REMEDY, acts="everywhere", since="cpu"),
    **_each(
        "",
        "tools builtin_tools mcp_servers",
        FieldEffect(_SMALL_TOOLS, _LARGER, neutral=[], acts="everywhere", since="cpu"),
    ),
    "tools.trigger_type": FieldEffect("tools are called in conversations alone", neutral="in_call"),
    "tools.origin": FieldEffect(_SEEING, neutral="llm"),
    "tools.tags": FieldEffect("tags only help to find it", neutral=[]),
    "objectives": FieldEffect(_SMALL, _SMALL_REMEDY, neutral=[], acts="everywhere", since="cpu"),
    "objectives.callback_url": FieldEffect(
        "only a server sends webhooks", neutral="", acts="in served conversations", since="cpu"
    ),
    "objectives.tool_call": FieldEffect(_ONLY_CLIENTS, acts="in served conversations", since="cpu"),
    "objectives.modality": FieldEffect(_SEEING, neutral="verbal"),
    "guardrails.callback_url": FieldEffect(
        "only a server sends webhooks", neutral="", acts="in served conversations"
    ),
    "guardrails.tool_call": FieldEffect(_ONLY_CLIENTS, acts="in served conversations"),
    "guardrails.modality": FieldEffect(_SEEING, neutral="verbal"),
    "guardrails.tags": FieldEffect("tags only help to find it", neutral=[]),
    **_each(
        "knowledge.",
        "documents document_ids tags",
        FieldEffect(_SMALL, _SMALL_REMEDY, neutral=[], acts="everywhere", since="cpu"),
    ),
    "knowledge.retrieval": FieldEffect(
        _SMALL, _SMALL_REMEDY, neutral="balanced", acts="everywhere", since="cpu"
    ),
    "memory.remember": FieldEffect(_SMALL_MEMORY, _LARGER, neutral=False, acts="everywhere", since="cpu"),
    "memory.topics": FieldEffect(_SMALL_MEMORY, _LARGER, neutral=[], acts="everywhere", since="cpu"),
    "recording.enabled": FieldEffect(
        "only a server records by itself",
        "With `cvi talk`, record with: --output FILE.mp4",
        neutral=False,
        acts="in served conversations",
    ),
    "recording.keep_days": FieldEffect(
        "only a server erases recordings by itself",
        "Delete them with the conversation.",
        acts="in served conversations",
    ),
    # Keys of the contract that a persona's file may have and that are no fields of ours.
    **_each(
        "",
        "persona_id pal_id persona_type pal_type is_template uuid owner_id created_at updated_at session_id "
        "is_draft source_template_id",
        FieldEffect(_BOOKKEEPING),
    ),
    "skills": FieldEffect("skills are not executed in this version"),
    "objectives_id": FieldEffect(
        _IDS, "Write them under 'objectives'.", acts="in served conversations", since="cpu"
    ),
    **_each(
        "",
        "guardrails_id guardrail_ids guardrail_tags",
        FieldEffect(_IDS, "Write them under 'guardrails'.", neutral=[], acts="in served conversations"),
    ),
    "tool_ids": FieldEffect(
        f"{_IDS}, and {_SMALL_TOOLS}", neutral=[], acts="in served conversations", since="cpu"
    ),
    **_each(
        "",
        "document_ids document_tags",
        FieldEffect(
            "a persona's file names them under 'knowledge'",
            "Write them as 'knowledge.document_ids' and 'knowledge.tags'.",
            neutral=[],
            acts="in served conversations",
            since="cpu",
        ),
    ),
    "document_retrieval_strategy": FieldEffect(
        "a persona's file names it under 'knowledge'",
        "Write it as 'knowledge.retrieval'.",
        neutral="balanced",
        acts="in served conversations",
        since="cpu",
    ),
    "memories": FieldEffect("what everybody is told belongs into the context", _CONTEXT_REMEDY, neutral=[]),
    **_each(
        "",
        "memory_stores participant_tags",
        FieldEffect(
            "it belongs to a conversation",
            _AT_CREATION,
            neutral=[],
            acts="in served conversations",
            since="cpu",
        ),
    ),
    **_each(
        "", "replica_id face_id", FieldEffect("it belongs to a conversation", "Use 'default_replica_id'.")
    ),
    "custom_greeting": FieldEffect("it belongs to a conversation", "Write it as 'greeting'."),
    "conversational_context": FieldEffect("it belongs to a conversation", "Write it as 'context'."),
    **_each(
        "",
        "enable_dynamic_greeting callback_url conversation_name audio_only test_mode require_auth "
        "max_participants chat properties",
        FieldEffect("it belongs to a conversation", _AT_CREATION),
    ),
    "meeting_url": FieldEffect("meetings of other services are not joined in this version"),
    **_each("layers.", "transport conferencing capabilities", FieldEffect(_FOREIGN)),
    "layers.knowledge_base": FieldEffect(_HOSTED, "Choose with 'knowledge.retrieval'."),
    "layers.vqa": FieldEffect(_SEEING),
    **_each(
        "layers.perception.",
        "visual_tool_prompt audio_tool_prompt",
        FieldEffect(_SMALL, neutral="", acts="everywhere", since="cpu"),
    ),
    **_each(
        "layers.perception.",
        "visual_awareness_queries audio_awareness_queries visual_tools audio_tools "
        "perception_analysis_queries",
        FieldEffect(_SMALL, neutral=[], acts="everywhere", since="cpu"),
    ),
    "layers.stt.participant_pause_sensitivity": FieldEffect(
        "it is another field here", "Use 'layers.conversational_flow.turn_taking_patience'."
    ),
    "layers.stt.participant_interrupt_sensitivity": FieldEffect(
        "it is another field here", "Use 'layers.conversational_flow.replica_interruptibility'."
    ),
    "layers.stt.smart_turn_detection": FieldEffect(
        "it is another field here", "Use 'layers.conversational_flow.turn_detection_model'."
    ),
    **_each("layers.llm.", "disable_vision enable_llm_proxy is_custom", FieldEffect(_FOREIGN)),
    "layers.llm.model_name": FieldEffect("it is another field here", "Use 'layers.llm.model'."),
    "layers.llm.endpoint": FieldEffect("it is another field here", "Use 'layers.llm.base_url'."),
    "layers.llm.tools": FieldEffect("tools are no layer's here", "Write them as 'tools'.", neutral=[]),
    "layers.tts.playht_user_id": FieldEffect(_FOREIGN),
    "layers.tts.pronunciation_dictionary_id": FieldEffect(
        "no voice uses pronunciation dictionaries in this version", neutral=""
    ),
    "layers.tts.tts_emotion_control": FieldEffect("replies carry no emotion in this version", neutral=False),
    **_each(
        "layers.tts.voice_settings.",
        "stability similarity_boost style use_speaker_boost emotion volume",
        FieldEffect(_HOSTED),
    ),
}


def foreign_keys(at: str) -> Mapping[str, FieldEffect]:
    """The keys that are accepted in the section at a path although they are no fields of it."""
    fields = _section(at).model_fields
    prefix = f"{at}." if at else ""
    inside = {path.removeprefix(prefix): each for path, each in EFFECTS.items() if path.startswith(prefix)}
    return {key: effect for key, effect in inside.items() if "." not in key and key not in fields}


def not_in_effect(
    document: Mapping[str, Any], *, served: bool, small_model: bool = False, at: str = ""
) -> list[NotInEffect]:
    """What of a persona's document, or of the section `at` a path, does nothing; see `FieldEffect`."""

    def walk(part: Mapping[str, Any], model: type[Section], path: str, shown: str) -> Iterator[NotInEffect]:
        for key, value in part.items():
            name = model.other_spellings.get(str(key), str(key))
            inner, inner_shown = _joined(path, name), _joined(shown, str(key))
            effect = EFFECTS.get(inner)
            if effect is not None and not effect.is_in_effect(served=served, small_model=small_model):
                if value is not None and value != effect.neutral:
                    yield NotInEffect(inner_shown, effect.why, effect.remedy)
                continue
            field = model.model_fields.get(name)
            section = section_of(field.annotation) if field is not None else None
            if section is not None:
                for place, item in _items(value, inner_shown):
                    yield from walk(item, section, inner, place)

    return list(walk(document, _section(at), at, at))


def _items(value: Any, shown: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        yield shown, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, Mapping):
                yield f"{shown}[{index}]", item


def sections(model: type[Section] = Persona, at: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Every part of a persona with its path; the whole persona has the path ""."""
    yield at, model
    for name, field in model.model_fields.items():
        part = section_of(field.annotation)
        if part is not None:
            yield from sections(part, _joined(at, name))


def _section(at: str) -> type[Section]:
    return dict(sections())[at]


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
