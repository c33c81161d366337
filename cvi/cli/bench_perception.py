"""`cvi bench perception`: how well it sees and hears participants whose truth is exact."""

from __future__ import annotations

from typing import Annotated

import typer

from cvi.cli.bench import Json, Output


def perception(
    replica: Annotated[list[str] | None, typer.Option(help="A stock character; may be given again.")] = None,
    scripts: Annotated[int, typer.Option(min=1, help="Scripts of two minutes each acts out.")] = 2,
    looks: Annotated[float, typer.Option(min=2, max=25, help="Looks a second.")] = 12.5,
    neutral: Annotated[float, typer.Option(min=10, help="Seconds of a neutral face.")] = 60.0,
    voice: Annotated[str, typer.Option(help="A tts engine with phone times: flite, espeak.")] = "flite",
    output: Output = None,
    json: Json = False,
) -> None:
    """Blinks, pose, gaze, expressions, gestures, pitch, rate of speech, text on screens; processor time.

    Needs the face mesh (`cvi replica setup`); without RapidOCR no screens are read.
    """
    from rich.console import Console

    from cvi.bench.layers.measurement import finish
    from cvi.bench.layers.perception import measure_hearing, measure_neutral, measure_reading, measure_seeing
    from cvi.bench.run_store import RunRecorder
    from cvi.errors import MissingError

    names = replica or ["june", "kenji", "mei", "omar"]
    recorder = RunRecorder("perception", {"scripts": scripts, "looks": looks}, output=output)
    with Console(stderr=True, quiet=json).status("") as status:
        variants = [measure_seeing(name, range(1, scripts + 1), looks, status.update) for name in names]
        variants.append(measure_neutral(names[0], neutral, looks, status.update))
        variants.append(measure_hearing(voice, status.update))
        try:
            variants.append(measure_reading(status.update))
        except MissingError as error:
            Console(stderr=True).print(str(error), style="yellow")
    finish(recorder, variants, json)
