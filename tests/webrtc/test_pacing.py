"""Packets leave evenly."""

from __future__ import annotations

import asyncio

from cvi.testing.virtual_time import run_virtual
from cvi.transport.webrtc.rtcp import FACTOR, LEAST_BPS, REPAIR_BURST, PacedTransport, Repairs


class Wire:
    def __init__(self) -> None:
        self.sent: list[float] = []
        self.state = "connected"

    async def _send_rtp(self, data: bytes) -> None:
        self.sent.append(asyncio.get_running_loop().time())


def test_a_burst_is_spread_at_a_multiple_of_the_rate() -> None:
    async def send() -> list[float]:
        wire = Wire()
        paced = PacedTransport(wire, lambda: 800_000)
        for _ in range(50):
            await paced._send_rtp(bytes(1250))
        assert paced.state == "connected", "everything else is the transport's own"
        return wire.sent

    sent = run_virtual(send())
    took = 50 * 10_000 / (800_000 * FACTOR)
    assert took * 0.9 < sent[-1] < took
    assert sum(1 for at in sent if at < 0.02) < 8


def test_a_slow_link_still_gets_a_packet_soon() -> None:
    async def send() -> float:
        wire = Wire()
        paced = PacedTransport(wire, lambda: 0)
        for _ in range(3):
            await paced._send_rtp(bytes(1250))
        return wire.sent[-1]

    assert run_virtual(send()) <= 2 * 10_000 / LEAST_BPS + 0.001


def test_repairs_stay_within_a_share_of_the_rate() -> None:
    repairs = Repairs()
    sent = sum(repairs.allowed(number, 1300, 400_000, 0.02, number * 0.01) for number in range(1000))
    assert sent * 1300 * 8 / 10 <= 400_000 * 0.25 + REPAIR_BURST * 8 / 10
    assert sent + repairs.refused == 1000 and sent > 80


def test_a_packet_is_not_repaired_again_before_the_first_repair_can_have_come() -> None:
    repairs = Repairs()
    asked = [repairs.allowed(7, 1000, 1_000_000, 0.1, at * 0.02) for at in range(11)]
    assert [number for number, allowed in enumerate(asked) if allowed] == [0, 5, 10]
