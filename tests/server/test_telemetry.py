"""Spans from a journal, with the times that stand in it."""

from __future__ import annotations

import pytest

from cvi.conversation.events import (
    ConversationEnded,
    ConversationStarted,
    ReplyFirstAudio,
    TranscriptFinal,
    TurnCommitted,
)
from cvi.errors import MissingError
from cvi.server import telemetry

pytest.importorskip("opentelemetry.sdk", reason="the otel extra is not installed")

EVENTS = [
    ConversationStarted(began="2026-01-02T03:04:05+00:00"),
    TranscriptFinal(seq=1, t=2.9, turn=0, text="my secret"),
    TurnCommitted(
        seq=2,
        t=3.2,
        turn=0,
        reply=0,
        speech_start_s=1.0,
        speech_end_s=3.0,
        silence_ms=200,
        completeness=None,
        draft_hit=True,
        text="my secret",
    ),
    ReplyFirstAudio(seq=3, t=3.4, reply=0, at_s=3.4),
    ConversationEnded(seq=4, t=9.0, reason="stopped"),
]


def test_a_turn_is_a_span_in_its_conversation() -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    out = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(out))
    telemetry.trace(provider.get_tracer("test"), "c1", "stopped", EVENTS)
    turn, whole = out.get_finished_spans()
    zero = 1767323045
    assert (turn.name, whole.name) == ("turn", "conversation")
    assert turn.parent.span_id == whole.context.span_id
    assert (whole.start_time, whole.end_time) == (zero * 10**9, (zero + 9) * 10**9)
    assert turn.start_time == (zero + 1) * 10**9
    assert turn.end_time / 1e9 == pytest.approx(zero + 3.4, abs=1e-3)
    assert [event.name for event in turn.events] == ["transcript", "floor", "first_audio"]
    assert turn.events[2].attributes["ms_after_speech"] == pytest.approx(400)
    assert "secret" not in turn.to_json() + whole.to_json()


def test_a_journal_without_a_beginning_makes_no_spans() -> None:
    class NoSpans:
        def start_span(self, *args: object, **more: object) -> None:
            raise AssertionError("a span was begun")

    assert telemetry.trace(NoSpans(), "c1", "stopped", []) is None  # type: ignore[arg-type, func-returns-value]


def test_without_an_endpoint_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in telemetry.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    assert telemetry.tracer() is None


def test_an_endpoint_without_the_package_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(MissingError, match="not installed"):
        telemetry.tracer()
