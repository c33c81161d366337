"""The room page in a real browser, against the stand-in."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import BrowserContext, Page, expect

from .stand_in import StandIn, StandInRoom, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

NO_DEVICES = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', '%s'); }"


async def enter(page: Page, server: StandIn, room: StandInRoom, query: str = "") -> None:
    """Open the room, pass the screen before it, and wait for the face."""
    url = server.room_url(room)
    await page.goto(url + ("&" if "?" in url else "?") + query)
    await page.get_by_role("button", name="Join", exact=True).click()
    await expect(page.locator(".stage.seen")).to_be_visible()
    await until(lambda: room.guest.channel is not None, "the channel for events opens")


async def test_before_joining_one_sees_and_hears_oneself(page: Page, server: StandIn) -> None:
    await page.goto(server.room_url(server.room()))
    await expect(page.get_by_role("heading", name="Talk with June")).to_be_visible()
    await expect(page.locator("video.mirror")).to_be_visible()
    await expect(page.get_by_role("combobox", name="Microphone")).not_to_have_value("")
    await expect(page.get_by_role("combobox", name="Camera")).not_to_have_value("")
    # The fake microphone beeps once a second.
    await expect(page.get_by_text("We can hear you.")).to_be_visible()
    await page.get_by_role("button", name="Turn camera off").click()
    await expect(page.get_by_text("Your camera is off")).to_be_visible()


async def test_another_microphone_is_taken_and_remembered(page: Page, server: StandIn) -> None:
    await page.goto(server.room_url(server.room()))
    choice = page.get_by_role("combobox", name="Microphone")
    await expect(choice).not_to_have_value("")
    ids = await choice.locator("option").evaluate_all("options => options.map(option => option.value)")
    assert len(ids) > 1, "this browser shows but one fake microphone"
    await choice.select_option(ids[-1])
    await page.reload()
    await expect(page.get_by_role("combobox", name="Microphone")).to_have_value(ids[-1])


async def test_name_and_media_travel(page: Page, server: StandIn) -> None:
    room = server.room()
    await page.goto(server.room_url(room))
    await page.get_by_label("Your name").fill("Ann Example")
    await page.keyboard.press("Enter")
    await expect(page.locator(".stage.seen")).to_be_visible()
    assert room.guest.name == "Ann Example"
    await until(lambda: room.guest.frames["camera"] > 3 and room.guest.loudest > 1000, "picture and sound arrive")
    assert await page.locator("video.face").evaluate("video => video.videoWidth") == 320


async def test_muted_before_joining_stays_muted(page: Page, server: StandIn) -> None:
    room = server.room()
    await page.goto(server.room_url(room))
    await page.get_by_role("button", name="Mute", exact=True).click()
    await page.get_by_role("button", name="Join", exact=True).click()
    await expect(page.get_by_text("You are muted")).to_be_visible()
    await expect(page.locator(".stage.seen")).to_be_visible()
    await until(lambda: room.guest.frames["audio"] > 60, "a second of sound arrives")
    assert room.guest.loudest < 100
    await page.get_by_role("button", name="Unmute").click()
    await until(lambda: room.guest.loudest > 1000, "the beep arrives")


async def test_captions_follow_the_voice_and_can_be_hidden(page: Page, server: StandIn) -> None:
    room = server.room()
    await enter(page, server, room)
    room.says("The touring bike carries", "i1", final=False)
    await expect(page.locator("div.captions")).to_have_text("The touring bike carries")
    await expect(page.locator(".activity")).to_have_text("Speaking")
    room.says("The touring bike carries more.", "i1")
    await expect(page.locator("div.captions")).to_have_text("The touring bike carries more.")
    await expect(page.locator(".activity")).to_have_text("Listening")
    await page.get_by_role("button", name="Hide captions").click()
    await expect(page.locator("div.captions")).to_be_hidden()


async def test_chat_shows_each_line_once_and_sends(page: Page, server: StandIn) -> None:
    room = server.room()
    await enter(page, server, room)
    room.tell("conversation.utterance", role="user", speech="Which one is lighter?")
    room.says("The blue one,", "i1", interrupted=True)
    await page.get_by_role("button", name="Chat").click()
    lines = page.get_by_role("log").get_by_role("listitem")
    await expect(lines).to_have_count(2)
    await expect(lines.nth(1)).to_contain_text("interrupted")
    await page.get_by_label("Write a message").fill("And cheaper?")
    await page.keyboard.press("Enter")
    await until(lambda: bool(room.received), "the text arrives")
    assert room.received[-1] == {
        "message_type": "conversation",
        "event_type": "conversation.respond",
        "conversation_id": room.id,
        "properties": {"text": "And cheaper?"},
    }
    room.tell("conversation.utterance", role="user", speech="And cheaper?")
    room.says("No, it is dearer.", "i2")
    await expect(lines).to_have_count(4)
    await expect(lines.nth(2)).to_contain_text("And cheaper?")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("log")).to_be_hidden()
    await expect(page.get_by_role("button", name="Chat")).to_be_focused()


async def test_interrupt_is_offered_while_the_persona_speaks(page: Page, server: StandIn) -> None:
    room = server.room()
    await enter(page, server, room)
    button = page.get_by_role("button", name="Interrupt")
    await expect(button).to_be_disabled()
    room.says("There was once", "i1", final=False)
    await expect(button).to_be_enabled()
    await page.locator(".stage").focus()
    await page.keyboard.press("Space")
    await until(lambda: bool(room.received), "the interruption arrives")
    assert room.received[-1]["event_type"] == "conversation.interrupt"


async def test_a_written_conversation_asks_for_no_device(page: Page, server: StandIn) -> None:
    room = server.room(audio_only=True, chat=True)
    await page.add_init_script(NO_DEVICES % "NotAllowedError")
    await page.goto(server.room_url(room))
    await page.get_by_label("Write a message").fill("Hello there.")
    await until(lambda: room.guests and room.guest.channel is not None, "the channel for events opens")
    await page.keyboard.press("Enter")
    await until(lambda: room.received, "the message arrives")
    assert room.received[0]["properties"] == {"text": "Hello there."}
    await expect(page.get_by_role("button", name="Mute")).to_have_count(0)
    await expect(page.get_by_text("You are muted")).to_be_hidden()
    await expect(page.get_by_role("button", name="Leave")).to_be_visible()


async def test_who_is_recorded_is_told_before_and_while(page: Page, server: StandIn) -> None:
    room = server.room(recording=True)
    await page.goto(server.room_url(room))
    await expect(page.get_by_text("This conversation is recorded.")).to_be_visible()
    await page.get_by_role("button", name="Join", exact=True).click()
    await expect(page.locator(".stage.seen")).to_be_visible()
    await expect(page.get_by_text("This conversation is recorded.")).to_be_visible()


@pytest.mark.parametrize(("asked", "query", "shown"), [(False, "", False), (False, "captions=on", True), (True, "", True), (True, "captions=off", False)])
async def test_captions_at_first_are_as_asked_for(page: Page, server: StandIn, asked: bool, query: str, shown: bool) -> None:
    await enter(page, server, server.room(captions=asked), query)
    await expect(page.get_by_role("button", name="Hide captions" if shown else "Show captions")).to_be_visible()


async def test_a_brand_dresses_every_room(page: Page, server: StandIn) -> None:
    logo = "https://acme.example/logo.svg"
    await page.route(logo, lambda route: route.fulfill(body="<svg xmlns='http://www.w3.org/2000/svg' width='80' height='20'/>", content_type="image/svg+xml"))
    room = server.room(brand={"name": "Acme", "logo": logo, "accent": "rgb(10, 125, 108)"})
    await page.goto(server.room_url(room))
    await expect(page.locator("img.logo")).to_have_attribute("src", logo)
    accent = await page.locator("cvi-conversation").evaluate("one => one.style.getPropertyValue('--cvi-accent')")
    assert accent == "rgb(10, 125, 108)"
    await page.get_by_role("button", name="Join", exact=True).click()
    await expect(page.locator(".stage.seen")).to_be_visible()
    await expect(page).to_have_title("June · Acme")


async def test_screen_is_shared_and_taken_back(page: Page, server: StandIn) -> None:
    room = server.room()
    await enter(page, server, room)
    await page.get_by_role("button", name="Share screen").click()
    await expect(page.get_by_text("You are sharing your screen")).to_be_visible()
    await until(lambda: room.guest.frames["screen"] > 2, "the screen arrives")
    await page.get_by_role("button", name="Stop sharing").first.click()
    await expect(page.get_by_text("You are sharing your screen")).to_be_hidden()


async def test_a_dropped_connection_comes_back_as_the_same_participant(page: Page, server: StandIn) -> None:
    room = server.room()
    await enter(page, server, room)
    room.refuse = (503, "The worker is starting again.")
    await room.drop()
    await expect(page.get_by_text("Connection lost. Reconnecting …").first).to_be_visible()
    await until(lambda: len(room.offers) >= 3, "the page tries again")
    room.refuse = None
    # Between two tries the page itself lets up to four seconds pass.
    await expect(page.get_by_text("You are connected again.").first).to_be_visible(timeout=15_000)
    assert {offer["participant_id"] for offer in room.offers} == {room.guests[0].participant_id}
    await until(lambda: room.guest.frames["camera"] > 3, "the camera arrives again")
    await until(lambda: room.guest.channel is not None, "the channel for events opens again")
    room.says("Where were we?", "i9")
    await expect(page.locator("div.captions")).to_have_text("Where were we?")


async def test_without_a_network_nobody_gives_up_and_with_one_nobody_waits(
    page: Page, context: BrowserContext, server: StandIn
) -> None:
    room = server.room()
    await enter(page, server, room)
    await context.set_offline(True)
    await room.drop()
    await expect(page.get_by_text("Connection lost. Reconnecting …").first).to_be_visible()
    # Two minutes later.
    await page.evaluate("{ const now = performance.now.bind(performance); performance.now = () => now() + 120_000; }")
    conversation = "document.querySelector('cvi-conversation').conversation"
    await page.evaluate(f"{conversation}._hurry?.()")
    await page.wait_for_timeout(1_500)
    assert await page.evaluate(f"{conversation}.state") == "reconnecting" and len(room.guests) == 1
    await context.set_offline(False)
    await expect(page.get_by_text("You are connected again.").first).to_be_visible()
    assert room.offers[-1]["participant_id"] == room.guests[0].participant_id


async def test_another_network_is_tried_at_once(page: Page, context: BrowserContext, server: StandIn) -> None:
    room = server.room()
    await enter(page, server, room)
    await context.set_offline(True)
    await context.set_offline(False)
    await until(lambda: any(offer.get("restart") for offer in room.offers), "the page offers other ways")
    await expect(page.locator(".stage.seen")).to_be_visible()
    await until(lambda: len(room.guests) == 2, "the server had no way left, and the page is there anew")


async def test_over_while_one_was_away_it_is_told_why(page: Page, server: StandIn) -> None:
    room = server.room()
    await enter(page, server, room)
    # The server is killed; the next one has closed the room.
    await page.route("**/offer", lambda route: route.abort())
    await room.drop()
    await expect(page.get_by_text("Connection lost. Reconnecting …").first).to_be_visible()
    room.facts |= {"state": "ended", "shutdown_reason": "internal error occurred at step server"}
    await page.unroute("**/offer")
    await expect(page.get_by_role("heading", name="The conversation has ended")).to_be_focused()
    await expect(page.get_by_text("Something failed on our side.")).to_be_visible()


async def test_a_room_that_could_not_be_reached_is_there_with_the_network(
    page: Page, context: BrowserContext, server: StandIn
) -> None:
    await page.route("**/config*", lambda route: route.abort())
    await page.goto(server.room_url(server.room()))
    await expect(page.get_by_role("heading", name="The server cannot be reached")).to_be_visible()
    await context.set_offline(True)
    await page.unroute("**/config*")
    await context.set_offline(False)
    await expect(page.get_by_role("heading", name="Talk with June")).to_be_visible()


async def test_leaving_says_goodbye_and_offers_the_way_back(page: Page, server: StandIn) -> None:
    room = server.room()
    await enter(page, server, room)
    await page.get_by_role("button", name="Leave").click()
    await expect(page.get_by_role("heading", name="You left")).to_be_focused()
    await until(lambda: room.left == [room.guest.participant_id], "the goodbye arrives")
    await page.get_by_role("button", name="Join again").click()
    await page.get_by_role("button", name="Join", exact=True).click()
    await expect(page.locator(".stage.seen")).to_be_visible()
    assert room.offers[1]["participant_id"] == room.guests[0].participant_id


async def test_closing_the_page_says_goodbye(context: BrowserContext, server: StandIn) -> None:
    room = server.room()
    page = await context.new_page()
    await enter(page, server, room)
    await page.close(run_before_unload=True)
    await until(lambda: room.left == [room.guest.participant_id], "the goodbye arrives")


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("max_call_duration", "Its time was up."),
        ("participant_absent_timeout", "Nobody was there for a while"),
        ("end_conversation_endpoint_hit", "It was closed by its host."),
        ("internal error occurred at step 3", "Something failed on our side."),
    ],
)
async def test_the_end_is_told_in_plain_words(page: Page, server: StandIn, reason: str, sentence: str) -> None:
    room = server.room()
    await enter(page, server, room)
    room.says("Goodbye.", "i1")
    await room.end(reason)
    await expect(page.get_by_role("heading", name="The conversation has ended")).to_be_focused()
    await expect(page.get_by_text(sentence)).to_be_visible()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Save what was said").click()
    assert (await (await download.value).path()).read_text() == "June: Goodbye.\n"


@pytest.mark.parametrize(
    ("status", "title", "again"),
    [
        (403, "This link has expired", False),
        (409, "This conversation is full", True),
        (410, "The conversation has ended", False),
        (429, "Too many tries at once", True),
        (500, "The server has a problem", True),
    ],
)
async def test_a_refusal_is_told_in_plain_words(
    page: Page, server: StandIn, status: int, title: str, again: bool
) -> None:
    room = server.room()
    room.refuse = (status, "The engines are not ready.")
    await page.goto(server.room_url(room))
    await page.get_by_role("button", name="Join", exact=True).click()
    await expect(page.get_by_role("heading", name=title)).to_be_visible()
    await expect(page.get_by_role("button", name="Try again")).to_have_count(int(again))
    if again:
        room.refuse = None
        await page.get_by_role("button", name="Try again").click()
        await page.get_by_role("button", name="Join", exact=True).click()
        await expect(page.locator(".stage.seen")).to_be_visible()


@pytest.mark.parametrize("status", [503, 429])
async def test_a_conversation_that_still_starts_is_waited_for(page: Page, server: StandIn, status: int) -> None:
    """Also where others behind the same address have asked too often meanwhile."""
    room = server.room(state="starting")
    room.refuse = (status, "The conversation is still starting.")
    await page.goto(server.room_url(room))
    await page.get_by_role("button", name="Join", exact=True).click()
    await expect(page.get_by_text("June is getting ready …").first).to_be_visible()
    await until(lambda: len(room.offers) == 2, "the page asks again")
    room.refuse = None
    await expect(page.locator(".stage.seen")).to_be_visible()
    assert {offer["participant_id"] for offer in room.offers} == {room.guest.participant_id}


async def test_a_server_that_is_lost_while_the_room_starts_is_waited_for(page: Page, server: StandIn) -> None:
    room = server.room(state="starting")
    room.refuse = (503, "The conversation is still starting.")
    await page.goto(server.room_url(room))
    await page.get_by_role("button", name="Join", exact=True).click()
    await expect(page.get_by_text("June is getting ready …").first).to_be_visible()
    await page.route("**/c/*/*", lambda route: route.abort("connectionrefused"))
    async with page.expect_event("requestfailed", lambda request: request.url.endswith("/offer")):
        pass
    async with page.expect_event("requestfailed", lambda request: request.url.endswith("/offer")):
        pass
    room.refuse = None
    await page.unroute("**/c/*/*")
    await expect(page.locator(".stage.seen")).to_be_visible()


async def test_a_private_room_tells_a_stranger_nothing(page: Page, server: StandIn) -> None:
    room = server.room(persona_name=None, require_auth=True)
    await page.goto(server.room_url(room))
    await expect(page.get_by_role("heading", name="This link is not complete")).to_be_visible()
    room.facts = {"token_expired": True, "require_auth": True}
    await page.reload()
    await expect(page.get_by_role("heading", name="This link has expired")).to_be_visible()


async def test_a_wrong_link_is_told_before_anything_is_asked(page: Page, server: StandIn) -> None:
    room = server.room()
    room.token = "secret"
    await page.goto(f"{server.url}/c/{room.id}")
    await expect(page.get_by_role("heading", name="This link is not complete")).to_be_visible()
    await page.goto(f"{server.url}/c/unknown")
    await expect(page.get_by_role("heading", name="There is no such conversation")).to_be_visible()
    await enter(page, server, room)
    assert room.offers[0]["token"] == "secret"


async def test_a_server_that_is_gone_is_told(page: Page, server: StandIn) -> None:
    await page.route("**/config*", lambda route: route.abort())
    await page.goto(server.room_url(server.room()))
    await expect(page.get_by_role("heading", name="The server cannot be reached")).to_be_visible()
    await page.unroute("**/config*")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("heading", name="Talk with June")).to_be_visible()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("NotAllowedError", "your browser does not allow it"),
        ("NotFoundError", "none was found"),
        ("NotReadableError", "another program is using it"),
    ],
)
async def test_without_devices_one_can_still_listen_and_write(
    page: Page, server: StandIn, fault: str, sentence: str
) -> None:
    room = server.room()
    await page.add_init_script(NO_DEVICES % fault)
    await page.goto(server.room_url(room))
    await expect(page.get_by_role("alert")).to_contain_text(sentence)
    await page.get_by_role("button", name="Join without camera and microphone").click()
    await expect(page.locator(".stage.seen")).to_be_visible()
    await page.get_by_role("button", name="Chat").click()
    await page.get_by_label("Write a message").fill("Hello")
    await page.get_by_role("button", name="Send").click()
    await until(lambda: bool(room.received), "the text arrives")


async def test_audio_only_asks_for_no_camera(page: Page, server: StandIn) -> None:
    room = server.room(audio_only=True)
    await page.goto(server.room_url(room))
    await page.get_by_role("button", name="Join", exact=True).click()
    await until(lambda: bool(room.guests) and room.guest.frames["audio"] > 3, "sound arrives")
    await expect(page.get_by_role("button", name=re.compile("camera"))).to_have_count(0)
    assert room.guest.frames["camera"] == 0


async def test_the_address_dresses_the_page(page: Page, server: StandIn) -> None:
    room = server.room(language="german")
    await page.goto(
        server.room_url(room)
        + "?theme=dark&accent=rgb(224,122,95)&background=%23102030&autojoin=1&captions=off&title=Acme"
        + "&controls=microphone,leave&persona-name=Ada"
    )
    await expect(page.locator(".stage.seen")).to_be_visible()
    buttons = page.get_by_role("toolbar").get_by_role("button")
    assert await buttons.evaluate_all("all => all.map(one => one.className)") == [
        "control for-microphone",
        "control for-leave",
    ]
    await expect(page.get_by_role("button", name="Verlassen")).to_be_visible()
    await expect(page.locator(".badge b")).to_have_text("Ada")
    assert await page.title() == "Acme"
    colour = await page.locator(".frame").evaluate("frame => getComputedStyle(frame).backgroundColor")
    assert colour == "rgb(16, 32, 48)"


async def test_a_parameter_cannot_smuggle_script_or_style(page: Page, server: StandIn) -> None:
    room = server.room()
    evil = "red;}*{display:none}"
    await page.goto(
        server.room_url(room)
        + f"?accent={evil}&background={evil}&logo=javascript:alert(1)&name=<img src=x onerror=alert(1)>"
        + "&persona-name=<b>Bold</b>"
    )
    await expect(page.get_by_role("heading", name="Talk with <b>Bold</b>")).to_be_visible()
    assert await page.locator("img").count() == 0
    assert await page.get_by_label("Your name").input_value() == "<img src=x onerror=alert(1)>"
    assert await page.locator("cvi-conversation").get_attribute("style") is None


async def test_keyboard_alone_is_enough(page: Page, server: StandIn) -> None:
    room = server.room()
    await page.goto(server.room_url(room))
    await expect(page.locator("video.mirror")).to_be_visible()
    for _ in range(12):
        await page.keyboard.press("Tab")
        if await focused(page) == "Join":
            break
    await page.keyboard.press("Enter")
    await expect(page.locator(".stage.seen")).to_be_visible()
    assert await focused(page) == "Mute"
    await page.keyboard.press("ArrowRight")
    assert await focused(page) == "Turn camera off"
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Turn camera on")).to_be_focused()
    await page.keyboard.press("t")
    assert await focused(page) == "Write a message"


async def focused(page: Page) -> str:
    return await page.evaluate(
        """() => { let one = document.activeElement; while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
        return one?.getAttribute("aria-label") ?? one?.textContent ?? ""; }"""
    )
