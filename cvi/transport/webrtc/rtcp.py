"""RTCP and pacing: what a receiver reports and what is sent for it, where aiortc keeps both to itself.

A sender's own methods are replaced on the instance. `aiortc` is pinned to a minor version for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

from cvi.transport.webrtc.outgoing_audio import RTP_HZ, PersonaAudioTrack
from cvi.transport.webrtc.outgoing_video import PersonaVideoTrack
from cvi.transport.webrtc.video_encoder import VIDEO_HZ

# A full packet; what is asked for again is mostly of large frames.
PACKET_BYTES = 1300


class RtcpFeedback:
    """Reads the receiver's reports for both senders of a connection. Event loop only.

    `seen_s` is when anything last came from the participant, on the loop's clock; the owner of the
    connection sets it too.
    """

    def __init__(self) -> None:
        self.seen_s = 0.0
        self.rtt_s = 0.0
        self.sound_jitter_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._paced: PacedTransport | None = None
        self._repairs = Repairs()

    def listen(self, sender: RTCRtpSender, track: PersonaAudioTrack | PersonaVideoTrack) -> None:
        """From now on the sender's reports are read, and its own are set right."""
        handle, report = sender._handle_rtcp_packet, sender._send_rtcp
        hz = VIDEO_HZ if isinstance(track, PersonaVideoTrack) else RTP_HZ

        async def handle_and_look(packet: Any) -> None:
            self.seen_s = self._loop.time()
            self._look_at(packet, sender._ssrc, track)
            await handle(packet)

        async def report_media_time(packets: list[Any]) -> None:
            for packet in packets:
                if isinstance(packet, RtcpSrPacket):
                    # It names the moment the last packet left; its media was due before that.
                    ahead = round(self._late_s(track) * hz)
                    packet.sender_info.rtp_timestamp = (packet.sender_info.rtp_timestamp + ahead) % (1 << 32)
            await report(packets)

        if isinstance(track, PersonaVideoTrack):
            self._limit_repairs(sender, track)
        sender._handle_rtcp_packet = handle_and_look  # type: ignore[method-assign]
        sender._send_rtcp = report_media_time  # type: ignore[method-assign]

    def pace(self, sender: RTCRtpSender, picture: PersonaVideoTrack) -> None:
        """The picture's packets leave no faster than the link takes them."""
        self._paced = PacedTransport(sender.transport, lambda: picture.rate.target_bps)
        sender.setTransport(self._paced)  # type: ignore[arg-type]

    def _limit_repairs(self, sender: RTCRtpSender, track: PersonaVideoTrack) -> None:
        repair = sender._retransmit

        async def repair_within_bounds(number: int) -> None:
            rate = track.rate
            if self._repairs.allowed(number, PACKET_BYTES, rate.target_bps, self.rtt_s, self._loop.time()):
                await repair(number)

        sender._retransmit = repair_within_bounds  # type: ignore[method-assign, assignment]

    def _late_s(self, track: PersonaAudioTrack | PersonaVideoTrack) -> float:
        paced_s = 0.0
        if isinstance(track, PersonaVideoTrack) and self._paced is not None:
            paced_s = min(max(self._paced.last_s - track.given_s, 0.0), 1.0)
        return track.late_s + paced_s

    def _look_at(self, packet: Any, ssrc: int, track: PersonaAudioTrack | PersonaVideoTrack) -> None:
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == ssrc:
                    self._reported(report, track)
        elif isinstance(packet, RtcpPsfbPacket) and isinstance(track, PersonaVideoTrack):
            if packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
                track.ask_key()
            elif packet.fmt == RTCP_PSFB_APP:
                try:
                    bps, ssrcs = unpack_remb_fci(packet.fci)
                except ValueError:
                    return  # application-specific feedback of another kind
                if ssrc in ssrcs:
                    track.rate.estimated(bps)

    def _reported(self, report: Any, track: PersonaAudioTrack | PersonaVideoTrack) -> None:
        if isinstance(track, PersonaVideoTrack):
            track.rate.reported(report.fraction_lost / 256, report.jitter / VIDEO_HZ, self._loop.time())
        else:
            self.sound_jitter_s = report.jitter / RTP_HZ


# This much faster than the picture's rate, so that a large frame is not late for long.
FACTOR = 2.5
LEAST_BPS = 300_000
# What may leave at once: the steps of a sleeping loop are coarser than those of packets.
BURST_S = 0.005


# Of the picture's rate, what may be sent a second time.
REPAIR_SHARE = 0.25
REPAIR_BURST = 6_000
AGAIN_S = 0.05


class Repairs:
    """Whether a lost packet may be sent again: a full link is not mended by filling it further.

    Receivers ask for the same packet again before the first repair can have come.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._tokens = float(REPAIR_BURST)
        self._at_s = 0.0
        self._sent: dict[int, float] = {}

    def allowed(self, number: int, size: int, rate_bps: int, rtt_s: float, now_s: float) -> bool:
        """Packet `number` of `size` bytes was asked for."""
        earned = (now_s - self._at_s) * rate_bps / 8 * REPAIR_SHARE
        self._tokens = min(self._tokens + earned, REPAIR_BURST)
        self._at_s = now_s
        again_s = max(rtt_s, AGAIN_S)
        if size > self._tokens or now_s - self._sent.get(number, -1e9) < again_s:
            self.refused += 1
            return False
        self._tokens -= size
        self._sent = {key: at for key, at in self._sent.items() if now_s - at < again_s}
        self._sent[number] = now_s
        return True


class PacedTransport:
    """Stands before a DTLS transport for one sender. `rate_bps` is asked at every packet.

    `last_s` is when the last packet left, on the event loop's clock.
    """

    def __init__(self, transport: Any, rate_bps: Callable[[], int]) -> None:
        self._transport = transport
        self._rate_bps = rate_bps
        self._free_at = 0.0
        self.last_s = 0.0

    async def _send_rtp(self, data: bytes) -> None:
        """The one method of the transport that senders send by."""
        now = asyncio.get_running_loop().time()
        wait_s = self._free_at - now
        if wait_s > BURST_S:
            await asyncio.sleep(wait_s)
        rate = max(self._rate_bps() * FACTOR, LEAST_BPS)
        self._free_at = max(self._free_at, now) + len(data) * 8 / rate
        self.last_s = asyncio.get_running_loop().time()
        await self._transport._send_rtp(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
