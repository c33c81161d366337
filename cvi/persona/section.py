"""The base of all parts of a persona, and how secrets are read and shown.

A persona may be a file of ours, a file written for the wire contract, or a request of a client of that
contract. Therefore fields have two spellings, and some keys are accepted without effect. A `Section`
lists the spellings, `cvi.persona.field_effects` the keys; `cvi.persona.findings` uses both to tell a
misspelt key from one of the contract.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, PlainSerializer, SecretStr, SerializationInfo, model_validator
from pydantic_core import PydanticCustomError

from cvi.errors import UsageError

MASK = "********"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""`${NAME}` stands for an environment variable, so that secrets stay out of files."""
_SECRET_WORDS = ("key", "token", "secret", "password", "auth", "sig", "cookie")


def rule_broken(message: str, remedy: str, *path: str | int) -> PydanticCustomError:
    """An error of a rule between fields; `path` leads from the section to the faulty value."""
    return PydanticCustomError("persona_rule", message, {"path": path, "remedy": remedy})


class Section(BaseModel):
    """A part of a persona. Unknown keys are ignored here; `check_persona` reports them.

    `other_spellings`: key -> our field. What a field does in this version stands in
    `cvi.persona.field_effects`.
    """

    model_config = ConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )

    other_spellings: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _one_vocabulary(cls, data: Any) -> Any:
        """Rename other spellings to ours and drop keys without a value (`greeting:` says nothing)."""
        if not isinstance(data, Mapping):
            return data
        named = {key: value for key, value in data.items() if value is not None}
        for other, ours in cls.other_spellings.items():
            if other not in named:
                continue
            value = named.pop(other)
            if ours in named and named[ours] != value:
                raise rule_broken(
                    f"'{other}' and '{ours}' are two spellings of one field, with different values",
                    f"Keep '{ours}' and remove '{other}'.",
                    other,
                )
            named[ours] = value
        return named


def _keeps_secrets(info: SerializationInfo) -> bool:
    return bool(info.context and info.context.get("secrets"))


def _show_secret(secret: SecretStr, info: SerializationInfo) -> str:
    text = secret.get_secret_value()
    return text if _keeps_secrets(info) or is_reference(text) else MASK


def _show_named(values: Any, info: SerializationInfo) -> Any:
    return values if _keeps_secrets(info) else masked(values)


def masked(values: Any, name: str = "") -> Any:
    """A copy of JSON-like data, with asterisks for texts whose name suggests a secret."""
    if isinstance(values, Mapping):
        # Any header may carry a credential, whatever it is called.
        return {
            key: masked(value, "key" if name.lower() == "headers" else str(key))
            for key, value in values.items()
        }
    if isinstance(values, list | tuple):
        return [masked(value, name) for value in values]
    if isinstance(values, str) and not is_reference(values):
        return MASK if any(word in name.lower() for word in _SECRET_WORDS) else values
    return values


Secret = Annotated[SecretStr, PlainSerializer(_show_secret, return_type=str)]
"""Shown as asterisks, or as its `${NAME}`; `model_dump(context={"secrets": True})` gives it as it is."""

Headers = Annotated[dict[str, Secret], "HTTP headers: any of them may carry a credential"]
Parameters = Annotated[dict[str, Any], PlainSerializer(_show_named)]


def is_reference(text: str) -> bool:
    """Whether the text is made of `${NAME}` alone, perhaps after a scheme word: "Bearer ${TOKEN}"."""
    rest, count = _REFERENCE.subn("", text)
    return count > 0 and rest.strip() in ("", "Bearer", "Basic", "Token")


def references(text: str) -> list[str]:
    """The names of the variables the text refers to, in order."""
    return _REFERENCE.findall(text)


def expand(text: str) -> str:
    """The text with each `${NAME}` replaced by that variable's value, read now.

    Raises `UsageError` when one is not set or empty.
    """

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if not found:
            raise UsageError(
                f"The persona refers to ${{{match[1]}}}, and that environment variable is not set.",
                f"Set it before you start: export {match[1]}=...",
            )
        return found

    return _REFERENCE.sub(value, text)


def section_of(annotation: Any) -> type[Section] | None:
    """The section that a field holds, alone, in a list or as an option."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for argument in get_args(annotation):
        found = section_of(argument)
        if found is not None:
            return found
    return None
