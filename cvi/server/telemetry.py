"""Metrics for Prometheus and traces for OpenTelemetry, both made from the journals of ended conversations.

A trace is one conversation with its turns and their steps, at the times the journal recorded. Where traces go
is OpenTelemetry's business: set OTEL_EXPORTER_OTLP_ENDPOINT (needs the extra `otel`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from cvi import __version__
from cvi.conversation.events import Event, TurnCommitted
from cvi.conversation.latency import TurnLatency, barge_ins, turn_latencies
from cvi.errors import CviError, MissingError
from cvi.server.worker.transcripts import began_at

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_SECONDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

log = logging.getLogger("cvi.server.telemetry")


class Metrics:
    """A registry of its own, so that two servers can live in one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        here = self._registry
        self.opened = Counter("cvi_conversations_opened", "Conversations opened.", registry=here)
        self.refused = Counter("cvi_conversations_refused", "Refused for want of room.", registry=here)
        self.joined = Counter("cvi_participants_joined", "Participants let in.", registry=here)
        self._ended = Counter("cvi_conversations_ended", "Conversations ended.", ["reason"], registry=here)
        self._crashed = Counter("cvi_conversations_crashed", "Times that a worker crashed.", registry=here)
        self._running = Gauge("cvi_conversations_running", "Conversations now.", registry=here)
        self._load = Gauge("cvi_conversations_processors", "Processors all of them use.", registry=here)
        self._memory = Gauge("cvi_worker_peak_bytes", "The most memory a worker had.", registry=here)
        after = "after the true end of the participant's speech"
        self._steps = {
            name: Histogram(f"cvi_{name}_seconds", f"{meaning} {after}.", buckets=_SECONDS, registry=here)
            for name, meaning in (
                ("floor", "The floor passed,"),
                ("transcript", "Final transcript,"),
                ("first_token", "First word written,"),
                ("first_clause", "First clause written,"),
                ("first_speech", "First clause spoken behind the gate,"),
                ("first_audio", "First sound heard,"),
                ("first_frame", "First frame with a moving mouth,"),
            )
        }
        self._silence = Histogram(
            "cvi_barge_in_silence_seconds",
            "Voice of the participant to silence.",
            buckets=_SECONDS,
            registry=here,
        )
        self._requests = Histogram(
            "cvi_request_seconds",
            "HTTP requests.",
            ["method", "route", "status"],
            buckets=_REQUEST_SECONDS,
            registry=here,
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an HTTP request. `route` is a template without ids."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def load(self, running: int, processors: float, peak_bytes: int) -> None:
        """Note how many conversations run, how many processors they use, and the most memory one had."""
        self._running.set(running)
        self._load.set(processors)
        self._memory.set(peak_bytes)

    def worker_lost(self) -> None:
        """A worker was killed, and another one goes on with its conversation."""
        self._crashed.inc()

    def conversation_over(self, reason: str, crashed: bool, events: Sequence[Event]) -> None:
        """Take the figures of a conversation from its journal."""
        self._ended.labels(reason if len(reason) < 80 else "other").inc()
        if crashed:
            self._crashed.inc()
        try:
            turns, cuts = turn_latencies(events), barge_ins(events)
        except CviError as error:
            log.warning("a journal's figures cannot be used: %s", error)
            return
        for turn in turns:
            for name, histogram in self._steps.items():
                value = getattr(turn, name)
                if value is not None:
                    histogram.observe(max(value, 0.0) / 1000)
        for cut in cuts:
            self._silence.observe(max(cut.silence, 0.0) / 1000)

    def text(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self._registry)


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
            "pip install 'cvi-local[otel]', or unset OTEL_EXPORTER_OTLP_ENDPOINT.",
        ) from error
    about = Resource.create({"service.name": "cvi", "service.version": __version__})
    provider = TracerProvider(resource=about)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("cvi.server")


def trace(tracer: Tracer, conversation_id: str, reason: str, events: Sequence[Event]) -> None:
    """Make the spans of a conversation that has ended. They hold no words of it."""
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
