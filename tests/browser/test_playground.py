"""The playground in a real browser: against the stand-in, and against the real interface with cheap workers."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from playwright.async_api import Page, expect

from .fakes_server import fakes_server
from .stand_in import StandIn, StandInRoom, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
JARGON = ("conversation.", "system.", "inference", "utterance", "replica_", "seq", "{")


async def talk(page: Page, server: StandIn) -> StandInRoom:
    await page.get_by_role("button", name="Start").click()
    await page.get_by_role("button", name="Join", exact=True).click()
    await expect(page.locator(".stage.seen")).to_be_visible()
    (room,) = server.rooms.values()
    await until(lambda: room.guest.channel is not None, "the channel for events opens")
    return room


async def test_a_conversation_is_created_had_and_ended(page: Page, server: StandIn) -> None:
    await page.goto(server.url + "/playground")
    await page.get_by_role("radio", name="Marcus, the storyteller").check()
    await page.get_by_role("radio", name="Marcus", exact=True).check()
    await page.get_by_text("More", exact=True).click()
    await page.get_by_label("First words").fill("Good evening!")
    room = await talk(page, server)
    (created,) = server.created
    assert created.pop("properties") == {"participant_left_timeout": 30}
    assert created == {
        "persona_id": "storyteller",
        "replica_id": "marcus",
        "custom_greeting": "Good evening!",
    }
    await expect(page.locator("#events li").first).to_contain_text("Connected")
    await page.get_by_text("Link and embedding").click()
    await expect(page.locator("#embed")).to_contain_text(f'<cvi-conversation url="{server.room_url(room)}">')
    await page.get_by_role("button", name="End it").click()
    await expect(page.get_by_role("heading", name="The conversation has ended")).to_be_visible()


async def test_a_document_is_added_and_asked_about(page: Page, server: StandIn) -> None:
    await page.goto(server.url + "/playground")
    await page.get_by_text("More", exact=True).click()
    await page.get_by_label("Address of a document").fill("https://example.com/policy.pdf")
    await page.get_by_role("button", name="Add", exact=True).click()
    row = page.locator("#documents label")
    await expect(row).to_contain_text("policy.pdf being read")
    await expect(row.get_by_role("checkbox")).to_be_checked()
    server.documents[0]["status"] = "ready"
    await expect(row.get_by_role("status")).to_have_count(0)
    await talk(page, server)
    (created,) = server.created
    assert created["document_ids"] == ["d1"]


async def test_a_persona_brings_its_own_face_and_is_shown_large_with_ids(page: Page, server: StandIn) -> None:
    await page.goto(server.url + "/playground?persona=storyteller")
    await expect(page.get_by_role("radio", name="Marcus, the storyteller")).to_be_checked()
    await expect(page.get_by_role("radio", name="June", exact=True)).to_be_checked()
    portrait = page.locator("#nobody .portrait > *")
    box = await portrait.bounding_box()
    assert box and box["width"] > 200 and box["width"] == box["height"]
    await expect(page.locator("#nobody")).to_contain_text("storyteller")
    await expect(page.locator("#personas")).to_contain_text("guide")
    await page.get_by_role("radio", name="Marcus", exact=True).check()
    await expect(page.locator("#nobody .ids")).to_contain_text("Face: Marcus")


async def test_personas_are_found_by_words_and_by_id(page: Page, server: StandIn) -> None:
    await page.goto(server.url + "/playground")
    find = page.get_by_label("Find a persona")
    for words, found in (("marcus story", ["storyteller"]), ("guide", ["guide"]), ("nobody at all", [])):
        await find.fill(words)
        rows = page.locator("#personas .choice:visible")
        await expect(rows).to_have_count(len(found))
        for id in found:
            await expect(rows).to_contain_text(id)
    await find.press("Enter")
    assert server.created == [], "Enter looks; it starts nothing"


async def test_a_server_with_keys_asks_for_one(page: Page, server: StandIn) -> None:
    server.api_key = "secret"
    await page.goto(server.url + "/playground")
    await expect(page.get_by_role("alert")).to_contain_text("asks for an API key")
    await page.get_by_label("API key").fill("wrong")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("asks for an API key")
    await page.get_by_label("API key").fill("secret")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("radio", name="June, the guide")).to_be_checked()
    await page.get_by_role("button", name="Start").click()
    await expect(page.get_by_role("heading", name="Talk with June")).to_be_visible()


async def test_what_happens_is_told_in_plain_lines_that_do_not_wrap(
    page: Page, server: StandIn, shots: Path | None
) -> None:
    await page.set_viewport_size({"width": 1360, "height": 860})
    await page.goto(server.url + "/playground")
    room = await talk(page, server)
    room.tell(
        "conversation.utterance",
        role="user",
        speech="Which bike is the lightest one that you have here today?",
    )
    room.says(
        "The touring bike is light, and it carries more than you would believe of such a small thing.", "i1"
    )
    room.tell("conversation.objective.activated", objective_name="find_out_name")
    room.tell(
        "conversation.tool_call",
        name="look_up_stock",
        arguments='{"size": "M", "colour": "blue"}',
        tool_call_id="t1",
    )
    room.tell("conversation.tool.called", name="look_up_stock", arguments='{"size": "M"}', tool_call_id="t1")
    await expect(page.locator(".call.open")).to_contain_text("Look up stock")
    await expect(page.locator(".call")).to_contain_text("Size: M")
    room.tell("conversation.tool.resolved", name="look_up_stock", tool_call_id="t1", output={"left": 3})
    room.tell("conversation.tool.called", name="book", arguments="{}", tool_call_id="t2")
    room.tell("conversation.tool.failed", name="book", tool_call_id="t2", message="It did not answer.")
    room.tell("conversation.guardrail.triggered", guardrail_name="no_discounts")
    room.tell(
        "conversation.objective.completed",
        objective_name="find_out_name",
        output_variables={"first_name": "Ann"},
    )
    room.tell("conversation.weather_changed", to="rain")
    await expect(page.locator(".goal.completed")).to_contain_text("Ann")
    await expect(page.locator(".call:not(.open)").last).to_contain_text("Left: 3")
    await expect(page.locator(".call.failed")).to_contain_text("It did not answer.")
    await expect(page.locator(".rule.fired")).to_contain_text("No discounts")
    rows = page.locator("#events summary")
    await expect(rows.first).to_contain_text("Weather changed")
    texts = await rows.all_inner_texts()
    assert not [text for text in texts for word in JARGON if word in text], texts
    assert sum('uses "Look up stock"' in text for text in texts) == 1
    assert sum("Which bike" in text for text in texts) == 1
    heights = await rows.evaluate_all("rows => rows.map((row) => row.offsetHeight)")
    assert max(heights) < 34, "one line each"
    if shots:
        await page.screenshot(path=shots / "playground_live.png")
    await rows.first.click()
    await expect(page.locator("#events pre").first).to_contain_text(
        '"event_type": "conversation.weather_changed"'
    )


async def test_a_persona_is_made_checked_changed_and_deleted(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shots: Path | None
) -> None:
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    async with fakes_server(tmp_path) as client:
        await page.set_viewport_size({"width": 1360, "height": 860})
        await page.goto(f"{client.base_url}/playground")
        await expect(page.locator("#nobody h2")).to_contain_text("June")
        await page.get_by_role("button", name="New persona").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Name", exact=True).fill("Ada, the shop")
        await dialog.get_by_label("Who it is and how it behaves").fill("You are Ada.\nYou sell shoes.")
        await dialog.get_by_text("Goals", exact=True).click()
        await dialog.get_by_role("button", name="Add goal").click()
        goal = dialog.locator(".row")
        await goal.get_by_label("Short name").fill("shoe size")
        await goal.get_by_label("What to achieve").fill("Ask for the size.")
        # As `cvi persona check` says it, beside the field.
        note = goal.locator(".field.error")
        await expect(note).to_contain_text("has the wrong form", timeout=20_000)
        await expect(note).to_contain_text("Use letters, digits and underscores alone, no spaces.")
        await expect(dialog.get_by_role("button", name="Create")).to_be_disabled()
        if shots:
            await page.screenshot(path=shots / "editor_error.png")
        await goal.get_by_label("Short name").fill("shoe_size")
        await expect(dialog.locator(".summary")).to_have_text("Nothing to mend.", timeout=20_000)
        await dialog.get_by_text("Taking turns", exact=True).click()
        await dialog.get_by_label("Patience").select_option("high")
        await dialog.get_by_role("button", name="Create").click()
        await expect(dialog).to_be_hidden()
        path = tmp_path / "personas" / "ada__the_shop.yaml"
        (path,) = (tmp_path / "personas").glob("*.yaml")
        written = yaml.safe_load(path.read_text())
        assert written == {
            "persona_name": "Ada, the shop",
            "system_prompt": "You are Ada.\nYou sell shoes.",
            "objectives": [{"objective_name": "shoe_size", "objective_prompt": "Ask for the size."}],
            "layers": {"conversational_flow": {"turn_taking_patience": "high"}},
        }
        await expect(page.get_by_role("radio", name="Ada, the shop")).to_be_checked()

        await page.get_by_role("button", name="Edit Ada, the shop").click()
        await dialog.get_by_label("First words").fill("Hello, welcome.")
        await dialog.get_by_role("button", name="Save").click()
        await expect(dialog).to_be_hidden()
        assert yaml.safe_load(path.read_text()) == {**written, "greeting": "Hello, welcome."}

        page.on("dialog", lambda question: question.accept())
        await page.get_by_role("button", name="Edit Ada, the shop").click()
        await dialog.get_by_role("button", name="Delete").click()
        await expect(dialog).to_be_hidden()
        await expect(page.get_by_role("radio", name="Ada, the shop")).to_have_count(0)
        assert not path.exists()


async def test_after_the_end_there_are_transcript_recording_and_reference(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shots: Path | None
) -> None:
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    async with fakes_server(tmp_path) as client:
        await page.set_viewport_size({"width": 1360, "height": 860})
        await page.goto(f"{client.base_url}/playground")
        await expect(page.locator("#nobody h2")).to_contain_text("June")
        if shots:
            await page.screenshot(path=shots / "playground_first.png")
        await page.get_by_text("More", exact=True).click()
        await page.get_by_label("Record it").check()
        await page.get_by_role("button", name="Start").click()
        await page.get_by_role("button", name="Join", exact=True).click()
        await expect(page.locator(".stage.seen")).to_be_visible(timeout=30_000)
        await page.evaluate(
            "document.querySelector('cvi-conversation').conversation.respond('What is this?')"
        )
        await expect(page.locator(".captions")).to_contain_text("It is a test.", timeout=30_000)
        await page.get_by_role("button", name="End it").click()
        left = page.locator("#afterwards")
        await expect(left.get_by_role("button", name="Transcript")).to_be_visible(timeout=30_000)
        await expect(left.locator(".transcript")).to_contain_text("What is this?")
        await expect(left.get_by_role("link", name="How programs use this server")).to_have_attribute(
            "href", "docs"
        )
        async with page.expect_download() as download:
            await left.get_by_role("button", name="Recording").click()
        assert (await (await download.value).path()).stat().st_size > 10_000
        async with page.expect_download() as download:
            await left.get_by_role("button", name="Transcript").click()
        assert "You: What is this?" in (await (await download.value).path()).read_text()
        if shots:
            await page.screenshot(path=shots / "playground_after.png")
