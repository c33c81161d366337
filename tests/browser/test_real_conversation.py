"""A whole conversation in a real browser with the server that people run: engines, worker, face."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from .real_server import cvi_serve, ready, say, take_microphone, told
from .stand_in import share_thumbnails

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

ENCODED = """async () => {
  const { _peer } = document.querySelector("cvi-conversation").conversation;
  const reports = [...(await _peer._pc.getStats()).values()];
  return Object.fromEntries(reports.filter((one) => one.type === "outbound-rtp").map((one) => [one.mid, one.framesEncoded ?? 0]));
}"""


COVERED = """() => [...document.querySelectorAll("input[name=replica]")].filter((radio) => {
  radio.focus();
  const { x, y, width, height } = radio.getBoundingClientRect();
  return document.elementFromPoint(x + width / 2, y + height / 2) !== radio;
}).map((radio) => radio.ariaLabel)"""


async def test_seen_heard_answered_cut_in_on_shared_with_lost_and_found(page: Page, tmp_path: Path) -> None:
    share_thumbnails(tmp_path)
    async with cvi_serve(tmp_path) as client:
        waits = {"participant_left_timeout": 60}
        made = await ready(client, persona_id="guide", replica_id="june", properties=waits)
        await page.goto(made["conversation_url"] + "?autojoin=1&name=Ann")
        await expect(page.locator(".stage.seen")).to_be_visible(timeout=30_000)
        await take_microphone(page)
        assert await page.locator("video.face").evaluate("video => [video.videoWidth, video.videoHeight]") == [1280, 720]
        await expect(page.locator("div.captions")).to_contain_text("June", timeout=30_000)
        await expect(page.locator(".activity")).to_have_text("Listening", timeout=30_000)

        # Asked by voice, answered by voice, and cut in on.
        await say(page, "Tell me a short story.")
        heard = await told(page, "conversation.utterance", role="user")
        speaking = await told(page, "conversation.started_speaking", heard, role="replica")
        await told(page, "conversation.utterance.streaming", speaking, role="replica")
        await say(page, "Stop. What is your name?")
        cut = await told(page, "conversation.replica.stopped_speaking", speaking, interrupted=True)
        await told(page, "conversation.started_speaking", cut, role="replica")

        # Typed, and the screen shown.
        await page.get_by_role("button", name="Share screen").click()
        await expect(page.get_by_text("You are sharing your screen")).to_be_visible()
        await page.wait_for_function(f"async () => (await ({ENCODED})())[2] > 2")
        await page.get_by_role("button", name="Chat").click()
        await page.get_by_label("Write a message").fill("What can you do for me?")
        await page.keyboard.press("Enter")
        typed = await told(page, "conversation.utterance", cut, role="user", speech="What can you do for me?")
        await told(page, "conversation.started_speaking", typed, role="replica")

        # The network goes away under it; the same participant is back without a touch.
        conversation = "document.querySelector('cvi-conversation').conversation"
        participant = await page.evaluate(f"{conversation}.participantId")
        await page.evaluate(f"{conversation}._peer._pc.close(); {conversation}._watch('failed')")
        await expect(page.get_by_text("You are connected again.").first).to_be_visible(timeout=20_000)
        assert await page.evaluate(f"{conversation}.participantId") == participant
        before = await page.evaluate("told.length")
        await page.evaluate(f"{conversation}.respond('Are you there?')")
        await told(page, "conversation.started_speaking", before, role="replica")

        assert (await client.post(f"/v2/conversations/{made['conversation_id']}/end")).status_code == 200
        await expect(page.get_by_role("heading", name="The conversation has ended")).to_be_visible()
        await expect(page.get_by_text("It was closed by its host.")).to_be_visible()
        transcript = (await client.get(f"/v2/conversations/{made['conversation_id']}?verbose=true")).text
        assert "What can you do for me?" in transcript


async def test_the_playground_of_the_real_server(page: Page, tmp_path: Path) -> None:
    share_thumbnails(tmp_path)
    async with cvi_serve(tmp_path) as client:
        await page.goto(f"{client.base_url}/playground?")
        await expect(page.get_by_role("radio", name="June, the guide")).to_be_checked()
        # However low the window: a face that was scrolled to does not lie under the button that starts.
        assert await page.evaluate(COVERED) == []
        await page.get_by_role("radio", name="Marcus", exact=True).check()
        await page.get_by_role("button", name="Start").click()
        await expect(page.get_by_role("button", name="Join", exact=True)).to_be_visible()
        await page.get_by_role("button", name="Join", exact=True).click()
        await expect(page.locator(".stage.seen")).to_be_visible(timeout=60_000)
        await page.get_by_role("button", name="End it").click()
        await expect(page.get_by_role("heading", name="The conversation has ended")).to_be_visible(timeout=20_000)
