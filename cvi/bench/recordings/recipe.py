"""Recipes: what callers say, with which voice, in which room. Read from `cvi/bench/scenarios/*.yaml`.

    name: standard
    seed: 7
    blocks:
    - name: fan-10
      room: {noise: fan, snr_db: 10}
      turns:
      - {id: n01, kind: noise, say: "Can you hear me well?", voice: "flite:rms"}
      - {id: p01, kind: pause, say: "I would like to know | what you can do.", pause_s: 0.7}
      - {id: b01, kind: barge_in, say: "Stop, please.", into_reply_s: 1.0}

A block is one conversation in one room. `|` is a pause of `pause_s` inside a turn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cvi.errors import UsageError
from cvi.yaml_document import read_yaml

FOLDER = Path(__file__).parent.parent / "scenarios"
Kind = Literal["question", "pause", "barge_in", "backchannel", "noise", "reverb", "accent", "echo"]
OVER_A_REPLY = ("barge_in", "backchannel")
NoiseKind = Literal["quiet", "fan", "street", "babble"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RoomAcoustics(_Strict):
    """What is heard beside the caller. `snr_db` is the voice's level over the noise's.

    `rt60_s` is the room's reverberation, `direct_db` the direct sound against it. `echo_db` is how much of
    the persona's own sound comes back through the microphone and its echo canceller, `echo_delay_ms` later.
    """

    noise: NoiseKind = "quiet"
    snr_db: float | None = Field(default=None, ge=-20, le=60)
    rt60_s: float | None = Field(default=None, gt=0.05, le=3)
    direct_db: float = Field(default=6.0, ge=-20, le=40)
    echo_db: float | None = Field(default=None, ge=-80, le=0)
    echo_delay_ms: float = Field(default=60.0, ge=0, le=500)


class RecipeTurn(_Strict):
    """`voice` is `engine:voice`; `speed` and `pitch` are factors. Words over a reply begin `into_reply_s`
    after the persona is heard."""

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    kind: Kind = "question"
    say: str = Field(min_length=1)
    voice: str = Field(default="flite:rms", pattern=r"^(flite|espeak):\S+$")
    speed: float = Field(default=1.0, gt=0.4, lt=2.5)
    pitch: float = Field(default=1.0, gt=0.5, lt=2)
    pause_s: float = Field(default=0.7, gt=0, le=5)
    into_reply_s: float | None = Field(default=None, ge=0, le=30)

    @property
    def text(self) -> str:
        """The words, without the marks of pauses."""
        return " ".join(self.say.replace("|", " ").split())


class RecipeBlock(_Strict):
    """One conversation in one room."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    room: RoomAcoustics = RoomAcoustics()
    turns: tuple[RecipeTurn, ...] = Field(min_length=1)


class Recipe(_Strict):
    """A named set of callers; the same `seed` gives the same noise."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    about: str = ""
    seed: int = 0
    blocks: tuple[RecipeBlock, ...] = Field(min_length=1)

    @property
    def turns(self) -> tuple[RecipeTurn, ...]:
        """All blocks' turns, in order."""
        return tuple(turn for block in self.blocks for turn in block.turns)


def shipped_recipes() -> list[Path]:
    """The recipes that come with the package."""
    return [path for path in sorted(FOLDER.glob("*.yaml")) if "\nblocks:" in path.read_text(encoding="utf-8")]


def find_recipe(name: str) -> Path:
    """A recipe by the name of a shipped one, or by its path. Raises UsageError."""
    path = Path(name)
    if path.suffix.lower() in (".yaml", ".yml"):
        return path
    known = {shipped.stem: shipped for shipped in shipped_recipes()}
    if name not in known:
        names = ", ".join(known)
        raise UsageError(f"There is no set of callers '{name}'.", f"There are: {names}; or give a .yaml.")
    return known[name]


def load_recipe(path: Path) -> Recipe:
    """Raises UsageError, one line, for what is no recipe."""
    try:
        recipe = Recipe.model_validate(read_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(f"{path}: {where}: {first['msg']}.", "Correct the recipe.") from error
    seen: set[str] = set()
    for turn in recipe.turns:
        if turn.id in seen:
            raise UsageError(f"{path}: two turns are called {turn.id}.", "Give each an id of its own.")
        seen.add(turn.id)
        if (turn.kind in OVER_A_REPLY) != (turn.into_reply_s is not None):
            raise UsageError(
                f"{path}: turn {turn.id} is a {turn.kind}.",
                "Words over a reply, and only they, need `into_reply_s`.",
            )
    for block in recipe.blocks:
        if block.turns[0].into_reply_s is not None:
            raise UsageError(
                f"{path}: block {block.name} begins with words over a reply.", "Begin with a question."
            )
    return recipe
