"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "missing", "broken"]


@dataclass(frozen=True, slots=True)
class Check:
    """`remedy` is the command (or sentence) that mends it, "" when nothing has to be done.

    `required` marks what the embedded profile cannot run without.
    """

    area: str
    name: str
    status: Status
    detail: str
    remedy: str = ""
    required: bool = False
