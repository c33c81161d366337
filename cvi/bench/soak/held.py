"""The conversation that is watched, in a process of its own: `python -m cvi.bench.soak.held PLAN.json`.

In its own process, so that what it takes of the machine is its own and not the watcher's.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TextIO

from cvi.bench.probe.mouth import learn_mouth
from cvi.bench.soak.spool import SpoolTap
from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.journal import JOURNAL_NAME, Journal, new_id
from cvi.engines import build_engine_set, conversation_settings, resolve
from cvi.errors import CviError
from cvi.paths import conversations_dir
from cvi.persona.loading import load_persona
from cvi.transport.file import FileTransport
from cvi.transport.scenario import load_scenario

# How the face's mouth looks at rest, for whoever reads the spool.
MOUTH_NAME = "mouth.npz"
# A conversation that has said all there is to say is given this long beyond its time.
_GRACE_S = 120.0


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """What to hold. `folder` takes the spool and, with `film`, the recording."""

    folder: str
    scenario: str
    minutes: float
    persona: str
    replica: str | None
    profile: str
    width: int
    height: int
    fps: int
    film: bool

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


async def hold(plan: SoakPlan) -> None:
    """Hold the conversation; says what it is on standard output, a JSON line, before it begins."""
    folder = Path(plan.folder)
    chosen = resolve(load_persona(plan.persona), replica=plan.replica, profile=plan.profile)
    conversation_id = new_id()
    settings = conversation_settings(chosen, conversation_id)
    settings = replace(settings, max_duration_s=plan.minutes * 60 + _GRACE_S)
    clock = Clock()
    transport = FileTransport(
        load_scenario(Path(plan.scenario)),
        None,
        clock=clock,
        fps=plan.fps,
        width=plan.width,
        height=plan.height,
        wait=True,
        recording=folder / "film.mp4" if plan.film else None,
    )
    await transport.open()
    engines = await build_engine_set(chosen, settings, width=plan.width, height=plan.height, fps=plan.fps)
    journal = None
    tap = None
    try:
        face = engines.face
        assert face is not None, "a conversation that is watched has a face"
        look = await asyncio.to_thread(learn_mouth, face.render, plan.width, plan.height)
        look.save(folder / MOUTH_NAME)
        tap = SpoolTap(transport, folder, look.box)
        journal = Journal(conversations_dir() / conversation_id / JOURNAL_NAME, clock)
        conversation = Conversation(settings, engines.layers, engines.render, tap, journal, clock)
        told = {"conversation_id": conversation_id, "profile": chosen.profile.name, **asdict(chosen.facts())}
        print(json.dumps(told), flush=True)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, conversation.end, "stopped")
        loop.call_later(plan.minutes * 60, conversation.end, "soaked")
        when_over(sys.stdin, lambda: loop.call_soon_threadsafe(conversation.end, "watcher_gone"))
        await conversation.run()
    finally:
        await (tap or transport).close()
        await engines.close()
        if journal is not None:
            journal.close()


def when_over(stream: TextIO, tell: Callable[[], object]) -> None:
    """Call `tell`, from a thread of its own, when nobody writes to `stream` any more: a watcher that was
    killed must not leave its conversation behind."""

    def wait() -> None:
        stream.read()
        with suppress(RuntimeError):  # the conversation, and its loop, ended first
            tell()

    threading.Thread(target=wait, name="cvi-soak-watcher", daemon=True).start()


def main() -> int:
    """Exit status 1 with a clean line for an error of ours."""
    sys.setswitchinterval(0.001)
    plan = SoakPlan(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(hold(plan))
    except CviError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
