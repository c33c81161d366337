"""From the body of `POST /v2/conversations` to an open room."""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from cvi.conversation.journal import RECORDING_NAME, new_id
from cvi.errors import UsageError
from cvi.face.consent import require_consent
from cvi.memory.store import participant_name
from cvi.persona.field_effects import NotInEffect
from cvi.persona.language import language_name
from cvi.persona.loading import with_absolute_documents
from cvi.persona.policy import Knowledge
from cvi.persona.schema import Persona
from cvi.server.catalog.engine_fallback import with_installed_engines
from cvi.server.catalog.persona_document import check
from cvi.server.catalog.persona_store import StoredPersona
from cvi.server.catalog.replica_store import StoredReplica
from cvi.server.catalog.well_known_ids import DEFAULT_PERSONA
from cvi.server.contract import Body, HttpProblem, invalid, not_here_yet
from cvi.server.ice_servers import ice_servers_for
from cvi.server.jobs.buckets import bucket_asked_for
from cvi.server.rooms.room import lock_with, new_token
from cvi.server.rooms.rooms import RoomOrder
from cvi.server.services import Services
from cvi.server.store import resources
from cvi.server.store.conversations import ConversationRow, add_conversation
from cvi.server.worker.messages import IceServerEntry, RememberedAs, SessionLimits, StartSession, VideoFormat

LONGEST_CALL_S = 3600
LATE_S = 3600.0
"""A private room's token is valid while the room waits for its participant, and at most so long."""
_BY_ID = ("objectives_id", "guardrails_id", "guardrail_ids", "guardrail_tags", "tool_ids")
"""Fields of a persona by which what came through the API becomes part of it."""
_Text = Annotated[str, Field(max_length=200_000)]
_Name = Annotated[str, Field(max_length=255)]
_Id = Annotated[str, Field(max_length=100)]


class PropertiesBody(Body):
    """The fields that the contract has under `properties`."""

    max_call_duration: Annotated[int, Field(ge=1)] = LONGEST_CALL_S
    """Seconds; at most 3600."""
    participant_left_timeout: Annotated[int, Field(ge=0, le=LONGEST_CALL_S)] = 0
    """Seconds that an empty room waits for somebody to come back."""
    participant_absent_timeout: Annotated[int, Field(ge=0, le=LONGEST_CALL_S)] = 300
    """Seconds that a room waits for its first participant."""
    enable_recording: bool = False
    auto_start_recording: bool = False
    enable_closed_captions: bool = True
    """Whether the room shows captions at first; the participant can switch them."""
    apply_greenscreen: bool = False
    language: _Name = ""
    """An English name, a two-letter code, or multilingual."""
    require_auth: bool = False
    recording_storage: dict[str, Any] = Field(default_factory=dict)
    """`provider` s3 with `bucket_name`; `bucket_region`, `assume_role_arn`, `external_id` as wanted."""
    recording_s3_bucket_name: _Name = ""
    recording_s3_bucket_region: _Name = ""
    aws_assume_role_arn: Annotated[str, Field(max_length=2048)] = ""
    livekit_ws_url: str = ""
    livekit_room_token: Annotated[str, Field(repr=False)] = ""
    daily_room: Any = None


class ConversationBody(Body):
    """A conversation to create. `pal_id` and `face_id` are read as well."""

    persona_id: _Id = ""
    replica_id: _Id = ""
    conversation_name: _Name = ""
    callback_url: Annotated[str, Field(max_length=2048)] = ""
    conversational_context: _Text = ""
    custom_greeting: Annotated[str, Field(max_length=2000)] | None = None
    """Spoken first, and not to be interrupted."""
    enable_dynamic_greeting: bool = False
    """The language model writes the greeting, unless there is a `custom_greeting`."""
    audio_only: bool = False
    chat: bool = False
    test_mode: bool = False
    require_auth: bool = False
    max_participants: Annotated[int, Field(ge=2, le=1000)] | None = None
    """The face counts as one."""
    meeting_url: str = ""
    document_ids: list[str] = Field(default_factory=list)
    document_tags: list[str] = Field(default_factory=list)
    document_retrieval_strategy: Literal["speed", "balanced", "quality"] | None = None
    """`balanced` unless the persona says otherwise."""
    policy: Literal["", "eu"] = ""
    """`eu`: the participant is told that they talk with a program, and emotions are not recognized."""
    memory_stores: list[str] = Field(default_factory=list)
    participant_tags: list[str] = Field(default_factory=list)
    properties: PropertiesBody = Field(default_factory=PropertiesBody)

    @property
    def private(self) -> bool:
        """Whether only who has the token may join."""
        return self.require_auth or self.properties.require_auth


async def create_conversation(
    body: ConversationBody, services: Services
) -> tuple[ConversationRow, str | None]:
    """Check the request, reserve a place, open the room; returns its row and its token, if it is private.

    Raises `HttpProblem`.
    """
    from cvi.engines import DEFAULT_REPLICA

    _refuse_what_is_not_here(body)
    if not body.persona_id and not body.replica_id:
        raise HttpProblem(400, "Either persona_id or replica_id must be provided.")
    bucket = bucket_asked_for(body.properties.model_dump(), services.settings.recording_buckets)
    persona = await asyncio.to_thread(services.personas.get, body.persona_id or DEFAULT_PERSONA)
    remembered = remembered_as(body, persona.id, services.owner)
    language = _language(body.properties.language)
    wanted = body.replica_id or str(persona.document.get("default_replica_id") or DEFAULT_REPLICA)
    replica = await finished_replica(wanted, services)
    document, checked, missing = await _checked_document(body, persona, services)
    if body.callback_url:
        await services.url_policy.vet(body.callback_url)
    now = services.wall()
    waits_s = body.properties.participant_absent_timeout or LATE_S
    token = new_token() if body.private else None
    key = None if token is None else lock_with(token, now + min(waits_s, LATE_S))
    row = ConversationRow(
        id=new_id(),
        name=body.conversation_name or f"Conversation with {checked.spoken_name} {secrets.token_hex(2)}",
        status="ended" if body.test_mode else "active",
        persona_id=persona.id,
        replica_id=replica.id,
        callback_url=body.callback_url,
        created_at=now,
        updated_at=now,
        token_digest=None if key is None else key.token_digest,
        token_expires_at=None if key is None else key.until,
        request={
            **_kept_request(body, document, checked),
            "not_installed": [asdict(row) for row in missing],
            "substituted_for": [
                *services.personas.substituted(persona),
                *services.replicas.substituted(replica),
            ],
            "recording_bucket": None if bucket is None else bucket.document(),
        },
        owner=services.owner,
    )
    if body.test_mode:
        await services.database.write(lambda connection: add_conversation(connection, row))
        return row, token
    services.rooms.reserve()
    start = _start_message(row.id, body, document, replica, language or checked.language, services)
    start = start.model_copy(update={"remembered": remembered})
    if services.settings.asks_for_keys and (persona.foreign or any(map(document.get, _BY_ID))):
        start = start.model_copy(update={"private_hosts": services.settings.urls_to})
    seats = None if body.max_participants is None else body.max_participants - 1
    await services.rooms.open(RoomOrder(row, start, key, seats))
    return row, token


async def _checked_document(
    body: ConversationBody, persona: StoredPersona, services: Services
) -> tuple[dict[str, Any], Persona, list[NotInEffect]]:
    """The persona as this conversation runs it, the same checked, and its engines that are not installed.

    Raises the contract's 400 for a persona that must not run on the server's profile.
    """
    whole, missing = await asyncio.to_thread(with_installed_engines, persona.whole)
    document = await _resolved(whole, services)
    document["knowledge"] = await _knowledge(document, body, persona.path, services)
    if body.policy:
        document["policy"] = body.policy
    checked = check(document)
    if not checked.may_run_on(services.profile.name):
        raise HttpProblem(
            400,
            f"'{checked.persona_name}' must not run on the profile '{services.profile.name}': "
            f"{checked.why_not_on(services.profile.name)}. "
            f"On the server: cvi models pull {checked.better_profile}",
        )
    return document, checked, missing


def remembered_as(body: ConversationBody, persona_id: str, owner: str) -> list[RememberedAs]:
    """The memories of the participant: theirs with this persona, by their first tag, then the named stores.

    Raises the contract's 400 for a name that cannot be one.
    """
    try:
        tags = [participant_name(tag) for tag in body.participant_tags[:1]]
        stores = [participant_name(name) for name in body.memory_stores]
    except UsageError as error:
        raise HttpProblem(400, str(error)) from error
    own = [RememberedAs(participant=tag, persona=persona_id, owner=owner) for tag in tags]
    return [*own, *(RememberedAs(participant=name, owner=owner) for name in stores)]


def _refuse_what_is_not_here(body: ConversationBody) -> None:
    if body.meeting_url:
        raise _not_joined("Joining a meeting of another service", "Leave out meeting_url.")
    if body.properties.livekit_ws_url:
        raise _not_joined("Joining a LiveKit room", "Leave out livekit_ws_url and use conversation_url.")
    if body.properties.daily_room:
        raise _not_joined("Joining a Daily room", "Leave out daily_room and use conversation_url.")


def _not_joined(what: str, instead: str) -> HttpProblem:
    """400, since clients send a request again that is answered from 500 on, and this one never works."""
    return HttpProblem(400, not_here_yet(what, instead).text, "message")


async def finished_replica(id: str, services: Services) -> StoredReplica:
    """The replica that a request names. Raises the contract's 400 for an unknown or unfinished one."""
    making = await services.training.find(id)
    if making is not None:
        raise HttpProblem(400, f"The replica {id} is not trained yet: its status is not 'completed'.")
    found = await asyncio.to_thread(services.replicas.get, id)
    try:
        await asyncio.to_thread(require_consent, found.folder, found.card)
    except UsageError:  # its words name this machine's folders
        text = f"The replica {id} cannot be used: the consent of its person is missing or was changed."
        raise HttpProblem(400, text) from None
    return found


def _language(text: str) -> str:
    """Our name of a language; "" for one that is not given. Raises the contract's 400 for an unknown one."""
    if not text.strip():
        return ""
    name = language_name(text)
    if name is None:
        raise invalid("language")
    return name


async def _resolved(document: dict[str, Any], services: Services) -> dict[str, Any]:
    """The persona with the objectives, guardrails and tools that it refers to by id written into it."""

    def look(kind: str, ids: list[str]) -> Any:
        return services.database.read(
            lambda connection: resources.get_many(connection, kind, ids, services.owner)
        )

    def items(found: list[resources.Resource], key: str) -> list[dict[str, Any]]:
        """A set's items, or the one item of the flat shape; the persona's own come first."""
        more = [item for each in found for item in each.document.get("data", [each.document])]
        return [*(document.get(key) or []), *more]

    if document.get("objectives_id"):
        sets = await look("objectives", [document["objectives_id"]])
        document["objectives"] = items(sets, "objectives")
        if any(each.document.get("allow_loops") for each in sets):
            document["objectives_may_loop"] = True
    rails = [document["guardrails_id"]] if document.get("guardrails_id") else []
    rails += document.get("guardrail_ids") or []
    if tags := set(document.get("guardrail_tags") or ()):
        every = await services.database.read(
            lambda connection: resources.every(connection, "guardrails", services.owner)
        )
        rails += [each.id for each in every if tags & set(each.document.get("tags") or ())]
    if rails := list(dict.fromkeys(rails)):
        document["guardrails"] = _named_once(
            items(await look("guardrails", rails), "guardrails"), "guardrail_name"
        )
        for rule in document["guardrails"]:
            # The contract lets a rule be called anything; a persona's file wants a plain word.
            name = str(rule["guardrail_name"])
            rule["guardrail_name"] = re.sub(r"\W+", "_", name, flags=re.ASCII)
            if not rule.get("callback_url"):
                rule.pop("callback_url", None)
    if document.get("tool_ids"):
        document["tools"] = _named_once(items(await look("tools", document["tool_ids"]), "tools"), "name")
    return document


async def _knowledge(
    document: dict[str, Any], body: ConversationBody, path: Path | None, services: Services
) -> dict[str, Any]:
    """What the persona and the request name of documents, as a persona's file would.

    Ids and tags stand for the owner's documents alone. Relative paths start at the persona's file.
    """
    named = Knowledge.model_validate(document.get("knowledge") or {})
    ids = {*body.document_ids, *(document.get("document_ids") or ())}
    tags = {*body.document_tags, *(document.get("document_tags") or ())}
    every = await services.database.read(
        lambda connection: resources.every(connection, "documents", services.owner)
    )
    known = {each.id for each in every}
    if unknown := sorted(set(body.document_ids) - known):
        raise HttpProblem(400, f"There is no document '{unknown[0]}'.")
    chosen = {each.id for each in every if each.id in ids or tags & set(each.document.get("tags") or ())}
    absolute = with_absolute_documents(named, path.parent) if path is not None else named
    strategy = body.document_retrieval_strategy or document.get("document_retrieval_strategy")
    return {
        "documents": absolute.documents,
        "document_ids": [*named.document_ids, *sorted(chosen)],
        "tags": named.tags,
        "retrieval": strategy or named.retrieval,
    }


def _named_once(items: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    return list({str(item.get(key)): item for item in reversed(items)}.values())[::-1]


def _records(body: ConversationBody, document: dict[str, Any]) -> bool:
    """Whether it is recorded, from its first participant on."""
    wanted = body.properties.enable_recording or body.properties.auto_start_recording
    return wanted or bool((document.get("recording") or {}).get("enabled"))


def _start_message(
    conversation_id: str,
    body: ConversationBody,
    document: dict[str, Any],
    replica: StoredReplica,
    language: str,
    services: Services,
) -> StartSession:
    wanted, video = body.properties, services.settings.video
    folder = services.rooms.folder(conversation_id)
    ice_servers = ice_servers_for(services.settings, conversation_id, services.wall())
    return StartSession(
        conversation_id=conversation_id,
        persona=document,
        replica=replica.name,
        replica_id=replica.id,
        profile=services.settings.profile,
        conversational_context=body.conversational_context,
        custom_greeting=body.custom_greeting,
        dynamic_greeting=body.enable_dynamic_greeting,
        language=language,
        audio_only=body.audio_only or body.chat,
        chat=body.chat,
        recording=folder / RECORDING_NAME if _records(body, document) else None,
        journal_folder=folder,
        limits=SessionLimits(
            max_call_duration_s=min(wanted.max_call_duration, LONGEST_CALL_S),
            participant_absent_timeout_s=wanted.participant_absent_timeout,
            participant_left_timeout_s=wanted.participant_left_timeout,
        ),
        ice_servers=[IceServerEntry.model_validate(server) for server in ice_servers],
        video=VideoFormat(width=video.width, height=video.height, fps=video.fps),
        greenscreen=wanted.apply_greenscreen,
        tool_modules=list(services.settings.tool_modules),
        mcp_commands=services.settings.mcp_commands,
    )


def _kept_request(body: ConversationBody, document: dict[str, Any], checked: Persona) -> dict[str, Any]:
    """What is stored of a request, without secrets, and what the persona settles for it."""
    bucket = {"recording_s3_bucket_name", "recording_s3_bucket_region", "aws_assume_role_arn"}
    return {
        **body.model_dump(exclude={"properties"}),
        "properties": body.properties.model_dump(
            exclude={"livekit_room_token", "recording_storage", *bucket}
        ),
        "system_prompt": checked.system_prompt or "",
        "persona_name": checked.spoken_name,
        "disclosure": checked.disclosure.visual,
        "recording": _records(body, document),
        "recording_keep_days": (document.get("recording") or {}).get("keep_days"),
    }
