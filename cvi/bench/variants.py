"""The two sides of a comparison: the program as it is, and the plain way with the same engines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.tts.base import Speech, TtsEngine

# What a plain voice assistant waits before it believes that a turn is over.
CASCADE_SILENCE_S = 0.8


@dataclass(frozen=True, slots=True)
class Policy:
    """One side. `about` says in a sentence what it is."""

    name: str
    about: str
    settings: Callable[[ConversationSettings], ConversationSettings]
    layers: Callable[[SpeechEngines], SpeechEngines]


def policies(baseline: str | None) -> list[Policy]:
    """Ours, and the baseline if one is asked for ("cascade")."""
    ours = Policy("cvi", "as `cvi talk` runs it", lambda settings: settings, lambda layers: layers)
    if baseline is None:
        return [ours]
    assert baseline == "cascade", baseline
    about = (
        f"the same engines the plain way: {1000 * CASCADE_SILENCE_S:.0f} ms of silence end a turn; nothing "
        "is drafted or read ahead; a reply is written and spoken to its end before its first sound"
    )
    whole = Policy("cascade", about, _cascade, lambda layers: replace(layers, tts=_WholeVoice(layers.tts)))
    return [ours, whole]


def _cascade(settings: ConversationSettings) -> ConversationSettings:
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


class _WholeVoice:
    """A voice that gives nothing before it has everything."""

    def __init__(self, inner: TtsEngine) -> None:
        self.name = inner.name
        self._inner = inner

    async def warm(self) -> None:
        await self._inner.warm()

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        async with aclosing(self._inner.speak(text)) as stream:  # type: ignore[type-var]
            pieces = [piece async for piece in stream]
        for piece in pieces:
            yield piece

    def close(self) -> None:
        self._inner.close()
