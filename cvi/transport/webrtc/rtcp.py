"""What a receiver tells of what it gets, and what is told it: RTCP, where aiortc keeps it to itself.

A sender's own methods are replaced on the instance. `aiortc` is pinned to a minor version for it.
"""

from __future__ import annotations

import asyncio
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
from cvi.transport.webrtc.pacing import PacedTransport, Repairs
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
