"""What the pipeline would say of a consent in words, said before a replica is ordered."""

from __future__ import annotations

SOMEBODY = "the person in the footage"
"""Who agrees in a film, where nobody says so."""


def check_wording(text: str, by: str) -> None:
    """Raises `UsageError` for a wording that is none, or does not say who agrees."""
    from cvi.training.package.consent import give_consent

    # With a line's end in it, it is never taken for the path of a file.
    give_consent(f"{text}\n", "", who=by or None)
