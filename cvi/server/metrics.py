"""Figures for Prometheus: what the journals of ended conversations say, as histograms, and a few counts."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from cvi.conversation.events import Event
from cvi.conversation.latency import barge_ins, turn_latencies
from cvi.errors import CviError

_SECONDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

log = logging.getLogger("cvi.server.metrics")


class Metrics:
    """A registry of its own, so that two servers can live in one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        here = self._registry
        self.opened = Counter("cvi_conversations_opened", "Conversations opened.", registry=here)
        self.refused = Counter("cvi_conversations_refused", "Refused for want of room.", registry=here)
        self.joined = Counter("cvi_participants_joined", "Participants let in.", registry=here)
        self._ended = Counter("cvi_conversations_ended", "Conversations ended.", ["reason"], registry=here)
        self._crashed = Counter("cvi_conversations_crashed", "Ended by a worker's crash.", registry=here)
        self._running = Gauge("cvi_conversations_running", "Conversations now.", registry=here)
        self._load = Gauge("cvi_conversations_processors", "Processors all of them use.", registry=here)
        self._memory = Gauge("cvi_worker_peak_bytes", "The most memory a worker had.", registry=here)
        after = "after the true end of the participant's speech"
        self._steps = {
            name: Histogram(f"cvi_{name}_seconds", f"{told} {after}.", buckets=_SECONDS, registry=here)
            for name, told in (
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
        self._requests.labels(method, route, str(status)).observe(seconds)

    def load(self, running: int, processors: float, peak_bytes: int) -> None:
        self._running.set(running)
        self._load.set(processors)
        self._memory.set(peak_bytes)

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
