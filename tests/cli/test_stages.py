"""Progress in a file is lines; in a terminal a bar."""

from __future__ import annotations

import io

from rich.console import Console

from cvi.cli.stages import Stages


def test_a_file_gets_a_line_when_a_stage_begins_and_not_one_for_every_step() -> None:
    out = io.StringIO()
    stages = Stages(Console(file=out, width=100))
    assert stages.show("training", 1, 50, "loss 0.5, 3 min left")
    assert not any(stages.show("training", step, 50, "loss 0.5") for step in range(2, 51))
    assert stages.show("storing", 0, 9)
    stages.close()
    assert out.getvalue() == "training: 2 %, loss 0.5, 3 min left\nstoring: 0 %, 0 of 9\n"


def test_nothing_is_shown_before_the_first_stage() -> None:
    out = io.StringIO()
    Stages(Console(file=out, force_terminal=True, width=100)).close()
    assert out.getvalue() == ""


def test_a_terminal_gets_a_bar() -> None:
    out = io.StringIO()
    stages = Stages(Console(file=out, force_terminal=True, width=100))
    stages.show("training", 1, 2, "half")
    stages.close()
    assert "training" in out.getvalue() and "half" in out.getvalue()
