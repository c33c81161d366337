"""HeadTiles: everything that can show the head, and nothing twice; the whole ones hold nothing but head."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from cvi.face.base import Controls, FaceSettings
from cvi.face.sculpted import build
from cvi.face.sculpted.renderer import Band, HeadTile, HeadTiles
from cvi.paths import shared_dir

CELL = 8
SHIPPED = sorted(card.parent for card in shared_dir("replicas").glob("*/replica.yaml"))


def a_head() -> np.ndarray:
    """Head and shoulders, with a soft edge and a lock of hair that sticks out."""
    cover = np.zeros((360, 400), np.uint8)
    cv2.ellipse(cover, (200, 150), (90, 120), 0, 0, 360, 255, -1)
    cv2.ellipse(cover, (200, 380), (190, 130), 0, 0, 360, 255, -1)
    cover[60:64, 285:320] = 255
    return cv2.GaussianBlur(cover, (0, 0), 2.0)


def drawn(tiles: HeadTiles, cover: np.ndarray, reach: float) -> Iterator[tuple[slice, HeadTile]]:
    """All tiles with their rows, where everything moves by `reach`."""
    cells = -(-cover.shape[0] // CELL), -(-cover.shape[1] // CELL)
    for band, found in tiles.within(np.full(cells, reach, np.float32)):
        yield from ((slice(band.top, band.bottom), tile) for tile in found)


@pytest.mark.parametrize("reach", [0.0, 3.0, 17.5, 40.0, 63.9, 120.0])
def test_tiles_cover_all_visible_pixels(reach: float) -> None:
    cover = a_head()
    tiles = list(drawn(HeadTiles(cover, CELL), cover, reach))
    times = np.zeros(cover.shape, int)
    for rows, tile in tiles:
        times[rows, tile.columns] += 1
        assert all(edge % 2 == 0 for part in (rows, tile.columns) for edge in (part.start, part.stop))
    assert times.max() == 1
    size = 2 * int(np.ceil(reach)) + 1
    seen = cv2.dilate(cover, np.ones((size, size), np.uint8)) > 0
    assert times[seen].all(), "something of the head could be seen outside the tiles"
    full = cv2.erode(cover, np.ones((size, size), np.uint8), borderValue=255) == 255
    assert all(full[rows, tile.columns].all() for rows, tile in tiles if tile.whole)
    if reach < 20:
        assert sum(full[rows, tile.columns].size for rows, tile in tiles if tile.whole) > 15_000


def test_a_band_that_moves_less_has_narrower_edges() -> None:
    tiles = HeadTiles(a_head(), CELL)

    def blended(shoulders_move: float) -> list[int]:
        moved = np.full((45, 50), 30.0, np.float32)
        moved[24:] = shoulders_move
        return [sum(t.columns.stop - t.columns.start for t in of if not t.whole) for _, of in tiles.within(moved)]

    near, far = blended(1.0), blended(30.0)
    assert near[:3] == far[:3]
    assert sum(near[4:]) < 0.8 * sum(far[4:])


def test_a_full_and_an_empty_cover() -> None:
    cover = np.full((98, 128), 255, np.uint8)
    filled = list(drawn(HeadTiles(cover, CELL), cover, 5.0))
    assert all(tile.whole and tile.columns == slice(0, 128) for _, tile in filled)
    assert [rows.stop for rows, _ in filled] == [64, 98]
    nothing = np.zeros_like(cover)
    assert not list(drawn(HeadTiles(nothing, CELL), nothing, 5.0))


@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (1920, 1080)])
def test_whole_tiles_equal_blended_ones(size: tuple[int, int]) -> None:
    face = build(FaceSettings(SHIPPED[0], *size))
    blended = build(FaceSettings(SHIPPED[0], *size))
    box = blended._pose.box  # type: ignore[attr-defined]
    rows = -(-(box.y1 - box.y0) // blended._pose.cell)  # type: ignore[attr-defined]
    everything = Band(0, box.y1 - box.y0, 0, rows), [HeadTile(slice(0, box.x1 - box.x0), False)]
    blended._tiles.within = lambda moved: [everything]  # type: ignore[attr-defined]
    for pose in (
        Controls(),
        Controls(jaw=0.6, yaw=13.0, pitch=-9.0, roll=5.0, breath=1.0, brow_left=1.0, brow_right=1.0),
        Controls(yaw=-14.0, pitch=14.0, roll=-14.0, cheek=1.0, lid_left=0.5),
    ):
        assert np.array_equal(face.render(pose), blended.render(pose))
