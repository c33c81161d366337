"""`cvi talk --text`: a conversation on standard input and output."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from cvi.capabilities import build_capabilities
from cvi.clock import Clock
from cvi.conversation.capabilities import Capabilities
from cvi.conversation.conversation import Conversation
from cvi.conversation.journal import JOURNAL_NAME, Journal
from cvi.conversation.settings import ConversationSettings, TextEngines
from cvi.engines import ResolvedConfig, build_llm
from cvi.memory.store import MemoryKey
from cvi.tools.declared import ToolPermissions
from cvi.transport.text import TextTransport

SETTLE_WITHIN_S = 120.0


async def type_conversation(
    chosen: ResolvedConfig,
    settings: ConversationSettings,
    folder: Path,
    permissions: ToolPermissions,
    remembered: Sequence[MemoryKey] = (),
) -> None:
    """A typed conversation on standard input and output. Raises MissingError, EngineError."""
    console = Console(highlight=False)
    llm = await build_llm(chosen)
    clock = Clock()
    journal = Journal(folder / JOURNAL_NAME, clock)
    transport = TextTransport(lambda text: console.print(text, end=" ", markup=False))
    capabilities = await build_capabilities(chosen, permissions, remembered, settings.context)
    conversation = Conversation(settings, TextEngines(llm), None, transport, journal, clock, capabilities)
    running = asyncio.create_task(conversation.run())
    reason = "participant_left"
    try:
        name = f"[bold cyan]{escape(settings.persona_name or 'persona')}[/]"
        greets = bool(settings.greeting or settings.opening)
        console.print(name if greets else "", end="  " if greets else "")
        goes_on = await conversation.answered()
        console.print("", end="\n" if greets else "")
        while goes_on and (line := await _read_line()) is not None:
            if line.strip().lower() in ("/quit", "/exit"):
                break
            if not line.strip():
                continue
            console.print(name, end=" ")
            conversation.respond(line.strip())
            goes_on = await conversation.answered()
            console.print()
    except (KeyboardInterrupt, asyncio.CancelledError):
        reason = "stopped"
    finally:
        conversation.end(reason)
        try:
            await running
            await settle(capabilities, console)
        finally:
            journal.close()
            await llm.close()
    journal.check()


async def settle(capabilities: Capabilities, console: Console) -> None:
    """Let memory read what was said last; a minute or two where the machine is slow."""
    with console.status("Remembering what was said..."):
        await capabilities.settle(SETTLE_WITHIN_S)


async def _read_line() -> str | None:
    """One line from the terminal, None at its end."""

    def read() -> str | None:
        try:
            return input("you  " if sys.stdin.isatty() else "")
        except EOFError:
            return None

    return await asyncio.to_thread(read)
