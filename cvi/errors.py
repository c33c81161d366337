"""Errors a person can act on.

Every error that reaches a user is one of these: one sentence that says what happened and where,
and one that says what to do next. The command line prints them as a single clean line.
"""

from __future__ import annotations


class CviError(Exception):
    """Something failed that the program cannot mend by itself; exit status 1.

    `remedy` is what the reader should do next, as an imperative sentence.
    """

    exit_status = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class UsageError(CviError):
    """The request itself is wrong: a bad argument, file or value; exit status 2."""

    exit_status = 2


class MissingError(CviError):
    """A package, system library, device, model or replica is not here."""


class EngineError(CviError):
    """An engine failed while it worked: a model that cannot decode, an endpoint that is down or stalls."""
