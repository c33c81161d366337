"""Measure the room in a real browser: how soon the face is there after Join, and again after the connection
broke, how smoothly it moves, and how long the browser holds sound back.

    .venv/bin/python -m tests.browser.measure_room --joins 5

`cvi serve` with the embedded profile and Chromium on the same machine, the face at 1280x720: Chromium's
decoding takes its share of the processor, too. Prints one line a figure, or JSON with `--json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from .conftest import CHROMIUM_FLAGS, find_chromium
from .real_server import cvi_serve, ready

JOIN_WITHIN_S = 20
JOIN = """() => new Promise((resolve) => {
  const { shadowRoot } = document.querySelector("cvi-conversation");
  const pressed = performance.now();
  shadowRoot.querySelector(".primary").click();
  const look = () => {
    const video = shadowRoot.querySelector("video.face");
    if (!video) return requestAnimationFrame(look);
    const shown = () => video.videoWidth > 2 ? resolve(performance.now() - pressed) : video.requestVideoFrameCallback(shown);
    video.requestVideoFrameCallback(shown);
  };
  look();
})"""
STATS = """async () => {
  const { _peer } = document.querySelector("cvi-conversation").conversation;
  const all = [...(await _peer._pc.getStats()).values()].filter((one) => one.type === "inbound-rtp");
  const of = (kind) => all.find((one) => one.kind === kind);
  const { framesDecoded, freezeCount, totalFreezesDuration, frameWidth, timestamp } = of("video");
  const { concealedSamples: concealed, jitterBufferDelay: held, jitterBufferEmittedCount: given } = of("audio");
  return { framesDecoded, freezeCount, totalFreezesDuration, frameWidth, timestamp, concealed, held, given };
}"""
RECONNECT = """() => new Promise((resolve) => {
  const { conversation } = document.querySelector("cvi-conversation");
  const before = conversation._peer, broken = performance.now();
  before._channel.close();
  const look = async () => {
    const peer = conversation._peer;
    const all = peer && peer !== before ? [...(await peer._pc.getStats()).values()] : [];
    const video = all.find((one) => one.type === "inbound-rtp" && one.kind === "video");
    if (video?.framesDecoded) resolve(performance.now() - broken); else setTimeout(look, 10);
  };
  void look();
})"""


async def join(page: Page, url: str) -> float:
    """Milliseconds from pressing Join to the first frame on the screen."""
    await page.goto(url)
    await page.locator("select[data-kind=camera]").wait_for()
    async with asyncio.timeout(JOIN_WITHIN_S):
        took: float = await page.evaluate(JOIN)
    return took


async def measure(joins: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        async with cvi_serve(Path(home)) as client, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS)
            context = await browser.new_context(permissions=["camera", "microphone"])
            page = await context.new_page()
            waits = {"participant_left_timeout": 60}
            made = await ready(client, persona_id="guide", replica_id="june", properties=waits)
            took = [await join(page, made["conversation_url"]) for _ in range(joins)]
            before = await page.evaluate(STATS)
            await asyncio.sleep(seconds)
            after = await page.evaluate(STATS)
            async with asyncio.timeout(JOIN_WITHIN_S):
                back_ms: float = await page.evaluate(RECONNECT)
            await browser.close()
    passed_s = (after["timestamp"] - before["timestamp"]) / 1000
    return {
        "join_to_first_frame_ms": [round(one) for one in took],
        "frames_per_second": round((after["framesDecoded"] - before["framesDecoded"]) / passed_s, 2),
        "width_px": after["frameWidth"],
        "freezes": after["freezeCount"] - before["freezeCount"],
        "freezes_s": round(after["totalFreezesDuration"] - before["totalFreezesDuration"], 2),
        "concealed_sound_ms": round((after["concealed"] - before["concealed"]) / 48),
        "sound_held_ms": round(1000 * (after["held"] - before["held"]) / (after["given"] - before["given"])),
        "back_after_break_ms": round(back_ms),
        "measured_s": round(passed_s, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--joins", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = asyncio.run(measure(given.joins, given.seconds))
    if given.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<24}{value}")


if __name__ == "__main__":
    main()
