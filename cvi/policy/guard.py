"""The guardrails of one conversation: on what the participant says, on each clause of a reply before it
is spoken, on what documents and tools tell the model, and, beside all that, by the model's own judgement.

Nothing has an effect outside before the reply is committed: a draft that nobody hears triggers nothing.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Literal, cast

from cvi.conversation.capabilities import Steering
from cvi.conversation.events import (
    ContextScreened,
    DraftDiscarded,
    EngineFailed,
    Event,
    GuardrailNotChecked,
    GuardrailTriggered,
    HumanRequested,
    ReplyCommitted,
    ReplyInterrupted,
    ReplyWritten,
    TurnCommitted,
    TurnTyped,
)
from cvi.errors import CviError, EngineError
from cvi.knowledge.notes import BEFORE, HEAD, NOTHING
from cvi.llm.base import Message
from cvi.llm.clauses import Clause
from cvi.memory.recall import TURN_HEAD
from cvi.persona.policy import Guardrail
from cvi.policy.checks import Checks, GuardrailFinding
from cvi.policy.grounding import Grounding
from cvi.threads import NativeThread

OWN_NOTES = frozenset({"objectives", "perception"})
"""Sources whose notes this program words itself."""
SAID: dict[str, str] = {
    "rephrase": "Let me put that differently: I'd rather not say that.",
    "refuse": "I'm sorry, that's something I can't talk about. Is there anything else I can help you with?",
    "escalate": "I would like a colleague of mine to talk with you about this. Please hold on.",
    "end": "I'm going to end our conversation here. Goodbye.",
}
"""What is said for an action where the guardrail has no `say` of its own."""
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|\n+")
OWN_SENTENCES = frozenset(
    sentence for text in (HEAD, NOTHING, BEFORE, TURN_HEAD) for sentence in _SENTENCE_ENDS.split(text)
)
"""What this program says of passages and memories to the model, beside quoting them."""
_JUDGE = (
    "You check what a voice assistant is about to say. The rules:\n{rules}\n\nThe user said: {turn}\n"
    "The assistant says: {reply}\n\nWhich rule does the assistant's text break? Answer as JSON with the "
    "number of the broken rule, or 0 if it breaks none. Declining breaks no rule."
)

Side = Literal["participant", "reply"]


class ConversationGuard:
    """A `ReplyGuard` and an `Observer`. Event loop only; checks run on a thread of their own."""

    def __init__(
        self,
        checks: Checks,
        judged: Sequence[Guardrail] = (),
        *,
        grounding: Grounding | None = None,
        said_instead: tuple[str, str] = ("", ""),
        virtual_time: bool = False,
    ) -> None:
        """By the guardrails `judged` the conversation's model reads each reply while that is spoken. What has
        no ground by `grounding` is not said; `said_instead` is what stands before a sentence of the documents
        then, and what is said where none answers. In `virtual_time`, whose clock waits for no thread, checks
        run on the event loop."""
        self._grounding = grounding
        self._before_quote, self._not_said = said_instead
        self._ungrounded = GuardrailFinding(
            Guardrail(
                guardrail_name="grounding",
                guardrail_prompt="Replies say what the documents say.",
                app_message=False,
            ),
            "documents",
        )
        self._checks = checks
        self._judged = list(judged)
        self._thread = None if virtual_time else NativeThread("guardrails")
        self._steering: Steering | None = None
        self._found: dict[int, list[GuardrailTriggered]] = {}
        self._ends: set[int] = set()
        self._turns: dict[int, str] = {}
        self._judging: asyncio.Task[None] | None = None
        self._screened: dict[str, str] = {}

    # -- replies ----------------------------------------------------------------------------------

    async def clauses(
        self,
        reply: int,
        turn: str,
        written: AsyncIterator[Clause],
        again: Callable[[str], AsyncIterator[Clause]],
    ) -> AsyncIterator[Clause]:
        """See `ReplyGuard`."""
        try:
            found = await self._find(turn, "participant") if turn else None
            if found is not None:
                self._note(reply, "participant", found, turn)
                yield self._instead(found, reply)
                return
            broken: GuardrailFinding | None = None
            said_sentence = False
            async with aclosing(
                cast("AsyncGenerator[Clause]", self._checked(reply, turn, written))
            ) as checked:
                async for clause in checked:
                    if isinstance(clause, GuardrailFinding):
                        broken = clause
                        break
                    said_sentence = not clause.restarts and (said_sentence or clause.ends_sentence)
                    yield clause
            if broken is None or (broken is self._ungrounded and said_sentence):
                return
            yield Clause("", ends_sentence=False, restarts=True)
            if broken.guardrail.check.action == "rephrase":
                anew = again(
                    "What you were about to say breaks this rule: "
                    f"{broken.guardrail.guardrail_prompt.strip()} Answer again, shorter, and keep the rule."
                )
                said = 0
                async with aclosing(
                    cast("AsyncGenerator[Clause]", self._checked(reply, turn, anew, whole_sentences=True))
                ) as checked:
                    async for clause in checked:
                        if isinstance(clause, GuardrailFinding):
                            yield Clause("", ends_sentence=False, restarts=True)
                            said = 0
                            break
                        said += 1
                        yield clause
                if said:
                    return
            yield self._instead(broken, reply)
        finally:
            await cast("AsyncGenerator[Clause]", written).aclose()

    async def _checked(
        self, reply: int, turn: str, written: AsyncIterator[Clause], *, whole_sentences: bool = False
    ) -> AsyncIterator[Clause | GuardrailFinding]:
        """The clauses up to the first that breaks a guardrail, alone or with those of its sentence before it;
        then what was found. With `whole_sentences`, and in a reply from documents, the beginning of a
        sentence waits for the rest: what is stopped in the middle is no sentence."""
        sentence = ""
        held: list[Clause] = []
        async with aclosing(cast("AsyncGenerator[Clause]", written)) as clauses:
            async for clause in clauses:
                if clause.restarts:
                    sentence = ""
                    held = []
                    yield clause
                    continue
                sentence = f"{sentence} {clause.text}".strip()
                whole = clause.ends_sentence and not clause.goes_on
                found = await self._find(sentence, "reply", whole=whole)
                held.append(clause)
                if found is None and whole and self._lacks_ground(reply, turn, sentence):
                    found = self._ungrounded
                if found is None and not whole and (whole_sentences or self._checks_ground(reply)):
                    continue
                if found is not None:
                    self._note(reply, "reply", found, sentence)
                    yield found
                    return
                if clause.ends_sentence:
                    sentence = ""
                for each in held:
                    yield each
                held = []
        if held and not self._lacks_ground(reply, turn, sentence):
            for each in held:
                yield each
        elif held:  # a last sentence without an end
            self._note(reply, "reply", self._ungrounded, sentence)
            yield self._ungrounded

    def _checks_ground(self, reply: int) -> bool:
        return self._grounding is not None and self._grounding.checks(reply)

    def _lacks_ground(self, reply: int, turn: str, sentence: str) -> bool:
        return self._grounding is not None and bool(self._grounding.fault(reply, turn, sentence))

    async def _find(self, text: str, side: Side, *, whole: bool = True) -> GuardrailFinding | None:
        sentences = _SENTENCE_ENDS.split(text) if side == "participant" else [text]

        def find() -> GuardrailFinding | None:
            found = (self._checks.find(sentence, side, whole=whole) for sentence in sentences)
            return next((each for each in found if each is not None), None)

        try:
            return find() if self._thread is None else await self._thread.run(find)
        except EngineError as error:
            self._write(EngineFailed(layer="embeddings", message=str(error)))
            return None

    def _instead(self, found: GuardrailFinding, reply: int) -> Clause:
        if found is self._ungrounded and self._grounding is not None:
            quote = self._grounding.quote(reply)
            text = f"{self._before_quote} {quote}".strip() if quote else self._not_said
            return Clause(text, ends_sentence=True)
        return Clause(self._instead_of(found.guardrail), ends_sentence=True)

    @staticmethod
    def _instead_of(rail: Guardrail) -> str:
        return rail.check.say or SAID[rail.check.action]

    def _note(self, reply: int, side: Side, found: GuardrailFinding, text: str) -> None:
        action = found.guardrail.check.action
        event = GuardrailTriggered(
            reply=reply,
            guardrail=found.guardrail.guardrail_name,
            side=side,
            by=found.by,
            score=found.score,
            action=action,
            text=text,
            app_message=found.guardrail.app_message,
            tool_call=found.guardrail.tool_call or {},
        )
        self._found.setdefault(reply, []).append(event)
        if action == "end":
            self._ends.add(reply)
        if self._steering is not None and self._steering.is_committed(reply):
            self._flush(reply)

    def ends(self, reply: int) -> bool:
        """See `ReplyGuard`."""
        return reply in self._ends

    def _flush(self, reply: int) -> None:
        for event in self._found.pop(reply, []):
            self._write(event)
            if event.action == "escalate":
                self._write(HumanRequested(source=event.guardrail, reason=event.text))

    def _write(self, event: Event) -> None:
        if self._steering is not None:
            self._steering.journal.write(event)

    # -- notes ------------------------------------------------------------------------------------

    async def screen(self, source: str, note: str) -> str:
        """See `ReplyGuard`."""
        if self._thread is not None and source not in OWN_NOTES and note not in self._screened:
            # The checks remember what they found: hundreds of sentences would hold up the event loop.
            await self._thread.run(lambda: [self._instructs(part) for part in _sentences(note)])
        return self.screened(source, note)

    def screened(self, source: str, note: str) -> str:
        """See `ReplyGuard`."""
        if source in OWN_NOTES:
            return note
        if note not in self._screened:
            kept, taken = self._without_instructions(note)
            if len(self._screened) > 256:
                self._screened.clear()
            self._screened[note] = kept
            if taken:
                self._write(ContextScreened(source=source, removed=taken))
        return self._screened[note]

    def _without_instructions(self, note: str) -> tuple[str, list[str]]:
        """The note without sentences that instruct, and those. Of JSON, each text in it is looked at alone:
        its braces and names look like the notation of a prompt."""
        taken: list[str] = []

        def kept(value: Any) -> Any:
            if isinstance(value, dict):
                return {kept(name): kept(each) for name, each in value.items()}
            if isinstance(value, list):
                return [kept(each) for each in value]
            if not isinstance(value, str):
                return value
            lines = []
            for line in value.split("\n"):
                parts = _sentences(line)
                bad = [part for part in parts if self._instructs(part)]
                taken.extend(bad)
                lines.append(" ".join(part for part in parts if part not in bad))
            return "\n".join(lines).strip()

        try:
            value = json.loads(note) if note[:1] in ("{", "[") else note
        except (ValueError, RecursionError):
            value = note
        clean = kept(value)
        if isinstance(value, str):
            return clean, taken
        return json.dumps(clean, ensure_ascii=False) if taken else note, taken

    def _instructs(self, sentence: str) -> bool:
        return sentence not in OWN_SENTENCES and self._checks.find_in_context(sentence) is not None

    # -- events -----------------------------------------------------------------------------------

    def attach(self, steering: Steering) -> None:
        """See `Observer`."""
        self._steering = steering
        if self._grounding is not None:
            steering.journal.subscribe(self._grounding.note)
        for name in self._checks.refused:
            self._write(GuardrailNotChecked(guardrail=name, why="its check stops everyday sentences too"))
        judged = {rail.guardrail_name for rail in self._judged}
        for name in self._checks.unchecked:
            if name not in judged:
                self._write(GuardrailNotChecked(guardrail=name, why="it is only a sentence for the model"))

    def on_event(self, event: Event) -> None:
        """See `Observer`."""
        match event:
            case TurnCommitted() | TurnTyped():
                self._turns = {event.reply: event.text}
            case ReplyCommitted():
                self._flush(event.reply)
            case DraftDiscarded() | ReplyInterrupted():
                self._found.pop(event.reply, None)
                self._stop_judging()
                if (
                    isinstance(event, ReplyInterrupted)
                    and event.why != "guardrail"
                    and self.ends(event.reply)
                ):
                    assert self._steering is not None
                    self._steering.end("guardrail")
            case ReplyWritten():
                self._judge_beside(event.reply, event.text)

    def _judge_beside(self, reply: int, text: str) -> None:
        """The model reads what it wrote, while that is spoken. What it objects to is stopped."""
        self._stop_judging()
        if not self._judged or text in {self._instead_of(rail) for rail in self._judged}:
            return
        self._judging = asyncio.create_task(self._read(reply, text), name="guardrail-judge")

    def _stop_judging(self) -> None:
        if self._judging is not None:
            self._judging.cancel()
            self._judging = None

    async def _read(self, reply: int, text: str) -> None:
        steering = self._steering
        if steering is None or not await steering.committed(reply):
            return
        rules = "\n".join(f"{n}. {rail.guardrail_prompt.strip()}" for n, rail in enumerate(self._judged, 1))
        prompt = _JUDGE.format(rules=rules, turn=self._turns.get(reply, "") or "(nothing)", reply=text)
        schema = {
            "type": "object",
            "properties": {"broken_rule": {"type": "integer", "minimum": 0, "maximum": len(self._judged)}},
            "required": ["broken_rule"],
        }
        try:
            answer = await steering.llm.structured([Message("user", prompt)], schema, max_tokens=16)
        except CviError as error:
            self._write(EngineFailed(layer="llm", message=str(error)))
            return
        number = answer.get("broken_rule")
        if not isinstance(number, int) or not 1 <= number <= len(self._judged):
            return
        found = GuardrailFinding(self._judged[number - 1], "model")
        self._note(reply, "reply", found, text)
        steering.replace_reply(reply, self._instead(found, reply).text, ends=self.ends(reply))

    async def close(self) -> None:
        """See `Observer`."""
        self._stop_judging()
        if self._thread is not None:
            self._thread.close()


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE_ENDS.split(text) if part]
