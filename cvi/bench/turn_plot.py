"""`cvi turns`: what the program makes of one recording, as a plot: sound, melody, words, floor, decisions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.bench.layers.measurement import EngineRequest, listening_engines
from cvi.bench.layers.simulation import SimulatedConversation, converse, run_simulated
from cvi.bench.layers.turns import turn_model_file
from cvi.conversation.events import (
    DraftDiscarded,
    DraftStarted,
    Event,
    TurnCommitted,
    TurnScored,
    UserPaused,
    UserResumed,
    UserStartedSpeaking,
)
from cvi.errors import MissingError, UsageError
from cvi.files import write_bytes, write_text
from cvi.media.decode import read_audio
from cvi.turns.floor_prediction import shipped_weights
from cvi.turns.prosody import ProsodyFrame, ProsodyTracker
from cvi.turns.thresholds import TurnThresholds

FORMATS = (".png", ".svg", ".pdf", ".html")
_MOST_S = 300.0
_ROW_S = 30.0


def plot_turns(source: Path, output: Path, *, persona: str, profile: str) -> list[Event]:
    """Hear a recording and write the plot; returns the conversation's events.

    Raises UsageError for another format or a recording of more than five minutes, MissingError without
    matplotlib or the profile's models.
    """
    if output.suffix.lower() not in FORMATS:
        raise UsageError(f"{output} is no plot.", f"Give a name that ends in {', '.join(FORMATS)}.")
    _matplotlib()
    pcm = read_audio(source)
    if len(pcm) > _MOST_S * HEARD_HZ:
        raise UsageError(f"{source} is longer than {_MOST_S:.0f} s.", "Cut out the part to look at.")
    config = EngineRequest(persona, profile).resolved()

    async def hear() -> tuple[SimulatedConversation, TurnThresholds]:
        async with listening_engines(config, turn_model_file(config, None)) as engines:
            return await converse(pcm, engines, monologue=False), engines.settings.thresholds

    heard, limits = run_simulated(hear())
    draw(pcm, heard, limits, output, title=source.name)
    return heard.events


def prosody_frames(pcm: Pcm) -> list[ProsodyFrame]:
    """Level and pitch of the whole recording, every 16 ms."""
    tracker = ProsodyTracker()
    frames: list[ProsodyFrame] = []
    for at in range(0, len(pcm) - 159, 160):
        before = tracker.frames[-1].end_s if tracker.frames else -1.0
        tracker.push(pcm[at : at + 160], (at + 160) / HEARD_HZ, voice=True)
        frames += [frame for frame in list(tracker.frames)[-2:] if frame.end_s > before]
    return frames


def draw(pcm: Pcm, heard: SimulatedConversation, limits: TurnThresholds, output: Path, *, title: str) -> None:
    """Write the plot: for every 30 s a row of sound with pitch, and a row of the floor with words."""
    figure_class = _matplotlib()
    seconds = len(pcm) / HEARD_HZ
    rows = max(int(np.ceil(seconds / _ROW_S)), 1)
    figure = figure_class(figsize=(16, 5 * rows), layout="constrained")
    axes = figure.subplots(2 * rows, 1, squeeze=False)[:, 0]
    frames, events = prosody_frames(pcm), heard.events
    for row in range(rows):
        end_s = (row + 1) * _ROW_S if row < rows - 1 else seconds + 2.0
        span = (row * _ROW_S, end_s)
        _draw_sound(axes[2 * row], frames, events, span)
        _draw_floor(axes[2 * row + 1], heard, limits, span)
    axes[0].set_title(title)
    if output.suffix.lower() == ".html":
        write_text(output, _page(figure, title, events))
        return
    from io import BytesIO

    stored = BytesIO()
    figure.savefig(stored, format=output.suffix[1:].lower(), dpi=90)
    write_bytes(output, stored.getvalue())


def _draw_sound(
    axes: Any, frames: list[ProsodyFrame], events: list[Event], span: tuple[float, float]
) -> None:
    here = [frame for frame in frames if span[0] <= frame.end_s <= span[1]]
    axes.fill_between([f.end_s for f in here], -90, [f.level_db for f in here], color="0.85", linewidth=0)
    axes.set(xlim=span, ylim=(-90, 0), ylabel="level, dB")
    began: float | None = None
    for event in events:
        if isinstance(event, UserStartedSpeaking | UserResumed):
            began = event.at_s
        elif isinstance(event, UserPaused) and began is not None:
            axes.axvspan(began, event.speech_end_s, ymax=0.03, color="tab:green")
            began = None
    pitch = axes.twinx()
    pitched = [f for f in here if f.pitch_st is not None and f.level_db > -60]
    hertz = [55.0 * 2 ** ((f.pitch_st or 0.0) / 12) for f in pitched]
    pitch.plot([f.end_s for f in pitched], hertz, ".", markersize=3, color="tab:blue")
    pitch.set(ylim=(50, 450), ylabel="pitch, Hz")


def _draw_floor(
    axes: Any, heard: SimulatedConversation, limits: TurnThresholds, span: tuple[float, float]
) -> None:
    """In pauses how likely the floor is free; dotted, while somebody speaks, if they fell silent now."""
    times_s = [moment.time_s for moment in heard.floor]
    for speaking, style in ((False, "-"), (True, ":")):
        shown_p = [m.probability if m.speaking is speaking else math.nan for m in heard.floor]
        axes.plot(times_s, shown_p, style, color="tab:red")
    axes.axhline(limits.commit_at, color="0.7", linestyle="--")
    axes.set(xlim=span, ylim=(0, 1.35), ylabel="floor is free", xlabel="seconds")
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    shown = ""
    for event in heard.events:
        if not span[0] <= event.t <= span[1]:
            continue
        if isinstance(event, TurnCommitted):
            axes.axvline(event.t, color="black")
            axes.text(event.t, 1.3, f" commit, {event.silence_ms} ms", va="top", fontsize=8)
        elif isinstance(event, DraftStarted):
            axes.plot(event.t, 0.03, "^", color="tab:orange")
        elif isinstance(event, DraftDiscarded):
            axes.plot(event.t, 0.03, "x", color="tab:orange")
        elif isinstance(event, TurnScored):
            new = event.text[len(shown) :] if shown and event.text.startswith(shown) else event.text
            shown = event.text
            axes.text(event.t, 1.18, f"{new.strip()[-48:]} ", ha="right", va="top", fontsize=7)


def _page(figure: Any, title: str, events: list[Event]) -> str:
    """The plot with a table of every judgement: which sign moved it, and how far."""
    from html import escape
    from io import StringIO

    drawn = StringIO()
    figure.savefig(drawn, format="svg")
    weights = shipped_weights()
    rows = []
    for event in events:
        if isinstance(event, TurnScored):
            parts = sorted(weights.contributions(event.signs).items(), key=lambda one: -abs(one[1]))
            told = ", ".join(f"{name} {value:+.1f}" for name, value in parts if abs(value) >= 0.05)
            cells = (f"{event.t:.2f} s", event.text, f"{event.completeness:.2f}", told)
            rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    style = "body{font:14px sans-serif}td,th{padding:2px 8px;text-align:left;vertical-align:top}"
    return (
        f"<!doctype html><meta charset=utf-8><title>{escape(title)}</title><style>{style}</style>"
        f"{drawn.getvalue()[drawn.getvalue().index('<svg') :]}"
        "<table><tr><th>time<th>words<th>over, before silence<th>what moved it (log-odds)</tr>"
        f"{''.join(rows)}</table>\n"
    )


def _matplotlib() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingError(
            "Plots need matplotlib.", "Install it with: pip install 'cvi-local[bench]'"
        ) from error
    return Figure
