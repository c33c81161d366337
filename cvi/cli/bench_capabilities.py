"""`cvi bench tools`, `memory`, `knowledge`, `guardrails`, `objectives` and `perception`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvi.cli.bench import Json, Output, Profile
from cvi.errors import UsageError


def tools(
    development: Annotated[
        bool, typer.Option("--development", help="The requests that the decision was developed on instead.")
    ] = False,
    profile: Profile = "auto",
    model: Annotated[
        str | None, typer.Option(help="A GGUF file or an installed model, instead of the profile's.")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Sixty requests over six tools, half of which need none, graded by rules.

    The requests are in cvi/bench/tools.yaml, those of the development in tools_development.yaml.
    """
    from cvi.bench.tools import measure_tools

    measure_tools(development=development, profile=profile, model=model, output=output, json=json)


def memory(
    profile: Profile = "auto",
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="So many dialogues, spread over all.")
    ] = None,
    kept: Annotated[
        Path | None, typer.Option(help="Keep the model's answers in this file, and go on from it.")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Fifty pairs of typed conversations: something is told in the first and asked for in the second.

    The dialogues are in cvi/bench/memory.yaml; answers are graded by rules.
    """
    from cvi.bench.memory import measure_memory

    measure_memory(profile=profile, count=count, kept=kept, output=output, json=json)


def knowledge(
    part: Annotated[
        str, typer.Option(help="graded, held, or what was fitted on: development, grounding.")
    ] = "graded",
    beir: Annotated[Path | None, typer.Option(help="A public set in BEIR's format instead.")] = None,
    more: Annotated[
        list[str] | None,
        typer.Option(help="Index this file or folder too, as a distraction; may be repeated."),
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Also fit the gate, and the check of replies, on this set.")
    ] = False,
    following: Annotated[
        bool, typer.Option("--following", help="Also search for each question word by word, as it is spoken.")
    ] = False,
    speed: Annotated[
        bool, typer.Option("--speed", help="Also time 10,000 passages and many vectors.")
    ] = False,
    vectors: Annotated[int, typer.Option(min=1000, help="How many vectors, with --speed.")] = 1_000_000,
    pages: Annotated[
        int, typer.Option(min=0, help="Also index a PDF of so many pages; 1,000 take some minutes.")
    ] = 0,
    grounded: Annotated[
        bool,
        typer.Option(
            "--grounded", help="Also ask the language model 60 questions with and 30 without answer."
        ),
    ] = False,
    kept: Annotated[
        Path | None,
        typer.Option(help="With --grounded: keep the model's replies in this file, and go on from it."),
    ] = None,
    profile: Profile = "auto",
    output: Output = None,
    json: Json = False,
) -> None:
    """228 questions to 22 documents in nine formats and seven languages: hybrid, words alone, meaning alone.

    The documents and questions are in cvi/bench/knowledge.
    """
    from cvi.bench.knowledge.measure import check_options, measure_knowledge

    check_options(part, beir, grounded)
    measure_knowledge(
        part=part,
        beir=beir,
        calibrate=calibrate,
        grounded=grounded,
        kept=kept,
        following=following,
        speed=speed,
        vectors=vectors,
        pages=pages,
        profile=profile,
        more=more or (),
        output=output,
        json=json,
    )


def guardrails(
    development: Annotated[
        bool, typer.Option("--development", help="Thresholds, by cross-validation on the families, instead.")
    ] = False,
    passages: Annotated[
        bool, typer.Option("--passages", help="Instructions hidden in passages of documents, instead.")
    ] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """330 sentences: are those stopped that are to be, and no others, and what does it cost before each.

    The sentences are in cvi/bench/guardrails.yaml, the passages in cvi/bench/passages.yaml. No model but the
    sentence embedder is run.
    """
    from cvi.bench.policy import measure_guardrails, measure_passages

    if development and passages:
        raise UsageError("--development and --passages are two measurements.", "Give one of them.")
    if passages:
        measure_passages(output=output, json=json)
        return
    measure_guardrails(development=development, output=output, json=json)


def objectives(
    interview: Annotated[
        list[int] | None, typer.Option(help="Hold this one only, from 1 to 70; may be given again.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="<file>", help="Keep what is taken down here; a run that was stopped goes on."),
    ] = None,
    profile: Profile = "auto",
    output: Output = None,
    json: Json = False,
) -> None:
    """Seventy scripted interviews of five slots: is what was said taken down, and nothing invented.

    The interviews are in cvi/bench/objectives.yaml.
    """
    from cvi.bench.policy import measure_objectives

    measure_objectives(profile=profile, only=interview or [], kept=keep, output=output, json=json)


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
