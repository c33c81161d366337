"""What `cvi bench loopback` does: hold the sessions, keep them, print the table, judge it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cvi.bench.callers.block import CallerBlock, build_blocks
from cvi.bench.callers.recipe import find_recipe, load_recipe
from cvi.bench.fingerprint import take_fingerprint
from cvi.bench.loopback import DELAYS_MS, TOLERANCE_MS, Answer, loop_back
from cvi.bench.probe.evidence import save_evidence
from cvi.bench.probe.measuring import MeasuredSession, joined
from cvi.bench.probe.mouth import learn_mouth
from cvi.bench.run import Figure, Run, Variant
from cvi.bench.run_store import as_json, new_run_folder, save_run
from cvi.bench.smoke import SMOKE_CALLERS
from cvi.cli.request import picture_size
from cvi.engine_registry import build
from cvi.errors import CviError
from cvi.face.base import Controls, FaceEngine, FaceSettings
from cvi.face.replica import find_replica, load_replica_card
from cvi.media.frames import Frame
from cvi.threads import NativeThread


def run_loopback(replica: str, turns: int, size: str, fps: int, output: Path | None, as_text: bool) -> None:
    """Raises UsageError for a wrong request, CviError when an error is larger than allowed."""
    console = Console(highlight=False, stderr=as_text)
    width, height = picture_size(size)
    card = load_replica_card(find_replica(replica))
    face: FaceEngine = build("face", card.renderer, FaceSettings(card.folder, width, height, fps))
    blocks = build_blocks(load_recipe(find_recipe(SMOKE_CALLERS)), turns=turns)
    folder = new_run_folder("loopback", output)
    began, began_s = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    with console.status("") as status:
        answers, sessions, files = asyncio.run(
            _hold(face, blocks[0], (width, height), fps, folder, status.update)
        )
    run = Run(
        kind="loopback",
        command=("cvi", *sys.argv[1:]),
        began=began,
        duration_s=round(time.monotonic() - began_s, 1),
        fingerprint=take_fingerprint().as_data(),
        variants=(_variant(answers, sessions),),
        options={"replica": card.name, "turns": turns, "size": size, "fps": fps},
        files=tuple(files),
    )
    save_run(run, folder)
    if as_text:
        print(json.dumps(as_json(run)))
    else:
        _print(answers, fps, console)
        console.print(f"Kept in {folder}", style="dim", soft_wrap=True)
    _judge(answers, fps)


async def _hold(
    face: FaceEngine,
    block: CallerBlock,
    size: tuple[int, int],
    fps: int,
    folder: Path,
    progress: Callable[[str], None],
) -> tuple[list[Answer], list[MeasuredSession], list[str]]:
    """One session a delay."""
    answers: list[Answer] = []
    sessions: list[MeasuredSession] = []
    files: list[str] = []
    stage = NativeThread("face")

    async def draw(controls: Controls) -> Frame:
        return await stage.run(lambda: face.render(controls))

    try:
        progress("Learning how the mouth looks at rest")
        look = await stage.run(lambda: learn_mouth(face.render, *size))
        for delay_ms in DELAYS_MS:
            progress(f"Answering after {delay_ms} ms")
            evidence, measured, found = await loop_back(block, delay_ms, draw, look, fps=fps)
            answers += found
            sessions.append(measured)
            path = folder / f"{evidence.session}.evidence.npz"
            await asyncio.to_thread(save_evidence, evidence, path)
            files.append(path.name)
    finally:
        stage.close()
        face.close()
    return answers, sessions, files


def _variant(answers: Sequence[Answer], sessions: Sequence[MeasuredSession]) -> Variant:
    figures: list[Figure] = []
    for delay_ms in DELAYS_MS:
        here = [answer for answer in answers if answer.delay_ms == delay_ms]
        for kind in ("sound", "picture"):
            errors = [getattr(answer, f"{kind}_error_ms") for answer in here]
            values = tuple(round(error, 3) for error in errors if error is not None)
            label = f"{kind}, {delay_ms} ms: measured less true"
            figures.append(Figure(f"{kind}_error_ms_at_{delay_ms}", label, "ms", values))
    return Variant(
        name="loopback",
        about="a peer that answers a known time after the caller's last sound",
        turns=tuple(turn for session in sessions for turn in session.turns),
        playout=joined(sessions, None),
        figures=tuple(figures),
    )


def _print(answers: Sequence[Answer], fps: int, console: Console) -> None:
    allowed = f"allowed: sound ±{TOLERANCE_MS:.0f}, picture ±{1000 / fps:.0f}"
    table = Table(title=f"Known delays through the measuring path, ms ({allowed})", title_justify="left")
    for column in ("true delay", "n", "sound measured", "sound error", "picture error"):
        table.add_column(column, justify="right")
    for delay_ms in DELAYS_MS:
        here = [answer for answer in answers if answer.delay_ms == delay_ms]
        sound = [answer.sound_ms for answer in here if answer.sound_ms is not None]
        errors = [answer.sound_error_ms for answer in here if answer.sound_error_ms is not None]
        pictures = [answer.picture_error_ms for answer in here if answer.picture_error_ms is not None]
        table.add_row(
            str(delay_ms),
            str(len(here)),
            _range(sound, "{:.1f}"),
            _range(errors, "{:+.1f}"),
            _range(pictures, "{:+.1f}"),
        )
    console.print(table)


def _range(values: Sequence[float], form: str) -> str:
    if not values:
        return "-"
    return f"{form.format(min(values))} .. {form.format(max(values))}"


def _judge(answers: Sequence[Answer], fps: int) -> None:
    frame_ms = 1000 / fps
    for answer in answers:
        sound, picture = answer.sound_error_ms, answer.picture_error_ms
        where = f"turn {answer.turn} at {answer.delay_ms:.0f} ms"
        if sound is None or abs(sound) > TOLERANCE_MS:
            told = "was not heard" if sound is None else f"is off by {sound:+.1f} ms"
            raise CviError(f"The sound of {where} {told}.", "Is the machine busy? Measure on an idle one.")
        # A frame either way, and what the clock's reading is worth.
        if picture is None or abs(picture) > frame_ms + TOLERANCE_MS:
            told = "was not seen" if picture is None else f"is off by {picture:+.1f} ms"
            raise CviError(f"The picture of {where} {told}.", "Is the machine busy? Measure on an idle one.")
