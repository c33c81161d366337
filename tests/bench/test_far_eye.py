"""The far eye: whole pictures of packets, and the mouth in them."""

from __future__ import annotations

import numpy as np
import pytest

from cvi.bench.far.eye import PATIENCE_S, Eye, Pictures, Piece
from cvi.bench.probe.evidence import MOUTH_STEPS
from cvi.bench.probe.tap import MouthBox
from cvi.transport.webrtc.encoder import PictureEncoder, Shape

BOX = MouthBox(60, 100, 120, 200)


def picture_of(timestamp: int, *parts: bytes) -> list[Piece]:
    return [Piece(timestamp, number + 1 == len(parts), part) for number, part in enumerate(parts)]


def test_a_picture_is_whole_with_its_last_packet() -> None:
    pictures = Pictures()
    pieces = [*picture_of(10, b"a", b"b"), *picture_of(20, b"c")]
    told = [pictures.add(0.0, number, piece) for number, piece in enumerate(pieces, 65_535)]
    assert told == [([], False), ([(10, b"ab")], False), ([(20, b"c")], False)]


def test_packets_in_disorder_make_pictures_in_order() -> None:
    pictures = Pictures()
    pieces = [*picture_of(10, b"a"), *picture_of(20, b"b", b"c"), *picture_of(30, b"d")]
    order = [0, 3, 2, 1]
    made = [
        whole for number in order for whole in pictures.add(0.0, (65_534 + number) % 65_536, pieces[number])[0]
    ]
    assert made == [(10, b"a"), (20, b"bc"), (30, b"d")]
    assert pictures.lost == 0


def test_a_hole_that_stays_is_given_up_and_a_key_frame_asked_for() -> None:
    pictures = Pictures()
    pictures.add(0.0, 0, Piece(0, True, b"first"))
    came_s = [0.04 * number for number in range(2, 16)]
    asked = [pictures.add(at_s, round(at_s / 0.04), Piece(round(at_s / 0.04), True, b"x"))[1] for at_s in came_s]
    assert asked == [at_s - came_s[0] > PATIENCE_S for at_s in came_s] and asked[-1] and pictures.lost == 1
    assert pictures.add(0.61, 1, Piece(1, True, b"too late"))[0] == []
    assert pictures.add(0.64, 16, Piece(9, True, b"next"))[0] == [(9, b"next")]


def face(brightness: int, width: int = 320, height: int = 180) -> np.ndarray:
    frame = np.full((height * 3 // 2, width), 128, np.uint8)
    share = width / 320
    frame[round(60 * share) : round(100 * share), round(120 * share) : round(200 * share)] = brightness
    return frame


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_the_mouth_is_seen_in_every_picture_however_large(codec: str) -> None:
    eye = Eye(BOX, (320, 180))
    for shape in (Shape(320, 180, 25, 600_000), Shape(160, 90, 25, 600_000)):
        if eye.seen or shape.width == 160:
            eye.close()
            eye = Eye(BOX, (320, 180))
        encoder = PictureEncoder(codec, shape)  # type: ignore[arg-type]
        wanted = (60, 200, 90)
        for number, brightness in enumerate(wanted):
            data, _ = encoder.encode(face(brightness, shape.width, shape.height))
            eye.show(codec, number * 3600, data)  # type: ignore[arg-type]
        eye.close()
        assert [at for _, at in eye.seen] == [0, 3600, 7200]
        assert eye.widths == {shape.width} and eye.broken == 0
        seen = np.median(eye.mouths.reshape(3, -1), axis=1) / MOUTH_STEPS
        assert seen == pytest.approx(wanted, abs=8)


def test_what_cannot_be_decoded_asks_for_a_key_frame() -> None:
    eye = Eye(BOX, (320, 180))
    eye.show("H264", 0, b"\x00\x00\x00\x01\x65garbage")
    eye.close()
    assert eye.broken == 1 and not eye.seen
    assert eye.takes_key_wish() and not eye.takes_key_wish()
