"""The page on failures names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_test_that_is_named_exists() -> None:
    named = set(NAMED.findall((ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")))
    assert len(named) > 60
    missing = [f"{file}::{name}" for file, name in sorted(named) if name not in functions_of(ROOT / file)]
    assert not missing


def functions_of(path: Path) -> set[str]:
    """The tests of a file; those of classes too."""
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
