"""What takes turns in a latency run: the program as it is or as a plain cascade, over each route to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeVar

from cvi.bench.callers.blocks import CallerBlock
from cvi.bench.remote_peer.network_emulation import NetworkConditions
from cvi.bench.run import Variant, name_over
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.tts.base import Speech, TtsEngine

# What a plain voice assistant waits before it takes a turn to be over.
CASCADE_SILENCE_S = 0.8
_ABOUT_CASCADE = (
    f"the same engines the plain way: {1000 * CASCADE_SILENCE_S:.0f} ms of silence end a turn; nothing "
    "is drafted or read ahead; a reply is written and spoken to its end before its first sound"
)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class CallerRoute:
    """How a caller reaches the system: `transport` is one of `cvi.bench.run.TRANSPORTS`. `film`: keep a film
    of each session too. `network`: what lies between the ends of a network."""

    transport: str = "file"
    width: int = 1280
    height: int = 720
    fps: int = 25
    film: bool = True
    network: NetworkConditions | None = None


@dataclass(frozen=True, slots=True)
class VariantSetup:
    """One variant of a run before it is measured. `about` says in a sentence what it is; `settings` and
    `layers` change the program's own."""

    name: str
    about: str
    route: CallerRoute
    settings: Callable[[ConversationSettings], ConversationSettings] = lambda settings: settings
    layers: Callable[[SpeechEngines], SpeechEngines] = lambda layers: layers


def variant_setups(baseline: str | None, routes: Sequence[CallerRoute]) -> list[VariantSetup]:
    """Ours, and the `baseline` if one is asked for ("cascade"), over each route, in the order they are shown.

    Over the first route they go by their plain name, over another one by `name_over`.
    """
    assert baseline in (None, "cascade"), baseline
    made: list[VariantSetup] = []
    for number, route in enumerate(routes):
        over = ", over WebRTC to another process" if route.transport == "webrtc" else ""
        plain = [VariantSetup("cvi", f"as `cvi talk` runs it{over}", route)]
        if baseline is not None:
            about = f"{_ABOUT_CASCADE}{over}"
            plain.append(VariantSetup("cascade", about, route, _cascade_settings, _cascade_layers))
        made += (
            [replace(one, name=name_over(one.name, route.transport)) for one in plain] if number else plain
        )
    return made


def interleaved(blocks: Sequence[CallerBlock], variants: Sequence[V]) -> Iterator[tuple[int, CallerBlock, V]]:
    """Each block with each variant, numbered from 1: a, b, then b, a, and so on, so that a machine that
    slows down meanwhile slows down all."""
    for number, block in enumerate(blocks, 1):
        for variant in variants if number % 2 else reversed(variants):
            yield number, block, variant


def unanswered_notes(variant: Variant) -> list[str]:
    """A sentence when turns that wanted an answer got none."""
    wanted = [turn for turn in variant.turns if turn.kind != "backchannel"]
    missing = sum(turn.first_audio_ms is None for turn in wanted)
    return (
        [f"{variant.name}: {missing} of {len(wanted)} turns got no answer of their own."] if missing else []
    )


def _cascade_settings(settings: ConversationSettings) -> ConversationSettings:
    thresholds = replace(
        settings.thresholds,
        patience_sure_s=CASCADE_SILENCE_S,
        patience_likely_s=CASCADE_SILENCE_S,
        patience_unlikely_s=CASCADE_SILENCE_S,
    )
    return replace(
        settings,
        speculative=False,
        judge_completeness=False,
        whole_replies=True,
        thresholds=thresholds,
    )


def _cascade_layers(layers: SpeechEngines) -> SpeechEngines:
    return replace(layers, tts=_WholeVoice(layers.tts))


class _WholeVoice:
    """A voice that gives nothing before it has everything."""

    def __init__(self, inner: TtsEngine) -> None:
        self.name, self.warm, self.close = inner.name, inner.warm, inner.close
        self._inner = inner

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        async with aclosing(self._inner.speak(text)) as stream:  # type: ignore[type-var]
            pieces = [piece async for piece in stream]
        for piece in pieces:
            yield piece
