"""`cvi talk --text`: a conversation on standard input and output."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from rich.console import Console

from cvi.clock import Clock
from cvi.conversation.chat import Chat
from cvi.conversation.journal import JOURNAL_NAME, Journal
from cvi.conversation.settings import ConversationSettings
from cvi.engines import ResolvedConfig, build_llm


async def type_conversation(chosen: ResolvedConfig, settings: ConversationSettings, folder: Path) -> None:
    """A typed conversation on standard input and output."""
    console = Console(highlight=False)
    llm = await build_llm(chosen)
    journal = Journal(folder / JOURNAL_NAME, Clock())
    chat = Chat(settings, llm, journal)
    reason = "participant_left"
    try:
        name = settings.persona_name or "persona"
        greeting = await chat.start()
        if greeting:
            console.print(f"[bold cyan]{name}[/]  {greeting}", markup=True)
        while (line := await _read_line()) is not None:
            if line.strip().lower() in ("/quit", "/exit"):
                break
            if not line.strip():
                continue
            console.print(f"[bold cyan]{name}[/] ", end="")
            async for text in chat.say(line.strip()):
                console.print(text, end=" ", markup=False)
            console.print()
    except (KeyboardInterrupt, asyncio.CancelledError):
        reason = "stopped"
    finally:
        chat.end(reason)
        journal.close()
        await llm.close()


async def _read_line() -> str | None:
    """One line from the terminal, None at its end."""

    def read() -> str | None:
        try:
            return input("you  " if sys.stdin.isatty() else "")
        except EOFError:
            return None

    return await asyncio.to_thread(read)
