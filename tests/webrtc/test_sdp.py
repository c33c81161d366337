"""Offers and answers as text."""

from __future__ import annotations

import pytest

from cvi.errors import UsageError
from cvi.transport.webrtc.sdp import (
    MOST_BYTES,
    check_offer,
    limit_incoming,
    prefer_codecs,
    video_codec,
)

OFFER = "\r\n".join(
    """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
m=audio 9 UDP/TLS/RTP/SAVPF 111 63
c=IN IP4 0.0.0.0
a=rtpmap:111 opus/48000/2
m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104 35
c=IN IP4 0.0.0.0
a=mid:1
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:103 H264/90000
a=fmtp:103 packetization-mode=1;profile-level-id=42e01f
a=rtpmap:104 rtx/90000
a=fmtp:104 apt=103
a=rtpmap:35 AV1/90000
a=ssrc:1 cname:x
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
a=sctp-port:5000
""".splitlines()
) + "\r\n"


def lines(sdp: str) -> list[str]:
    return sdp.split("\r\n")


def test_wanted_codecs_come_first_with_their_repairs() -> None:
    changed = prefer_codecs(OFFER, ("H264", "VP8"))
    assert "m=video 9 UDP/TLS/RTP/SAVPF 103 104 96 97 35" in lines(changed)
    described = [line.split(" ")[0] for line in lines(changed) if line.startswith("a=rtpmap:")]
    assert described == [f"a=rtpmap:{n}" for n in (111, 103, 104, 96, 97, 35)]
    assert sorted(lines(changed)[1:]) != lines(OFFER)
    assert sorted(line for line in lines(changed) if not line.startswith("m=video")) == sorted(
        line for line in lines(OFFER) if not line.startswith("m=video")
    ), "nothing but the order changes"
    assert video_codec(changed) == "H264" and video_codec(OFFER) == "VP8"


def test_nothing_changes_where_nothing_is_wanted() -> None:
    assert prefer_codecs(OFFER, ()) == OFFER
    without = OFFER.replace("m=video", "m=audio")
    assert prefer_codecs(without, ("H264",)) == without and video_codec(without) is None


def test_each_video_is_limited_where_the_order_of_lines_wants_it() -> None:
    limited = lines(limit_incoming(OFFER))
    at = limited.index("b=AS:400")
    assert limited[at - 1] == "c=IN IP4 0.0.0.0" and limited[at + 1] == "b=TIAS:400000"
    assert len(limited) == len(lines(OFFER)) + 2


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        ("", "session description"),
        ("hello", "session description"),
        (OFFER.replace("m=audio", "m=text"), "no audio"),
        ("v=0\r\nm=audio" + "x" * MOST_BYTES, "longer"),
    ],
)
def test_what_is_no_offer_is_told(offer: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_offer(offer)
