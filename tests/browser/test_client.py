"""The JavaScript client in a real browser, against the stand-in."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page

from .stand_in import WEB, StandIn, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

JOIN = """async ([server, url, options]) => {
  const { join } = await import(server + "/client.js");
  window.conversation = await join(url, options);
  return window.conversation.state;
}"""


async def test_joins_hears_and_is_heard(page: Page, server: StandIn) -> None:
    room = server.room()
    await page.goto(server.url + "/client.js")
    state = await page.evaluate(JOIN, [server.url, server.room_url(room), {"name": "Ann"}])
    assert state == "connected"
    assert room.offers[0]["participant_name"] == "Ann"
    assert await page.evaluate("conversation.participantId") == room.guest.participant_id
    await until(lambda: room.guest.frames["audio"] > 10 and room.guest.frames["camera"] > 5, "media arrives")
    assert room.guest.frames["screen"] == 0


async def test_the_types_name_what_there_is(page: Page, server: StandIn) -> None:
    for module in ("client", "element"):
        declared = (WEB / "js" / f"{module}.d.ts").read_text(encoding="utf-8")
        names = set(re.findall(r"^export (?:class|function) (\w+)", declared, re.M))
        for several in re.findall(r"^export \{ ([^}]+) \}", declared, re.M):
            names |= set(several.split(", "))
        await page.goto(server.url + "/client.js")
        there = await page.evaluate(f"import('/static/js/{module}.js').then(Object.keys)")
        assert set(there) == names


async def test_a_caption_comes_once_for_each_change(page: Page, server: StandIn) -> None:
    room = server.room()
    await page.goto(server.url + "/client.js")
    await page.evaluate(JOIN, [server.url, server.room_url(room), {"audio": False, "video": False}])
    await page.evaluate(
        "() => { window.captions = []; conversation.addEventListener('caption', ({ detail }) => "
        "captions.push(`${detail.speaker} ${detail.final}: ${detail.text}`)); }"
    )
    await until(lambda: room.guest.channel is not None, "the channel for events opens")
    for final in (False, True):
        room.tell("conversation.utterance.streaming", role="user", speech="Hello there.", final=final)
    room.tell("conversation.utterance", role="user", speech="Hello there.")
    room.says("Once", "i1", final=False)
    room.says("Once upon", "i1")
    room.says("The end.", "i2")
    await page.wait_for_function("captions.length > 4")
    room.says("Really.", "i3")
    await page.wait_for_function("captions.at(-1) === 'persona true: Really.'")
    assert await page.evaluate("captions") == [
        "user false: Hello there.",
        "user true: Hello there.",
        "persona false: Once",
        "persona true: Once upon",
        "persona true: The end.",
        "persona true: Really.",
    ]


async def test_one_copy_of_the_personas_events_or_both_make_one_line(page: Page, server: StandIn) -> None:
    await page.goto(server.url + "/client.js")
    lines = await page.evaluate(
        """async () => {
          const { Transcript } = await import("/client.js");
          const said = (type, role, speech, more = {}) => ({ event_type: type, inference_id: "i1",
            properties: { role, speech, ...more } });
          const of = (roles) => {
            const transcript = new Transcript();
            for (const [speech, final] of [["Once", false], ["Once upon", true]])
              for (const role of roles) transcript.read(said("conversation.utterance.streaming", role, speech, { final }));
            transcript.read(said("conversation.utterance", "user", "Stop."));
            return transcript.text({ persona: "June", user: "You" });
          };
          const unstreamed = new Transcript();
          for (const role of ["pal", "replica"]) unstreamed.read(said("conversation.utterance", role, "Hello."));
          for (let i = 0; i < 2; i++) unstreamed.read({ event_type: "conversation.replica.stopped_speaking" });
          return [of(["replica"]), of(["pal"]), of(["pal", "replica"]), unstreamed.text({ persona: "June" })];
        }"""
    )
    assert lines == ["June: Once upon\nYou: Stop.\n"] * 3 + ["June: Hello.\n"]
