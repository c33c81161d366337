"""`cvi forget`: erase all that is kept of a participant."""

from __future__ import annotations

from typing import Annotated

import typer


def forget(
    participant: Annotated[str, typer.Argument(help="As after --participant, or as a tag or memory store.")],
    owner: Annotated[str, typer.Option(help="Of a server with keys: whose participant.")] = "default",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Erase a participant: memories, conversations with their journals and recordings, events, uploads.

    What was erased is printed. Files that you wrote elsewhere yourself (`cvi talk -o`) stay.
    """
    import asyncio
    import sys

    from cvi.errors import UsageError
    from cvi.memory.forgetting import (
        ForgottenThings,
        conversations_with,
        forget_conversation,
        forget_memories,
    )
    from cvi.memory.store import DEFAULT_OWNER, participant_name
    from cvi.server.forgetting import forget_served

    name = participant_name(participant)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("Nobody can be asked here.", "Add --yes to erase without asking.")
        typer.confirm(f"Erase everything that is kept of {name}? It cannot be undone.", abort=True)
    gone = ForgottenThings(memories=forget_memories(name, owner))
    asyncio.run(forget_served(name, owner, gone))
    if owner == DEFAULT_OWNER:
        for id in conversations_with(name):
            forget_conversation(id, gone)
    typer.echo(f"Memories        {gone.memories}")
    typer.echo(f"Conversations   {len(gone.conversations)} ({gone.recordings} recorded)")
    for id in gone.conversations:
        typer.echo(f"  {id}: journal, transcript, recording, events, webhooks")
    for line in gone.elsewhere:
        typer.echo(f"Still there: {line}.")
