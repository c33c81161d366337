"""What a conversation can be given beside its engines: sources of context, and later what acts and watches.

Each part is one small Protocol; `cvi.capabilities` builds those that a persona asks for. A conversation
without any is the plain one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cvi.audio.block import AudioBlock
from cvi.clock import Clock
from cvi.llm.base import LlmEngine
from cvi.llm.clauses import Clause
from cvi.tools.base import Toolbox
from cvi.transport.base import Transport

if TYPE_CHECKING:
    from cvi.conversation.events import Event
    from cvi.conversation.journal import Journal


class ContextProvider(Protocol):
    """A source of what the language model should know for one turn. Called from the event loop.

    Its notes stand behind everything that the model has read so far and before the turn's words, so the
    cached part of the prompt stays valid. They are not history: the next turn has its own.
    """

    name: str
    """Written into the journal with each note: `knowledge`, `memory`, `perception`, ..."""

    def follow(self, partial: str) -> None:
        """The participant's stable words so far, while they speak. Starts work in the background; returns
        at once."""

    def note(self, text: str) -> str:
        """What the model should know to answer `text`, "" for nothing: from what is ready, without waiting.

        Called for stable partial words too, so that the note is read while they are spoken: the same text
        must give the same note as long as nothing new is known.
        """


@runtime_checkable
class HintingProvider(Protocol):
    """What a `ContextProvider` can do besides that knows how a turn should be answered."""

    def hint(self, text: str) -> str:
        """How to answer the turn `text`, in one or two sentences; "" for as always.

        It stands behind the turn's words: a model of one or two billion parameters does what it reads last,
        and takes what stands before the words as something to know.
        """


@runtime_checkable
class StandingProvider(Protocol):
    """What a `ContextProvider` can do besides whose note is the same whatever the turn's words are."""

    def standing_note(self) -> str:
        """The note as of now, "" for none."""


@runtime_checkable
class SearchingProvider(Protocol):
    """What a `ContextProvider` can do besides whose notes come from a search."""

    def is_ready(self, text: str) -> bool:
        """Whether the note for these words is final."""

    async def ready(self, text: str) -> None:
        """Return once it is, or after a second at most."""

    def used(self, text: str) -> list[str]:
        """Where the note for these words comes from, one line a passage; for the journal."""

    def quote(self, text: str) -> str:
        """What of its source may be said in place of a reply that the note for these words does not support;
        "" for nothing."""

    def committed(self, text: str) -> None:
        """These words are a turn that is answered now: others are another turn's."""


class ReplyGuard(Protocol):
    """Holds replies and notes within bounds. Called from the event loop."""

    def clauses(
        self,
        reply: int,
        turn: str,
        written: AsyncIterator[Clause],
        again: Callable[[str], AsyncIterator[Clause]],
    ) -> AsyncIterator[Clause]:
        """What of a reply to the words `turn` may be spoken, or what is said instead.

        `again` lets the model write the reply anew, told something more. Closing the iterator closes
        `written`.
        """

    async def screen(self, source: str, note: str) -> str:
        """A note without the sentences that give the model instructions; worked out off the event loop."""

    def screened(self, source: str, note: str) -> str:
        """As `screen`, at once: for a tool's result and for what is told before the conversation."""

    def ends(self, reply: int) -> bool:
        """Whether the conversation ends when this reply has been heard."""


class Steering(Protocol):
    """What an observer may do to the conversation. Event loop only."""

    @property
    def journal(self) -> Journal:
        """Where it writes what it did."""

    @property
    def llm(self) -> LlmEngine:
        """The conversation's model, for work beside the replies."""

    def is_committed(self, reply: int) -> bool:
        """Whether the reply is, or was, let out to be heard."""

    async def committed(self, reply: int) -> bool:
        """Wait until a reply is let out (True), or was given up."""

    def replace_reply(self, reply: int, text: str, *, ends: bool = False) -> None:
        """Cut the reply, if it is still heard, and say `text`; then end the conversation if it `ends`."""

    def end(self, reason: str) -> None:
        """End the conversation, for the first reason given."""


class Observer(Protocol):
    """Follows the events of a conversation, and may act on them. Called from the event loop."""

    def attach(self, steering: Steering) -> None:
        """The conversation begins."""

    def on_event(self, event: Event) -> None:
        """An event was written, a moment ago. Returns at once."""

    async def close(self) -> None:
        """The conversation has ended: finish, within a few seconds."""


@runtime_checkable
class Lingering(Protocol):
    """What an `Observer` can do besides that works on when the conversation has ended."""

    async def settle(self, within_s: float) -> None:
        """Finish while the engines are still there; what takes longer than `within_s` is given up."""


@dataclass(frozen=True, slots=True)
class Reactions:
    """What the participant does that face and turn-taking answer to.

    `smile` and `concern` (brows drawn together) 0..1; `nods` now; `thinks`: they look away for a moment, as
    people do who have not finished. `lips_parted_s`: when the closed mouth last opened; `looked_back_s`: when
    the eyes came back to the screen, where they still are; seconds of the conversation, None for never.
    """

    smile: float = 0.0
    concern: float = 0.0
    nods: bool = False
    thinks: bool = False
    lips_parted_s: float | None = None
    looked_back_s: float | None = None


NO_REACTIONS = Reactions()


class Perceiver(Protocol):
    """Sees and hears the participant. Called from the event loop; nothing here blocks it."""

    @property
    def reactions(self) -> Reactions:
        """As of now."""

    def begin(self, clock: Clock, transport: Transport, journal: Journal, llm: LlmEngine) -> None:
        """The conversation begins: look at the transport's pictures, read the journal, write into it, and ask
        the language model beside the conversation."""

    def hear(self, block: AudioBlock) -> None:
        """The next block of the participant's sound."""

    async def close(self) -> None:
        """The conversation is over: stop looking; the journal is still open."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Everything that one conversation was given beside its engines."""

    providers: Sequence[ContextProvider] = ()
    toolbox: Toolbox | None = None
    perceiver: Perceiver | None = None
    guard: ReplyGuard | None = None
    observers: Sequence[Observer] = ()
    background: str = ""
    """What the model is told from the start, behind the context of the conversation."""

    @property
    def reactions(self) -> Reactions:
        """What the participant does as perception sees it; nothing without perception."""
        return self.perceiver.reactions if self.perceiver is not None else NO_REACTIONS

    async def settle(self, within_s: float) -> None:
        """Let what works on after the conversation finish, before its engines are closed."""
        for observer in self.observers:
            if isinstance(observer, Lingering):
                await observer.settle(within_s)

    def screened(self, source: str, text: str) -> str:
        """A note or a tool's result as the model may read it."""
        return text if self.guard is None else self.guard.screened(source, text)

    def follow(self, partial: str) -> None:
        """Tell every provider the words so far."""
        for provider in self.providers:
            provider.follow(partial)

    def sources(self, name: str, text: str) -> list[str]:
        """Where the note of the provider `name` comes from; empty where it does not say."""
        found = (each for each in self.providers if each.name == name and isinstance(each, SearchingProvider))
        return [line for each in found for line in each.used(text)]

    def quote(self, name: str, text: str) -> str:
        """See `SearchingProvider.quote`; "" where the provider `name` has none."""
        found = (each for each in self.providers if each.name == name and isinstance(each, SearchingProvider))
        return next((quote for each in found if (quote := each.quote(text))), "")

    def committed(self, text: str) -> None:
        """Tell the searches that a turn is answered now."""
        for provider in self.providers:
            if isinstance(provider, SearchingProvider):
                provider.committed(text)

    def hints(self, text: str) -> dict[str, str]:
        """How to answer a turn, by the provider's name; empty ones are left out."""
        found = {each.name: each.hint(text) for each in self.providers if isinstance(each, HintingProvider)}
        return {name: hint for name, hint in found.items() if hint}

    def standing_notes(self) -> list[str]:
        """The notes that stand before all that depend on the turn's words: a model can read them before."""
        notes = []
        for provider in self.providers:
            if not isinstance(provider, StandingProvider):
                break
            notes.append(self.screened(provider.name, provider.standing_note().strip()))
        return [note for note in notes if note]

    async def notes(self, text: str) -> dict[str, str]:
        """The notes for a turn by their provider's name, once their searches are done; empty ones are left
        out."""
        for each in self.providers:
            if isinstance(each, SearchingProvider) and not each.is_ready(text):
                await each.ready(text)
        notes = {provider.name: provider.note(text).strip() for provider in self.providers}
        if self.guard is not None:
            notes = {name: await self.guard.screen(name, note) for name, note in notes.items()}
        return {name: note for name, note in notes.items() if note}
