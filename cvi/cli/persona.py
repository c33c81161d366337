"""`cvi persona`: check, new, list, show and schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvi.cli.talk import AllowMcpCommands, AllowToolModule

if TYPE_CHECKING:
    from cvi.persona.findings import Finding

app = typer.Typer(no_args_is_help=True, help="Personas: check, copy, list and show them.")

Json = Annotated[bool, typer.Option("--json", help="Print a JSON document for machines.")]


@app.command()
def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE|NAME...", help="Persona files, or personas by name.")
    ],
    json: Json = False,
) -> None:
    """Say what is wrong in persona files, where, and how to mend it; exit status 2 for errors."""
    from cvi.persona.loading import check_persona, find_persona

    by_name = {file: not file.suffix and len(file.parts) == 1 and not file.exists() for file in files}
    files = [find_persona(str(file)) if by_name[file] else file for file in files]
    findings = {file: check_persona(file) for file in files}
    errors = sum(finding.severity == "error" for found in findings.values() for finding in found)
    if json:
        rows = [_finding_row(finding) for found in findings.values() for finding in found]
        _print_json({"files": [str(file) for file in files], "errors": errors, "findings": rows})
    else:
        _print_findings(findings)
    if errors:
        raise typer.Exit(2)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the persona is called.")],
    source: Annotated[str, typer.Option("--from", help="The persona to copy, by name or path.")] = "guide",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file to write.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write a persona file to edit, with comments; into your own personas unless -o says otherwise."""
    from cvi.persona.loading import new_persona

    typer.echo(str(new_persona(name, source, output, force)))


@app.command()
def test(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A persona by name or path.")],
    script: Annotated[
        Path | None, typer.Option(help="The conversations; else tests/NAME.yaml beside the persona's file.")
    ] = None,
    engines: Annotated[
        str, typer.Option(help="fake: in virtual time; real: its own language model.")
    ] = "fake",
    profile: Annotated[str, typer.Option(help="auto, embedded, cpu, laptop or workstation.")] = "auto",
    junit: Annotated[Path | None, typer.Option(help="Write the verdicts there, as JUnit's XML.")] = None,
    allow_tool_module: AllowToolModule = None,
    allow_mcp_commands: AllowMcpCommands = False,
) -> None:
    """Hold scripted conversations with a persona; exit status 1 where something is not as expected.

    With fakes no tool is called; with real engines the persona's tools are, as far as they are allowed.
    """
    import asyncio

    from cvi.errors import UsageError
    from cvi.files import replacing
    from cvi.persona.loading import find_persona, load_persona
    from cvi.testing import persona_script
    from cvi.tools.declared import ToolPermissions

    if engines not in ("fake", "real"):
        raise UsageError(f"'{engines}' are no engines to test with.", "Choose from: fake, real.")
    persona, file = load_persona(name), find_persona(name)
    scripted = persona_script.load_script(script or file.parent / "tests" / f"{file.stem}.yaml")
    if engines == "fake":
        verdicts = persona_script.run_with_fakes(persona, scripted)
    else:
        allowed = ToolPermissions(("*",), tuple(allow_tool_module or ()), allow_mcp_commands)
        verdicts = asyncio.run(persona_script.run_with_engines(persona, scripted, profile, allowed))
    if junit is not None:
        with replacing(junit) as part:
            part.write_text(persona_script.junit(file.stem, verdicts), encoding="utf-8")
    for verdict in verdicts:
        typer.echo(f"{'failed' if verdict.faults else 'passed'}  {verdict.name}")
        for fault in verdict.faults:
            typer.echo(f"        {fault}")
    if any(verdict.faults for verdict in verdicts):
        raise typer.Exit(1)


@app.command("list")
def list_all(json: Json = False) -> None:
    """Show the personas that can be named without a path."""
    from cvi.persona.findings import examine
    from cvi.persona.loading import list_personas

    rows = []
    for file in list_personas():
        persona, _ = examine(file.path)
        title = persona.persona_name if persona else None
        rows.append(
            {"name": file.name, "persona_name": title, "path": str(file.path), "shipped": file.shipped}
        )
    if json:
        _print_json({"personas": rows})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "who", "from"):
        table.add_column(heading, no_wrap=heading == "name")
    for row in rows:
        who = row["persona_name"] or f"has errors: cvi persona check {row['path']}"
        table.add_row(str(row["name"]), str(who), "cvi" if row["shipped"] else str(row["path"]))
    Console(highlight=False, markup=False).print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A persona by name or path.")],
    json: Json = False,
) -> None:
    """Print one persona, as YAML with its defaults left out. Secrets are never shown."""
    from cvi.persona.loading import find_persona, load_persona

    persona = load_persona(name)
    if json:
        _print_json(persona.model_dump(mode="json"))
        return
    import yaml

    class Dumper(yaml.SafeDumper):
        """Texts of several lines as blocks."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    data = persona.model_dump(mode="json", exclude_defaults=True)
    typer.echo(f"# {find_persona(name)}")
    typer.echo(yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100).rstrip())


@app.command()
def schema() -> None:
    """Print the JSON Schema of persona files, for editors."""
    from cvi.persona.json_schema import json_schema

    _print_json(json_schema())


def _finding_row(finding: Finding) -> dict[str, Any]:
    return {
        "file": str(finding.file),
        "line": finding.line,
        "column": finding.column,
        "severity": finding.severity,
        "message": finding.message,
        "remedy": finding.remedy,
    }


def _print_findings(findings: dict[Path, list[Finding]]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    colours = {"error": "bold red", "warning": "yellow"}
    for file, found in findings.items():
        for finding in found:
            line = Text(f"{finding.file}:{finding.line}:{finding.column}  ")
            line.append(finding.severity, style=colours[finding.severity])
            line.append(f"  {finding.message}")
            if finding.remedy:
                line.append(f" — {finding.remedy}", style="dim")
            console.print(line)
        if not found:
            console.print(Text(f"{file}  ok", style="green"))


def _print_json(document: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
