"""`cvi`: the command line. Each command lives in a file of its own; this one gathers them."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer

from cvi import __version__
from cvi.cli import bench, keys, knowledge, memory, models, persona, replica, webhooks
from cvi.cli.demo import demo
from cvi.cli.doctor import devices, doctor
from cvi.cli.memory import forget
from cvi.cli.perceive import perceive
from cvi.cli.render import render
from cvi.cli.serve import serve
from cvi.cli.show import list_conversations, show, turns
from cvi.cli.talk import talk
from cvi.cli.train_replica import train_replica
from cvi.errors import CviError
from cvi.threads import one_blas_thread

app = typer.Typer(
    name="cvi",
    help="Talk face to face with a persona that runs on your own machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help answers in half the time
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo)
app.command()(talk)
app.command()(render)
app.command("train-replica")(train_replica)
app.command()(perceive)
app.command()(turns)
app.command()(show)
app.command("list")(list_conversations)
app.command()(serve)
app.add_typer(keys.app, name="keys")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(persona.app, name="persona")
app.add_typer(replica.app, name="replica")
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(memory.app, name="memory")
app.command()(forget)
app.add_typer(models.app, name="models")
app.add_typer(bench.app, name="bench")
app.command()(devices)
app.command()(doctor)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cvi {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of every command."""
    if debug:
        os.environ["CVI_DEBUG"] = "1"


class _MediaWarnings(logging.Handler):
    """Prints, once each, what could not be read of films and sounds."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        if line not in self.lines:
            self.lines.add(line)
            print(f"cvi: {line}", file=sys.stderr)


def main() -> None:
    """Run a command; an error of ours is one clean line.

    Exit status: 0 all that was asked for is done and whole; 1 something failed, or is done without a part
    that a line names; 2 the request itself is wrong and nothing was done; 130 stopped by Ctrl-C.
    """
    media = _MediaWarnings()
    logging.getLogger("cvi.media").addHandler(media)
    # Conversations, faces and keys are for their owner alone: whatever is made here and by child processes.
    os.umask(0o077)
    one_blas_thread()
    try:
        _run(media)
    finally:
        logging.getLogger("cvi.media").removeHandler(media)


def _run(media: _MediaWarnings) -> None:
    try:
        app()
    except SystemExit as end:
        if not end.code and media.lines:
            sys.exit(1)
        raise
    except CviError as error:
        if os.environ.get("CVI_DEBUG"):
            raise
        print(f"cvi: {error.message}", file=sys.stderr)
        if error.remedy:
            print(f"     {error.remedy}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has left; what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        # Whatever the disk refuses, wherever: full, read-only, a name that is too long.
        if os.environ.get("CVI_DEBUG"):
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"cvi: {where}{error.strerror or error}.", file=sys.stderr)
        print("     Free some space, or set CVI_HOME to a folder that can be written to.", file=sys.stderr)
        sys.exit(1)
