"""A thumbnail of each replica, drawn once."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest
from running import serving

from cvi.server.catalog.thumbnails import Thumbnails

DRAW = "import sys, pathlib; p = pathlib.Path(sys.argv[2]); p.parent.mkdir(exist_ok=True); p.write_bytes(b'picture'); print(len(list(p.parent.iterdir())))"
FAIL = "import sys; sys.exit('The replica is not whole.')"


async def address(client: httpx.AsyncClient, replica: str = "june") -> str:
    return (await client.get(f"/v2/replicas/{replica}")).json()["thumbnail_image_url"]


async def test_a_picture_is_drawn_once_and_needs_no_key(home: Path) -> None:
    async with serving(require_key=True) as client:
        client.app.state.services.thumbnails = Thumbnails((sys.executable, "-c", DRAW))
        face = client.app.state.services.replicas.get("june")
        url = client.app.state.services.replicas.show(face)["thumbnail_image_url"]
        first = await client.get(url)
        assert first.status_code == 200 and first.content == b"picture"
        assert first.headers["content-type"] == "image/jpeg" and "max-age" in first.headers["cache-control"]
        client.app.state.services.thumbnails = Thumbnails((sys.executable, "-c", FAIL))
        assert (await client.get(url)).content == b"picture"


async def test_a_thumbnails_address_needs_the_replicas_fingerprint(client: httpx.AsyncClient) -> None:
    url = await address(client)
    id = url.rpartition("/")[2].partition("-")[0]
    for wrong in (
        f"/thumbnails/{id}.jpg",
        f"/thumbnails/{id}-0000000000000000.jpg",
        "/thumbnails/rnobody-1.jpg",
        "/thumbnails/..%2f..%2fx.jpg",
    ):
        assert (await client.get(wrong)).status_code == 404
    assert await address(client, "marcus") != url


async def test_a_thumbnail_that_cannot_be_drawn_is_404(client: httpx.AsyncClient) -> None:
    client.app.state.services.thumbnails = Thumbnails((sys.executable, "-c", FAIL))
    assert (await client.get(await address(client))).status_code == 404


async def test_a_real_face(home: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    import numpy as np

    from cvi.face.replica import list_replicas
    from cvi.server.catalog.thumbnails import SIDE_PX, draw

    picture = cv2.imdecode(np.frombuffer(draw(list_replicas()["june"]), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (SIDE_PX, SIDE_PX, 3) and picture.std() > 20
