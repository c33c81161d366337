"""The remote peer's video: whole pictures of packets, and the mouth in them."""

from __future__ import annotations

import numpy as np
import pytest

from cvi.bench.probe.evidence import MOUTH_STEPS
from cvi.bench.probe.tap import MouthBox
from cvi.bench.remote_peer.receivers import (
    KEY_AGAIN_S,
    PATIENCE_S,
    Codec,
    PictureAssembler,
    PicturePacket,
    VideoReceiver,
    is_key,
)
from cvi.transport.webrtc.video_encoder import EncoderTarget, VideoEncoder

BOX = MouthBox(60, 100, 120, 200)


def picture_of(timestamp: int, *parts: bytes) -> list[PicturePacket]:
    return [PicturePacket(timestamp, number + 1 == len(parts), part) for number, part in enumerate(parts)]


def test_a_picture_is_complete_with_its_last_packet() -> None:
    pictures = PictureAssembler()
    pieces = [*picture_of(10, b"a", b"b"), *picture_of(20, b"c")]
    told = [pictures.add(0.0, number, piece) for number, piece in enumerate(pieces, 65_535)]
    assert told == [([], False), ([(10, b"ab")], False), ([(20, b"c")], False)]


def test_reordered_packets_make_pictures_in_order() -> None:
    pictures = PictureAssembler()
    pieces = [*picture_of(10, b"a"), *picture_of(20, b"b", b"c"), *picture_of(30, b"d")]
    order = [0, 3, 2, 1]
    made = [
        whole for number in order for whole in pictures.add(0.0, (65_534 + number) % 65_536, pieces[number])[0]
    ]
    assert made == [(10, b"a"), (20, b"bc"), (30, b"d")]
    assert pictures.lost == 0


def test_a_lasting_hole_asks_for_a_key_frame() -> None:
    pictures = PictureAssembler()
    pictures.add(0.0, 0, PicturePacket(0, True, b"first"))
    came_s = [0.04 * number for number in range(2, 16)]
    asked = [pictures.add(at_s, round(at_s / 0.04), PicturePacket(round(at_s / 0.04), True, b"x"))[1] for at_s in came_s]
    assert asked == [at_s - came_s[0] > PATIENCE_S for at_s in came_s] and asked[-1] and pictures.lost == 1
    assert pictures.add(0.61, 1, PicturePacket(1, True, b"too late"))[0] == []
    assert pictures.add(0.64, 16, PicturePacket(9, True, b"next"))[0] == [(9, b"next")]


def test_a_hole_within_a_picture_is_given_up_too() -> None:
    pictures = PictureAssembler()
    pieces = {0: PicturePacket(0, True, b"whole"), 1: PicturePacket(1, False, b"begun"), 3: PicturePacket(1, True, b"ended")}
    assert [pictures.add(0.0, number, piece)[1] for number, piece in pieces.items()] == [False] * 3
    came = [(PATIENCE_S * share, number) for number, share in enumerate((0.5, 0.9, 1.1), 4)]
    assert [pictures.add(at_s, number, PicturePacket(number, True, b"x"))[1] for at_s, number in came] == [False, False, True]
    assert pictures.lost == 1 and pictures.add(0.6, 7, PicturePacket(7, True, b"on"))[0] == [(7, b"on")]


def test_each_missing_packet_has_its_own_timeout() -> None:
    pictures = PictureAssembler()
    pictures.add(0.0, 0, PicturePacket(0, True, b"a"))
    pictures.add(0.1, 2, PicturePacket(2, True, b"c"))
    pictures.add(0.1, 4, PicturePacket(4, True, b"e"))
    assert pictures.add(0.5, 1, PicturePacket(1, True, b"b")) == ([(1, b"b"), (2, b"c")], False)
    assert pictures.add(0.8, 5, PicturePacket(5, True, b"f")) == ([], False), "the third is missed since 0.5 s"
    assert pictures.add(0.9, 3, PicturePacket(3, True, b"d"))[0] == [(3, b"d"), (4, b"e"), (5, b"f")]


def face(brightness: int, width: int = 320, height: int = 180) -> np.ndarray:
    frame = np.full((height * 3 // 2, width), 128, np.uint8)
    share = width / 320
    frame[round(60 * share) : round(100 * share), round(120 * share) : round(200 * share)] = brightness
    return frame


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_the_mouth_is_cut_from_pictures_of_any_size(codec: Codec) -> None:
    receiver = VideoReceiver(BOX, (320, 180))
    for shape in (EncoderTarget(320, 180, 25, 600_000), EncoderTarget(160, 90, 25, 600_000)):
        if receiver.seen or shape.width == 160:
            receiver.close()
            receiver = VideoReceiver(BOX, (320, 180))
        encoder = VideoEncoder(codec, shape)
        wanted = (60, 200, 90)
        for number, brightness in enumerate(wanted):
            data, _ = encoder.encode(face(brightness, shape.width, shape.height))
            receiver.show(0.04 * number, codec, number * 3600, data)
        receiver.close()
        assert [at for _, at in receiver.seen] == [0, 3600, 7200]
        assert receiver.widths == {shape.width} and receiver.broken == 0
        seen = np.median(receiver.mouths.reshape(3, -1), axis=1) / MOUTH_STEPS
        assert seen == pytest.approx(wanted, abs=8)


def test_undecodable_pictures_are_counted() -> None:
    receiver = VideoReceiver(BOX, (320, 180))
    receiver.show(0.0, "H264", 0, b"\x00\x00\x00\x01\x65garbage")
    receiver.close()
    assert receiver.broken == 1 and not receiver.seen


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_after_a_hole_nothing_is_seen_before_the_next_key_frame(codec: Codec) -> None:
    receiver = VideoReceiver(BOX, (320, 180))
    encoder = VideoEncoder(codec, EncoderTarget(320, 180, 25, 600_000))
    keys = {0, 6}
    wishes = []
    for number in range(10):
        data, key = encoder.encode(face(60 + 20 * number), key=number in keys)
        assert key == is_key(codec, data) == (number in keys)
        if number == 2:
            receiver.lost(0.08)
        else:
            receiver.show(0.04 * number, codec, number * 3600, data)
        wishes.append(receiver.takes_key_wish(0.04 * number))
    receiver.close()
    assert [at // 3600 for _, at in receiver.seen] == [0, 1, 6, 7, 8, 9]
    assert receiver.skipped == 3 and not receiver.broken
    assert all(seen_s > 0.04 * at / 3600 for seen_s, at in receiver.seen), "seen when decoded"
    assert [number for number, wish in enumerate(wishes) if wish] == [2], "again only after a while"


def test_a_missing_key_frame_is_asked_for_again() -> None:
    receiver = VideoReceiver(BOX, (320, 180))
    asked_s = [at_s for number in range(20) if receiver.takes_key_wish(at_s := 0.05 * number)]
    assert asked_s == pytest.approx([KEY_AGAIN_S * n for n in (1, 2, 3, 4)]), "the first is on its way by itself"
