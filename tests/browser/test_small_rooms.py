"""The room page where there is little: width, devices, time of the server; and before anybody is there."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from .stand_in import StandIn
from .test_room import NO_DEVICES, enter

pytestmark = pytest.mark.asyncio(loop_scope="session")
BUTTONS = """() => [...document.querySelector("cvi-conversation").shadowRoot.querySelectorAll(".control")]
  .map((one) => one.getBoundingClientRect()).filter((box) => box.width)
  .map((box) => [box.left, box.right, box.top, box.bottom, box.width])"""


async def in_view(page: Page, width: int, height: int) -> int:
    """How many buttons there are; each is inside the page, beside the next, and large enough for a finger."""
    boxes = await page.evaluate(BUTTONS)
    for left, right, top, bottom, wide in boxes:
        assert left >= 0 and right <= width and top >= 0 and bottom <= height, (width, boxes)
        assert wide >= 34, (width, boxes)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(boxes)), boxes
    return len(boxes)


@pytest.mark.parametrize("width", [280, 300, 320, 340, 360, 375, 390])
async def test_every_button_is_inside_a_narrow_room(
    page: Page, server: StandIn, width: int, shots: Path | None
) -> None:
    room = server.room()
    await page.set_viewport_size({"width": width, "height": 568})
    await enter(page, server, room)
    assert await in_view(page, width, 568) >= 5
    room.says("There was once a bike", "i1", final=False)
    await expect(page.get_by_role("button", name="Interrupt")).to_be_enabled()
    await in_view(page, width, 568)
    await expect(page.get_by_role("button", name="Leave")).to_be_visible()
    if shots:
        await page.screenshot(path=shots / f"narrow_{width}.png")


async def test_mute_and_leave_stay_beside_the_chat_on_a_phone(page: Page, server: StandIn, shots: Path | None) -> None:
    room = server.room()
    for width, height in ((390, 844), (320, 568), (390, 340)):
        await page.set_viewport_size({"width": width, "height": height})
        await enter(page, server, room)
        await page.get_by_role("button", name="Chat").click()
        await in_view(page, width, height)
        for name in ("Mute", "Leave"):
            await expect(page.get_by_role("button", name=name, exact=True)).to_be_visible()
        box = await page.get_by_label("Write a message").bounding_box()
        assert box and box["y"] + box["height"] <= height
        if shots:
            await page.screenshot(path=shots / f"phone_chat_{width}_{height}.png")


async def test_a_face_keeps_its_distance_on_an_upright_screen(page: Page, server: StandIn) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await enter(page, server, server.room())
    face = await page.locator("video.face").bounding_box()
    assert face and face["height"] <= 1.25 * 390
    await page.set_viewport_size({"width": 900, "height": 600})
    for _ in range(100):  # the page is laid out anew
        face = await page.locator("video.face").bounding_box()
        stage = await page.locator(".stage").bounding_box()
        if face and stage and face["height"] == stage["height"]:
            break
        await page.wait_for_timeout(50)
    assert face and stage and face["height"] == stage["height"]


async def test_while_it_gets_ready_one_sees_who_and_what_is_loading(
    page: Page, server: StandIn, shots: Path | None
) -> None:
    room = server.room(state="starting", portrait=server.url + "/static/pages/icon.svg", loading=["llm", "face"])
    room.refuse = (503, "The conversation is still starting; try again in a moment.")
    await page.goto(server.room_url(room))
    await page.get_by_role("button", name="Join", exact=True).click()
    await expect(page.get_by_text("June is getting ready …").first).to_be_visible()
    await expect(page.locator("img.portrait")).to_be_visible()
    await expect(page.locator(".orb")).to_be_hidden()
    await expect(page.locator(".detail")).to_have_text("Loading: language model, face")
    await expect(page.locator(".activity")).to_have_text("Not here yet")
    if shots:
        await page.screenshot(path=shots / "getting_ready.png")
    room.facts["loading"] = ["llm"]
    await expect(page.locator(".detail")).to_have_text("Loading: language model")
    room.facts |= {"state": "ready", "loading": []}
    room.refuse = None
    await expect(page.locator(".stage.seen")).to_be_visible()
    await expect(page.locator(".activity")).to_have_text("Listening")
    await expect(page.locator(".detail")).to_be_hidden()
    await expect(page.locator("img.portrait")).to_be_hidden()


async def test_without_a_microphone_one_is_not_muted(page: Page, server: StandIn, shots: Path | None) -> None:
    await page.add_init_script(NO_DEVICES % "NotFoundError")
    await page.set_viewport_size({"width": 320, "height": 568})
    await page.goto(server.room_url(server.room()))
    join = page.get_by_role("button", name="Join without camera and microphone")
    box = await join.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 320 and box["y"] + box["height"] <= 568
    assert box["height"] < 52, "one line"
    await page.set_viewport_size({"width": 1000, "height": 700})
    box = await join.bounding_box()
    assert box and not 52 < box["height"] < 60, "room around its lines"
    await page.set_viewport_size({"width": 320, "height": 568})
    if shots:
        await page.screenshot(path=shots / "no_devices_before.png")
    await join.click()
    await expect(page.locator(".stage.seen")).to_be_visible()
    await expect(page.get_by_text("You are muted")).to_be_hidden()
    await expect(page.get_by_text("No microphone: write in the chat")).to_be_visible()
    await expect(page.get_by_role("button", name="Use a microphone")).to_be_visible()
    if shots:
        await page.screenshot(path=shots / "no_devices_live.png")


async def test_a_missing_device_is_told_in_a_box_that_holds_its_lines(
    page: Page, server: StandIn, shots: Path | None
) -> None:
    await page.add_init_script(NO_DEVICES % "NotAllowedError")
    await page.set_viewport_size({"width": 320, "height": 568})
    await page.goto(server.room_url(server.room()) + "?autojoin=1")
    notice = page.locator(".notice")
    await expect(notice).to_contain_text("your browser does not allow it")
    box = await notice.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 320
    radius, height = await notice.evaluate("one => [parseFloat(getComputedStyle(one).borderTopLeftRadius), one.offsetHeight]")
    assert height > 50 and radius < height / 2, "several lines, and no pill"
    if shots:
        await asyncio.sleep(0.3)
        await page.screenshot(path=shots / "denied_notice.png")


async def test_a_server_without_time_is_no_weak_connection(page: Page, server: StandIn) -> None:
    await page.goto(server.url + "/client.js")
    found = await page.evaluate(
        """async () => {
          const { judged } = await import("/static/js/quality.js");
          const before = { received: 1000, lost: 0, sound: 600, roundTripMs: 20 };
          const after = (sound, lost, roundTripMs) => judged(before,
            { received: 1000 + sound * 2, lost, sound: 600 + sound, roundTripMs }, 2);
          return [after(100, 0, 20), after(100, 0, 700), after(100, 30, 20), after(40, 0, 900), after(40, 20, 900),
            judged({ received: 0, lost: 0, sound: 0 }, { received: 0, lost: 0, sound: 0, roundTripMs: 10 }, 2)];
        }"""
    )
    assert found == ["good", "weak", "weak", "busy", "weak", "good"]
