"""What the measurements of single layers share: the engines asked for, kinds of figures, progress."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from rich.console import Console

from cvi.bench.layers.recognitions import Recognitions
from cvi.bench.run import SHARE, Figure, Variant
from cvi.bench.run_store import RunRecorder, as_json
from cvi.bench.tables import print_run
from cvi.conversation.settings import ConversationSettings
from cvi.engine_registry import build
from cvi.engines import ResolvedConfig, build_turn_judge, conversation_settings, resolve
from cvi.errors import UsageError
from cvi.llm.base import LlmEngine
from cvi.models.profiles import EngineChoice
from cvi.persona.loading import load_persona
from cvi.stt.base import SttEngine, SttSettings
from cvi.turns.base import TurnModel, TurnModelSettings, VadEngine, VadSettings


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """What the command line asked for. `engine` and `model` replace the profile's own for one layer."""

    persona: str = "guide"
    profile: str = "auto"
    engine: str | None = None
    model: str | None = None

    def resolved(self) -> ResolvedConfig:
        """The persona and profile with their engines. Raises MissingError, UsageError."""
        return resolve(load_persona(self.persona), profile=self.profile)

    def choice(self, config: ResolvedConfig, layer: str) -> EngineChoice:
        """The engine of one layer: the profile's, or what was asked for."""
        own: EngineChoice = getattr(config, layer)
        if self.engine is None or self.engine == own.engine:
            return replace(own, model=self.model or own.model)
        return EngineChoice(self.engine, self.model)

    def recorder(
        self, kind: str, config: ResolvedConfig, output: Path | None, **options: object
    ) -> RunRecorder:
        """A recorder for a measurement of the layer `kind`, whose engine is among the options."""
        choice = self.choice(config, kind)
        model = Path(choice.model).name if choice.model else None
        named = {"engine": choice.engine, "model": model, **options}
        return RunRecorder(kind, named, profile=config.profile.name, output=output)


@dataclass(slots=True)
class ListeningEngines:
    """The engines that decide whose turn it is. `turn_model` is None where none is installed or wanted."""

    vad: VadEngine
    stt: SttEngine
    llm: LlmEngine
    turn_model: TurnModel | None
    settings: ConversationSettings
    names: dict[str, str] = field(default_factory=dict)

    async def close(self) -> None:
        """Close all of them."""
        await self.llm.close()
        self.stt.close()
        if self.turn_model is not None:
            self.turn_model.close()


@asynccontextmanager
async def listening_engines(
    config: ResolvedConfig, weights: Path | None, recognized: Path | None = None
) -> AsyncIterator[ListeningEngines]:
    """Build and warm them; `weights` is the turn model's file, None for none. `recognized` keeps what the
    recognizer decodes, for a `SimulatedLoop`.

    Raises MissingError, UsageError: an endpoint's answers cannot be waited for in simulated time.
    """
    for layer in ("stt", "llm"):
        if getattr(config, layer).engine == "openai":
            raise UsageError(
                f"The {layer} layer of this persona is an endpoint, which cannot run in simulated time.",
                "Choose a persona or profile with local engines; `cvi bench latency` measures endpoints.",
            )
    settings = conversation_settings(config, "bench", greeting="")
    stt = await build_stt(config.stt, settings.language)
    llm = await build_turn_judge(config, settings)
    model: TurnModel | None = None
    if weights is not None:
        model = await asyncio.to_thread(build, "turns", "smart-turn", TurnModelSettings(str(weights)))
    vad: VadEngine = await asyncio.to_thread(build, "vad", "silero", VadSettings())
    names = {"vad": vad.name, "stt": stt.name, "llm": llm.name, "turns": model.name if model else "none"}
    engines = ListeningEngines(vad, stt, llm, model, settings, names)
    try:
        await stt.warm()
        if recognized is not None:
            count: Callable[[float], None] = getattr(
                asyncio.get_running_loop(), "count", lambda seconds: None
            )
            named = f"{stt.name} {Path(config.stt.model or '').name} {settings.language}"
            Recognitions(recognized, named).attach(stt, count)
        if model is not None:
            await model.warm()
        yield engines
    finally:
        await engines.close()


def llm_name(config: ResolvedConfig) -> str:
    """The engine and model that answer, as a report calls them."""
    model = config.llm.model
    return f"{config.llm.engine} {Path(model).stem if model else 'of the package'}"


async def build_stt(choice: EngineChoice, language: str) -> SttEngine:
    """A recognizer, built on a thread. Raises MissingError, UsageError."""
    settings = SttSettings(language=language, model=choice.model)
    engine: SttEngine = await asyncio.to_thread(build, "stt", choice.engine, settings)
    return engine


def milliseconds(name: str, label: str, seconds: Iterable[float | None]) -> Figure:
    """A figure in ms of times in seconds; None and infinity are left out."""
    values = (1000 * float(value) for value in seconds if value is not None and math.isfinite(value))
    return Figure(name, label, "ms", tuple(values))


def proportion(name: str, label: str, hits: Iterable[bool], *, lower_is_better: bool = True) -> Figure:
    """A share: one value, 0 or 1, for each thing that was tried."""
    return Figure(name, label, SHARE, tuple(float(hit) for hit in hits), lower_is_better)


def wins(a: Sequence[float], b: Sequence[float]) -> npt.NDArray[np.float64]:
    """For each pair of a value of `a` and one of `b`: 1 where a's is larger, 0.5 where they are equal.

    Shape (len(a), len(b)); the mean is the area under the ROC curve.
    """
    x, y = np.array(a)[:, None], np.array(b)[None]
    return np.asarray((x > y) + 0.5 * (x == y), np.float64)


class Sourced(Protocol):
    """Anything that knows which folder or set it came from."""

    @property
    def source(self) -> str:
        """The name of the folder or set."""
        ...


def count_sources(items: Iterable[Sourced]) -> Mapping[str, int]:
    """How many items come from where."""
    return dict(Counter(item.source for item in items))


def show_progress(total: int) -> Callable[[str], None]:
    """A function that says, on a terminal, which of `total` things is done."""
    console = Console(stderr=True, highlight=False)
    done: list[str] = []

    def tell(name: str) -> None:
        done.append(name)
        if console.is_terminal:
            console.print(f"{len(done)}/{total} {name}", style="dim")

    return tell


def finish(recorder: RunRecorder, variants: Sequence[Variant], as_text: bool) -> None:
    """Write the run and print it: for machines (`as_text`) the record, for people its tables."""
    run = recorder.finish(variants)
    if as_text:
        print(json.dumps(as_json(run)))
    else:
        print_run(run, recorder.folder)
