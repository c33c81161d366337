"""OpenTelemetry traces, for who has the `otel` extra: a conversation, and in it each turn with its steps.

Spans are made from the journal when the conversation has ended, with the times that it recorded: the
conversation itself does nothing for them. Where they go is OpenTelemetry's own business: set
OTEL_EXPORTER_OTLP_ENDPOINT.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cvi import __version__
from cvi.conversation.events import Event, TurnCommitted
from cvi.conversation.latency import TurnLatency, turn_latencies
from cvi.errors import CviError, MissingError
from cvi.server.rooms.event_store import began_at

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
STEPS = ("transcript", "first_token", "first_clause", "first_speech", "floor", "first_audio", "first_frame")


def tracer() -> Tracer | None:
    """The tracer, when an endpoint is set. Raises `MissingError` when the extra is not installed."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MissingError(
            f"An OpenTelemetry endpoint is set and the package {error.name} is not installed.",
            "pip install 'cvi[otel]', or unset OTEL_EXPORTER_OTLP_ENDPOINT.",
        ) from error
    about = Resource.create({"service.name": "cvi", "service.version": __version__})
    provider = TracerProvider(resource=about)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("cvi.server")


def trace(tracer: Tracer, conversation_id: str, reason: str, events: Sequence[Event]) -> None:
    """Make the spans of a conversation that has ended. Nothing is said of what was said."""
    zero = began_at(events)
    if not events or not zero:
        return

    def ns(seconds: float) -> int:
        return int((zero + seconds) * 1e9)

    from opentelemetry.trace import set_span_in_context

    root = tracer.start_span(
        "conversation",
        start_time=ns(0.0),
        attributes={"cvi.conversation_id": conversation_id, "cvi.shutdown_reason": reason},
    )
    inside = set_span_in_context(root)
    ends = {event.turn: event for event in events if isinstance(event, TurnCommitted)}
    for turn in _turns(events):
        committed = ends[turn.turn]
        end_s = committed.speech_end_s
        span = tracer.start_span(
            "turn",
            context=inside,
            start_time=ns(committed.speech_start_s),
            attributes={"cvi.turn": turn.turn, "cvi.draft_hit": turn.draft_hit},
        )
        last_s = end_s
        for step in STEPS:
            after_ms: Any = getattr(turn, step)
            if after_ms is not None:
                span.add_event(step, {"ms_after_speech": after_ms}, timestamp=ns(end_s + after_ms / 1000))
                last_s = max(last_s, end_s + after_ms / 1000)
        span.end(ns(last_s))
    root.end(ns(events[-1].t))


def _turns(events: Sequence[Event]) -> list[TurnLatency]:
    try:
        return turn_latencies(events)
    except CviError:
        return []
