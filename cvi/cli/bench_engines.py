"""`cvi bench stt`, `llm`, `tts` and `face`: one engine at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvi.cli.bench import Output
from cvi.cli.bench_layers import Data, Json, Limit, Persona, Profile, read

Engine = Annotated[str | None, typer.Option(help="Another engine than the profile's.")]
Model = Annotated[str | None, typer.Option(help="Another model: a path, or a name the engine knows.")]


def stt(
    data: Data = "standard",
    persona: Persona = "guide",
    profile: Profile = "auto",
    engine: Engine = None,
    model: Model = None,
    language: Annotated[str, typer.Option(help="Two letters.")] = "en",
    limit: Limit = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Word error rate, how late the final text comes, and how much is computed for a second of speech."""
    from cvi.bench.layers.measurement import EngineRequest
    from cvi.bench.layers.stt import measure_stt

    request = EngineRequest(persona, profile, engine, model)
    found = read(data, limit)
    measure_stt(found, request, data=data, language=language, output=output, json=json)


def llm(
    persona: Persona = "guide",
    profile: Profile = "auto",
    engine: Engine = None,
    model: Model = None,
    rounds: Annotated[int, typer.Option(min=2, help="Turns, and prompts never seen.")] = 10,
    threads: Annotated[list[int] | None, typer.Option(help="Threads; may be given again.")] = None,
    busy: Annotated[
        list[int] | None, typer.Option(help="Cores that others keep busy meanwhile; may be given again.")
    ] = None,
    endings: Annotated[
        Path | None, typer.Option(help="Complete and broken turns, tab-separated; else the checkout's own.")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """First words cold and warm, pieces a second, and how well and how fast it judges a turn's end."""
    from cvi.bench.layers.engine_speed import measure_llm
    from cvi.bench.layers.measurement import EngineRequest

    measure_llm(
        EngineRequest(persona, profile, engine, model),
        rounds=rounds,
        threads=threads or [],
        busy=busy or [],
        endings=endings,
        output=output,
        json=json,
    )


def tts(
    persona: Persona = "guide",
    profile: Profile = "auto",
    engine: Engine = None,
    model: Model = None,
    voice: Annotated[list[str] | None, typer.Option(help="A voice's name; may be given again.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each sentence is spoken.")] = 5,
    output: Output = None,
    json: Json = False,
) -> None:
    """First sound, and time to make a sentence against its length, for each voice."""
    from cvi.bench.layers.engine_speed import measure_tts
    from cvi.bench.layers.measurement import EngineRequest

    request = EngineRequest(persona, profile, engine, model)
    measure_tts(request, voices=voice or [], rounds=rounds, output=output, json=json)


def face(
    replica: Annotated[
        list[str] | None, typer.Option(help="A replica's name or folder; may be given again.")
    ] = None,
    engine: Engine = None,
    size: Annotated[list[str] | None, typer.Option(help="WIDTHxHEIGHT; may be given again.")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Of idling, and of speaking, at each size.")] = 10.0,
    output: Output = None,
    json: Json = False,
) -> None:
    """Milliseconds a frame by size, idle and speaking: drawing, blending and H.264 apart; memory."""
    from cvi.bench.layers.face import measure_face

    sizes = size or ["640x360", "1280x720", "1920x1080"]
    measure_face(replica or ["june"], engine=engine, sizes=sizes, seconds=seconds, output=output, json=json)
