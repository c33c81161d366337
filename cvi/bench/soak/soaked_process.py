"""The conversation that is watched, in a process of its own: `python -m cvi.bench.soak.soaked_process`.

In its own process, so that what it takes of the machine is its own and not the watcher's. It is sent what to
hold on its standard input, and ends when that is closed.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from cvi.bench.probe.mouth_motion import learn_mouth_at_rest
from cvi.bench.probe.tap import Tap
from cvi.bench.soak.spool import SpoolSink
from cvi.child_process import ParentPipe, claim_stdout
from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import ConversationFacts
from cvi.conversation.journal import JOURNAL_NAME, Journal, new_id
from cvi.engines import build_engine_set, conversation_settings, resolve
from cvi.errors import CviError
from cvi.paths import conversations_dir
from cvi.persona.loading import load_persona
from cvi.transport.file import FileTransport
from cvi.transport.scenario import load_scenario

# How the face's mouth looks at rest, for whoever reads the spool.
MOUTH_NAME = "mouth.npz"
FILM_NAME = "film.mp4"
# A conversation that has said all there is to say is given this long beyond its time.
_GRACE_S = 120.0


class SoakOptions(BaseModel):
    """What to hold: `scenario` is what the caller says again and again; `keep` keeps the `film`."""

    model_config = ConfigDict(frozen=True)

    minutes: float
    scenario: Path
    persona: str = "guide"
    replica: str | None = None
    profile: str = "auto"
    width: int = 1280
    height: int = 720
    fps: int = 25
    film: bool = True
    keep: bool = False

    def for_record(self) -> dict[str, str | float | None]:
        """What matters for comparing two soaks."""
        return {
            "minutes": self.minutes,
            "scenario": self.scenario.stem,
            "persona": self.persona,
            "replica": self.replica,
            "profile": self.profile,
            "size": f"{self.width}x{self.height}",
            "fps": self.fps,
            "film": self.film,
        }


class SoakStart(BaseModel):
    """To the process: `folder` takes the spool and the film; `scenario` lasts for all of the minutes."""

    options: SoakOptions
    folder: Path
    scenario: Path


class SoakFacts(BaseModel):
    """From the process, before the conversation begins: what it is."""

    conversation_id: str
    facts: ConversationFacts


async def hold(start: SoakStart, pipe: ParentPipe[SoakStart]) -> None:
    """Hold the conversation until its time is over or the watcher closes the pipe. Raises CviError."""
    options, folder = start.options, start.folder
    config = resolve(load_persona(options.persona), replica=options.replica, profile=options.profile)
    conversation_id = new_id()
    settings = conversation_settings(config, conversation_id)
    settings = replace(settings, max_duration_s=options.minutes * 60 + _GRACE_S)
    clock = Clock()
    transport = FileTransport(
        load_scenario(start.scenario),
        None,
        clock=clock,
        fps=options.fps,
        width=options.width,
        height=options.height,
        wait=True,
        recording=folder / FILM_NAME if options.film else None,
    )
    await transport.open()
    engines = await build_engine_set(
        config, settings, width=options.width, height=options.height, fps=options.fps
    )
    journal = tap = watcher = None
    try:
        assert engines.face is not None, "a conversation that is watched has a face"
        appearance = await asyncio.to_thread(
            learn_mouth_at_rest, engines.face.render, options.width, options.height
        )
        appearance.save(folder / MOUTH_NAME)
        tap = Tap(transport, SpoolSink(folder, options.fps, appearance.box))
        journal = Journal(conversations_dir() / conversation_id / JOURNAL_NAME, clock)
        conversation = Conversation(settings, engines.layers, engines.render, tap, journal, clock)
        pipe.send(SoakFacts(conversation_id=conversation_id, facts=config.facts()))
        asyncio.get_running_loop().call_later(options.minutes * 60, conversation.end, "soaked")
        watcher = asyncio.create_task(_end_with_watcher(pipe, conversation))
        await conversation.run()
    finally:
        if watcher is not None:
            watcher.cancel()
        await (tap or transport).close()
        await engines.close()
        if journal is not None:
            journal.close()


async def _end_with_watcher(pipe: ParentPipe[SoakStart], conversation: Conversation) -> None:
    """A watcher that stops, or was killed, must not leave its conversation behind."""
    while await pipe.receive() is not None:
        pass
    conversation.end("stopped")


async def _run() -> int:
    pipe = ParentPipe(claim_stdout(), TypeAdapter(SoakStart))
    await pipe.open()
    try:
        start = await pipe.receive()
        if start is not None:
            await hold(start, pipe)
    except CviError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    finally:
        await pipe.close()
    return 0


def main() -> None:
    """Hold one conversation; an error of ours is a clean line on standard error and its exit status."""
    sys.setswitchinterval(0.001)
    sys.exit(asyncio.run(_run()))


if __name__ == "__main__":
    main()
