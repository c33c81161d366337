"""Follows a conversation's objectives: fills their variables beside the replies, and steers the persona.

After each turn the model fills in a form of what is still open, under a grammar, while the reply is spoken:
never before it. Where the machine has no time for that, turns wait, and one form takes down all that wait.
What the model fills in counts only if it was said (`said_values`). The next turn's note tells the persona
what is open now; all state is in code.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cvi.conversation.capabilities import Steering
from cvi.conversation.events import (
    EngineFailed,
    Event,
    ObjectiveActivated,
    ObjectiveCompleted,
    ObjectivePending,
    ObjectiveResults,
    ObjectiveUpdated,
    ReplyFinished,
    ReplyInterrupted,
    TurnCommitted,
    TurnReopened,
    TurnTyped,
)
from cvi.errors import CviError
from cvi.llm.base import Message
from cvi.persona.policy import Objective
from cvi.policy.answer_kinds import settled
from cvi.policy.objectives import ObjectiveMachine
from cvi.policy.said_values import content_words, is_answer, said_value

FINISH_WITHIN_S = 20.0
"""One form of several turns takes a model of 1.5 billion parameters some 8 s of one core."""
MOST_TURNS = 6
"""So many turns are taken down with one form."""
MAX_TOKENS = 200
_YES = re.compile(
    r"^\W*(yes|yeah|yep|yup|correct|right|exactly|sure|that's (right|correct|it)|true|absolutely|perfect)\b",
    re.IGNORECASE,
)
_CORRECTS = re.compile(
    r"\b(no|not|actually|sorry|wrong|i meant|i mean|correction|rather|instead|wait)\b|n't\b", re.IGNORECASE
)
_TAKES_BACK = re.compile(
    r"^\W*(no|nope|wait|sorry)\b|\b(actually|that('s| is) wrong|i meant|correction|i made a mistake)\b",
    re.IGNORECASE,
)
"""What says by itself that something said before was wrong; other negations only together with it."""
_FORM = (
    "A form is filled in from what somebody says.\n{about}\nFields:\n{fields}\n\n{exchanges}"
    '\nFill in the fields as JSON. Copy their own words, as short as possible. Write "" '
    "for a field that they did not answer, or would not answer. Never guess."
)
_REACHED = "- {name}: true only if this has just happened: {prompt}"
_WHICH = (
    "Which of these is so, after what was said? Answer as JSON.\n{options}\n\nThe conversation:\n{lines}\n\n"
    "Known: {known}"
)


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A turn, and what the persona had said before it."""

    turn: int
    asked: str
    said: str

    def told(self) -> str:
        asked = f'They were asked: "{self.asked}"\n' if self.asked else ""
        return f'{asked}They said: "{self.said}"\n'


class ObjectiveTracker:
    """A `ContextProvider` and an `Observer`. Event loop only."""

    name = "objectives"

    def __init__(self, objectives: Sequence[Objective], *, english: bool = True) -> None:
        """`english`: whether the participant speaks it, so that answers can be told by their words."""
        self._english = english
        self._machine = ObjectiveMachine([item for item in objectives if item.modality == "verbal"])
        self._steering: Steering | None = None
        self._lines: list[tuple[str, str]] = []
        self._turns: asyncio.Queue[_Exchange] = asyncio.Queue()
        self._work: asyncio.Task[None] | None = None
        self._taken_back: set[int] = set()

    # -- ContextProvider --------------------------------------------------------------------------

    def follow(self, partial: str) -> None:
        """Nothing: the note depends on what was said before."""

    def note(self, text: str) -> str:
        """What the persona is to find out now."""
        return self.standing_note()

    def standing_note(self) -> str:
        """See `StandingProvider`."""
        current = self._machine.current
        if current is None:
            return ""
        known = "; ".join(f"{_words(name)}: {value}" for name, value in current.found.items())
        if current.state == "pending":
            return f"Repeat what you took down ({known or 'what was agreed'}) and ask whether that is right."
        parts = [f"Your present aim: {current.objective.objective_prompt.strip()}"]
        if current.missing:
            parts.append(f"Still unknown: {', '.join(map(_words, current.missing))}.")
        if known:
            parts.append(f"Known, so do not ask again: {known}.")
        return " ".join(parts)

    # -- Observer ---------------------------------------------------------------------------------

    def attach(self, steering: Steering) -> None:
        """See `Observer`."""
        self._steering = steering
        current = self._machine.current
        if current is not None:
            self._write(ObjectiveActivated(objective=current.name))
            self._work = asyncio.create_task(self._follow_turns(), name="objectives")

    def on_event(self, event: Event) -> None:
        """See `Observer`."""
        match event:
            case TurnCommitted() | TurnTyped():
                asked = next((text for who, text in reversed(self._lines) if who == "Assistant"), "")
                self._lines.append(("Participant", event.text))
                self._turns.put_nowait(_Exchange(event.turn, asked, event.text))
            case TurnReopened():
                # What was said comes again, with more.
                self._taken_back.add(event.turn)
            case ReplyFinished():
                self._lines.append(("Assistant", event.text))
            case ReplyInterrupted() if event.heard:
                self._lines.append(("Assistant", event.heard))

    async def close(self) -> None:
        """Finish the last turn, then write the results."""
        if self._work is None:
            return
        try:
            async with asyncio.timeout(FINISH_WITHIN_S):
                await self._turns.join()
        except TimeoutError:
            pass
        self._work.cancel()
        self._write(ObjectiveResults(results=self._machine.results()))

    async def settled(self) -> None:
        """Return when every turn so far has been taken down."""
        await self._turns.join()

    @property
    def found(self) -> dict[str, str]:
        """Every output variable that is known."""
        return {name: value for each in self._machine.progress for name, value in each.found.items()}

    def confirm(self, name: str) -> bool:
        """The application confirms a pending objective; False where it waits for none of that name."""
        current = self._machine.current
        if current is None or current.state != "pending" or current.name != name:
            return False
        self._complete("application", None)
        return True

    # -- turns ------------------------------------------------------------------------------------

    async def _follow_turns(self) -> None:
        while True:
            waiting = [await self._turns.get()]
            current = self._machine.current
            # What a confirmation answers is one turn alone.
            most = 1 if current is not None and current.state == "pending" else MOST_TURNS
            while len(waiting) < most and not self._turns.empty():
                waiting.append(self._turns.get_nowait())
            try:
                exchanges = [each for each in waiting if each.turn not in self._taken_back]
                if exchanges:
                    await self._take_down(exchanges)
            except CviError as error:
                self._write(EngineFailed(layer="llm", message=str(error)))
            finally:
                for _ in waiting:
                    self._turns.task_done()

    async def _take_down(self, exchanges: Sequence[_Exchange]) -> None:
        current = self._machine.current
        if current is None:
            return
        if current.state == "pending":
            said = exchanges[0].said
            if _YES.search(said) and not _CORRECTS.search(said):
                await self._finish("participant")
                return
            self._machine.reopen()
        filled, reached = await self._filled(exchanges)
        for progress in self._machine.fill(filled):
            self._write(ObjectiveUpdated(objective=progress.name, output_variables=dict(progress.found)))
        while (current := self._machine.current) is not None:
            done = reached if not current.objective.output_variables else not current.missing
            if not done:
                return
            reached = False
            if current.objective.confirmation_mode == "manual":
                self._machine.hold()
                self._write(ObjectivePending(objective=current.name, output_variables=dict(current.found)))
                return
            await self._finish("")

    async def _filled(self, exchanges: Sequence[_Exchange]) -> tuple[dict[str, str], bool]:
        """The values that the turns give, and whether a current objective without variables is reached."""
        assert self._steering is not None
        current = self._machine.current
        assert current is not None
        known = {
            name: progress.found.get(name, "")
            for progress in self._machine.ahead()
            for name in progress.objective.output_variables
        }
        names = [name for name in known if any(_is_open(known[name], each.said) for each in exchanges)]
        properties: dict[str, Any] = {name: {"type": "string", "maxLength": 120} for name in names}
        fields = [f"- {name}: {_words(name)}" for name in names]
        if not current.objective.output_variables:
            properties["reached"] = {"type": "boolean"}
            fields.append(_REACHED.format(name="reached", prompt=current.objective.objective_prompt.strip()))
        if not properties:
            return {}, False
        prompt = _FORM.format(
            about=f"What it is about: {current.objective.objective_prompt.strip()}",
            fields="\n".join(fields),
            exchanges="".join(each.told() for each in exchanges),
        )
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        answer = await self._steering.llm.structured([Message("user", prompt)], schema, max_tokens=MAX_TOKENS)
        return self._said(answer, known, exchanges), answer.get("reached") is True

    def _said(
        self, answer: Mapping[str, Any], known: Mapping[str, str], exchanges: Sequence[_Exchange]
    ) -> dict[str, str]:
        """Of what the model filled in, what was said, turn by turn; `known` is what was known before them."""
        anywhere = " ".join(each.said for each in exchanges)
        reworded = [
            name
            for name in known
            if is_answer(answer.get(name)) and not said_value(answer.get(name), anywhere)
        ]
        found: dict[str, str] = {}
        for each in exchanges:
            names = [name for name in known if _is_open(found.get(name) or known[name], each.said)]
            values = {name: said_value(answer.get(name), each.said) for name in names}
            if self._english:
                values = settled(values, names, each.asked, each.said, reworded)
            found.update({name: value for name, value in values.items() if value})
        return found

    async def _finish(self, confirmed_by: Literal["", "participant"]) -> None:
        current = self._machine.current
        assert current is not None
        follower = await self._chosen(current.objective, current.found)
        self._complete(confirmed_by, follower)

    async def _chosen(self, objective: Objective, known: dict[str, str]) -> str | None:
        """Which of the conditional followers applies; the model chooses among their conditions."""
        conditions = objective.next_conditional_objectives
        if not conditions:
            return None
        assert self._steering is not None
        options = "\n".join(f"- {name}: {condition}" for name, condition in conditions.items())
        lines = "\n".join(f"{who}: {text}" for who, text in self._lines[-8:])
        prompt = _WHICH.format(options=options, lines=lines, known=json.dumps(known, ensure_ascii=False))
        schema = {
            "type": "object",
            "properties": {"so": {"type": "string", "enum": list(conditions)}},
            "required": ["so"],
        }
        answer = await self._steering.llm.structured([Message("user", prompt)], schema, max_tokens=40)
        return str(answer.get("so", ""))

    def _complete(
        self, confirmed_by: Literal["", "participant", "application"], follower: str | None
    ) -> None:
        done = self._machine.current
        assert done is not None
        following = self._machine.complete(follower)
        self._write(
            ObjectiveCompleted(
                objective=done.name,
                output_variables=dict(done.found),
                confirmed_by=confirmed_by,
                tool_call=done.objective.tool_call or {},
            )
        )
        if following is not None:
            self._write(ObjectiveActivated(objective=following.name))

    def _write(self, event: Event) -> None:
        if self._steering is not None:
            self._steering.journal.write(event)


def _is_open(known: str, said: str) -> bool:
    """Whether a turn may tell a variable: it is not known, or they take something back, or deny its words."""
    if not known or _TAKES_BACK.search(said):
        return True
    return _CORRECTS.search(said) is not None and bool(set(content_words(known)) & set(content_words(said)))


def _words(name: str) -> str:
    return name.replace("_", " ")
