"""A made-up run with all that a page can show."""

from __future__ import annotations

from typing import Any

import numpy as np

from cvi.bench.run import (
    Agreement,
    BargeInRecord,
    Gap,
    Mark,
    OwnCost,
    Playout,
    Run,
    SyncPoint,
    TurnRecord,
    Variant,
)

QUESTIONS = (
    "What is your name?",
    "Could you tell me how this works & what it costs?",
    "I was thinking of <something> smaller.",
    "How long does the journey take in the morning?",
)


def latency_run(
    turns: int = 24, variants: tuple[tuple[str, float], ...] = (("cvi", 1.0), ("cascade", 2.6))
) -> Run:
    rng = np.random.default_rng(7)
    return Run(
        "latency",
        ("cvi", "bench", "latency", "--turns", str(turns)),
        "2026-01-02T03:04:05+00:00",
        640.0,
        {"cpu": "Some processor", "cores": 2, "packages": {"numpy": "2.0"}, "gpu": ""},
        tuple(_variant(name, factor, turns, rng) for name, factor in variants),
        options={"persona": "guide", "scenario": "questions", "turns": turns},
        agreement=(
            Agreement("cvi", "first_audio", turns, -3.1, 18.0, 30.0, 0, 0.05, True),
            Agreement("cvi", "first_frame", turns, 12.0, 61.0, 40.0, 3, 0.05, False),
        ),
        own_cost=OwnCost(3.2, 410.0, 640.0),
        notes=("The machine was busy.",),
    )


def _variant(name: str, factor: float, count: int, rng: Any) -> Variant:
    return Variant(
        name,
        about="a made-up system",
        engines={"stt": "pocketsphinx", "llm": "llama-cpp"},
        turns=tuple(_turn(number, name, factor, rng) for number in range(count)),
        barge_ins=tuple(
            BargeInRecord(f"b{n}", name, "s1", 100.0 + n, 200 * factor + 20 * n, 300 * factor + 20 * n)
            for n in range(6)
        ),
        playout=Playout(
            fps=25,
            frames=5000,
            late=12,
            dropped=1,
            frozen=3,
            lateness_ms=tuple(float(v) for v in rng.gamma(1.5, 3.0 * factor, 5000)),
            gaps=(Gap(33.2, 18.0, "s1"),) if factor > 1 else (),
            sync=tuple(SyncPoint(20.0 * n, float(rng.normal(12, 8)), 0.8, "s1") for n in range(count)),
            sync_ms=12.0,
            drift_ms_per_min=(0.1, -0.4, 0.6),
        ),
    )


def _turn(number: int, variant: str, factor: float, rng: Any) -> TurnRecord:
    end_s = 20.0 * number + 3.0
    length_s = 1.0 + number % 3
    floor = float(rng.normal(320, 60)) * (1 + 0.6 * (factor > 1))
    heard = floor + float(rng.gamma(3, 90)) * factor
    if number == 5:
        return TurnRecord(
            f"q{number:02d}", "question", QUESTIONS[0], variant, "s1", end_s - length_s, end_s, "unanswered"
        )
    steps = {
        "floor": floor,
        "transcript": floor - 90,
        "first_token": floor - 40 * (factor == 1) + 60 * (factor > 1),
        "first_clause": heard - 70,
        "first_speech": heard - 30,
        "first_audio": heard + 2,
        "first_frame": heard + 15,
    }

    def at(key: str) -> float:
        return end_s + steps[key] / 1000

    return TurnRecord(
        f"q{number:02d}", "question" if number % 4 else "pause_inside", QUESTIONS[number % 4], variant, "s1",
        end_s - length_s, end_s, "answered", heard, heard + 20,
        conditions={"noise_db": 15.0} if number % 5 == 0 else {},
        av_offset_ms=12.0,
        draft_hit=factor == 1,
        journal=steps,
        marks=(
            Mark("caller", "speech", end_s - length_s, end_s),
            Mark("pause", "pause seen", end_s + 0.12),
            Mark("transcript", "final", at("transcript"), text=QUESTIONS[number % 4]),
            Mark("judge", "scored", end_s + 0.2, text="0.83"),
            Mark("draft", "draft", end_s + 0.21, at("floor")),
            Mark("floor", "passed", at("floor")),
            Mark("reply", "first word", at("first_token")),
            Mark("reply", "first clause", at("first_clause")),
            Mark("reply", "first clause voiced", at("first_speech")),
            Mark("persona", "first sound", end_s + heard / 1000, end_s + heard / 1000 + 2.5),
            Mark("mouth", "moving", end_s + heard / 1000 + 0.02, end_s + heard / 1000 + 2.6),
        ),
    )  # fmt: skip


def soak_run(minutes: int = 30, leak_mib_per_hour: float = 0.0) -> Run:
    rng = np.random.default_rng(3)
    at_s = np.arange(5.0, minutes * 60, 5.0)
    settled = (
        560 + 20 * (1 - np.exp(-at_s / 120)) + rng.normal(0, 2, len(at_s)) + at_s / 3600 * leak_mib_per_hour
    )

    def series(values: Any) -> tuple[tuple[float, float], ...]:
        return tuple((float(at), float(value)) for at, value in zip(at_s, values, strict=True))

    return Run(
        "soak",
        ("cvi", "bench", "soak", "--minutes", str(minutes)),
        "2026-01-02T03:04:05+00:00",
        minutes * 60.0,
        {"cpu": "Some processor"},
        (Variant("cvi"),),
        series={
            "rss_mib": series(settled),
            "pss_mib": series(settled - 12),
            "threads": series(np.full(len(at_s), 38)),
            "handles": series(np.full(len(at_s), 21)),
            "late_per_min": series(rng.poisson(2, len(at_s))),
            "av_offset_ms": series(rng.normal(10, 5, len(at_s))),
        },
    )
