"""`cvi bench memory`: whether what is said in one conversation is known in the next.

Both are typed conversations with the real model. In the first the replies are written down beforehand, so
that it holds what the script says; the model reads from it what is worth keeping. In the second it answers
one question. Graded by rules: words that the answer must hold, and must not.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.markup import escape

from cvi.bench.kept_answers import KeptAnswers
from cvi.bench.layers.measurement import finish, llm_name, proportion, show_progress
from cvi.bench.run import Variant
from cvi.bench.run_store import RunRecorder
from cvi.clock import Clock
from cvi.conversation.capabilities import Capabilities
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import ContextProvided, Event, MemoriesRecalled
from cvi.conversation.journal import JOURNAL_NAME, Journal, new_id, read_journal
from cvi.conversation.settings import ConversationSettings, TextEngines
from cvi.conversation.transcript import transcript
from cvi.embeddings.base import Embedder
from cvi.embeddings.shared import shared_embedder
from cvi.engines import build_llm, conversation_settings, resolve
from cvi.knowledge.passages import sentences
from cvi.llm.base import LlmEngine, Message, Sampling
from cvi.memory.participant import open_participant
from cvi.memory.store import MemoryKey, find_stores, memories_of, open_memory
from cvi.persona.schema import Persona
from cvi.transport.text import TextTransport

DIALOGUES = "memory.yaml"
ANSWERS_NAME = "recalled.json"
SETTLE_WITHIN_S = 600.0
_OWN, _YOU = (
    re.compile(rf"\b({words})\b", re.IGNORECASE) for words in ("I|me|my|mine|we|our", "you|your|yours")
)
_OF_THE_USER = re.compile(r"\bthe user\b", re.IGNORECASE)
_REPLY = "I see, thanks for telling me."
_PERSONA = {
    "persona_name": "Robin",
    "system_prompt": "You are Robin, a friendly companion who knows the people you talk with.",
    "memory": {"remember": True},
    "layers": {"perception": {"perception_model": "off"}},
}


class MemoryDialogue(BaseModel):
    """What is said in the first conversation and asked in the second; what the answer holds and lacks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    said: list[str]
    ask: str
    holds: list[str]
    lacks: list[str] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RecalledAnswer:
    """What was kept of the first conversation (`memories`), what was answered in the second, the grades.

    `kept`: a memory holds the fact; `told`: what the model was told in the second conversation holds it.
    """

    ask: str
    memories: list[str]
    answer: str
    kept: bool
    told: bool
    right: bool
    cpu_s: float


class ScriptedReplies:
    """An `LlmEngine` that says the same to everything; all other work is done by `model`."""

    def __init__(self, model: LlmEngine, reply: str) -> None:
        self.name = model.name
        self._model = model
        self._reply = reply

    async def warm(self, messages: Sequence[Message]) -> None:
        """Nothing is written by a model."""

    async def prefill(self, messages: Sequence[Message], partial: str) -> None:
        """Nothing is written by a model."""

    async def completeness(self, messages: Sequence[Message], text: str) -> float | None:
        """Every turn is complete."""
        return 1.0

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str]:
        """The reply."""
        yield self._reply

    async def structured(
        self, messages: Sequence[Message], schema: Mapping[str, Any], *, max_tokens: int = 256
    ) -> dict[str, Any]:
        """The model's answer."""
        return await self._model.structured(messages, schema, max_tokens=max_tokens)

    async def close(self) -> None:
        """The model is closed by whoever built it."""


def load_dialogues(count: int | None = None) -> list[MemoryDialogue]:
    """The dialogues beside this file; `count` of them, spread over all."""
    text = Path(__file__).with_name(DIALOGUES).read_text(encoding="utf-8")
    every = [MemoryDialogue.model_validate(item) for item in yaml.safe_load(text)]
    if count is None or count >= len(every):
        return every
    return [every[round(number * len(every) / count)] for number in range(count)]


def holds(text: str, dialogue: MemoryDialogue) -> bool:
    """Whether a text holds a word that begins with one of the wanted ones."""
    return _any_begins(text, dialogue.holds)


def is_right(answer: str, dialogue: MemoryDialogue) -> bool:
    """Whether an answer holds what is wanted, said to the participant, and none of what it must not hold.

    A sentence with what is wanted that speaks of "me" and not of "you", or of "the user", is wrong.
    """
    told = [each for each in sentences(answer) if holds(each, dialogue)]
    wrong = any(_OF_THE_USER.search(each) or (_OWN.search(each) and not _YOU.search(each)) for each in told)
    return bool(told) and not wrong and not _any_begins(answer, dialogue.lacks)


def _any_begins(text: str, parts: Sequence[str]) -> bool:
    return any(re.search(rf"\b{re.escape(part)}", text.lower()) for part in parts)


async def hold_dialogue(
    dialogue: MemoryDialogue,
    llm: LlmEngine,
    embedder: Embedder,
    settings: ConversationSettings,
    folder: Path,
) -> RecalledAnswer:
    """Both conversations, with a memory of their own under `folder`."""
    began = time.process_time()
    path = folder / "memory.sqlite3"
    await _converse(dialogue.said, ScriptedReplies(llm, _REPLY), embedder, settings, folder, path)
    connection = open_memory(path)
    stores = find_stores(connection)
    memories = [each.text for store in stores for each in memories_of(connection, store.id)]
    connection.close()
    events = await _converse([dialogue.ask], llm, embedder, settings, folder, path)
    spent = round(time.process_time() - began, 2)
    told = [each for event in events if isinstance(event, MemoriesRecalled) for each in event.memories]
    told += [event.text for event in events if isinstance(event, ContextProvided)]
    answer = " ".join(line.text for line in transcript(events) if line.role == "assistant")
    kept, known = holds(" ".join(memories), dialogue), holds(" ".join(told), dialogue)
    return RecalledAnswer(dialogue.ask, memories, answer, kept, known, is_right(answer, dialogue), spent)


async def _converse(
    turns: Sequence[str],
    llm: LlmEngine,
    embedder: Embedder,
    settings: ConversationSettings,
    folder: Path,
    path: Path,
) -> list[Event]:
    id = new_id()
    clock = Clock()
    memory = await asyncio.to_thread(
        open_participant, [MemoryKey("participant", "Robin")], embedder, path=path
    )
    capabilities = Capabilities([memory.provider], observers=[memory.keeper], background=memory.background)
    journal = Journal(folder / id / JOURNAL_NAME, clock)
    settings = replace(settings, conversation_id=id)
    transport = TextTransport(lambda text: None)
    conversation = Conversation(settings, TextEngines(llm), None, transport, journal, clock, capabilities)
    running = asyncio.create_task(conversation.run())
    for turn in turns:
        await conversation.answered()
        conversation.respond(turn)
        await conversation.answered()
    conversation.end("participant_left")
    await running
    await capabilities.settle(SETTLE_WITHIN_S)
    journal.close()
    return list(read_journal(folder / id / JOURNAL_NAME))


def measure_memory(
    *, profile: str, count: int | None, kept: Path | None, output: Path | None, json: bool
) -> None:
    """Hold the dialogues, grade them, write the run and print it; the model's answers are kept in the file
    `kept` for the next time. Raises MissingError, EngineError.
    """
    config = resolve(Persona.model_validate(_PERSONA), profile=profile)
    dialogues = load_dialogues(count)
    settings = replace(conversation_settings(config, "", typed=True), greeting="")
    recorder = RunRecorder(
        "memory", {"dialogues": len(dialogues)}, profile=config.profile.name, output=output
    )
    answers: list[RecalledAnswer] = []

    async def run() -> None:
        llm: LlmEngine = await build_llm(config)
        if kept is not None:
            llm = KeptAnswers(llm, Path(config.llm.model or "").name, kept)
        embedder = shared_embedder()
        tell = show_progress(len(dialogues))
        try:
            for dialogue in dialogues:
                with tempfile.TemporaryDirectory(prefix="cvi-memory-") as folder:
                    answers.append(await hold_dialogue(dialogue, llm, embedder, settings, Path(folder)))
                recorder.write(ANSWERS_NAME, [asdict(each) for each in answers])
                tell(dialogue.ask[:40])
        finally:
            await llm.close()

    asyncio.run(run())
    if not json:
        _print_mistakes(answers)
    about = llm_name(config)
    figures = (
        proportion("kept", "facts kept", (each.kept for each in answers), lower_is_better=False),
        proportion("told", "facts told to the model", (each.told for each in answers), lower_is_better=False),
        proportion("right", "answers right", (each.right for each in answers), lower_is_better=False),
    )
    finish(recorder, [Variant("cvi", about, {"llm": about}, figures=figures)], json)


def _print_mistakes(answers: Sequence[RecalledAnswer]) -> None:
    console = Console(highlight=False)
    for each in answers:
        if not each.right:
            console.print(f"[red]{escape(each.ask)}[/]  {escape(each.answer)}")
            console.print(f"  kept: {escape('; '.join(each.memories)) or 'nothing'}", style="dim")
