"""`cvi serve` as a person runs it, and a microphone whose words a test chooses."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from playwright.async_api import Page

from cvi.audio.block import HEARD_HZ
from cvi.media.decode import read_audio

from .stand_in import free_port

DEMO = Path(__file__).parents[2] / "cvi" / "bench" / "scenarios" / "demo.yaml"
CVI = [sys.executable, "-c", "from cvi.cli.app import main; main()"]

MICROPHONE = """async ([name, hz]) => {
  const context = new AudioContext();
  const out = context.createMediaStreamDestination();
  window.sayPcm = (base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const pcm = new Int16Array(bytes.buffer);
    const buffer = context.createBuffer(1, pcm.length, hz);
    buffer.copyToChannel(Float32Array.from(pcm, (sample) => sample / 32768), 0);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(out);
    source.start();
  };
  window.told = [];
  const element = document.querySelector(name);
  element.addEventListener("app-message", ({ detail }) => window.told.push(detail));
  await element.conversation.setMicrophone(out.stream.getAudioTracks()[0]);
}"""


@asynccontextmanager
async def cvi_serve(home: Path, *options: str) -> AsyncIterator[httpx.AsyncClient]:
    """The server in a process of its own, with the embedded profile; gives a client of its API."""
    port = free_port()
    with (home / "serve.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *[*CVI, "serve", "--port", str(port), "--profile", "embedded", "--max-conversations", "2", "--drain", "0", *options],
            stdout=log,
            stderr=log,
            env={**os.environ, "CVI_HOME": str(home)},
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            await answers(client, process, home / "serve.log")
            yield client
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)


async def answers(client: httpx.AsyncClient, process: asyncio.subprocess.Process, log: Path) -> None:
    """Wait until the server answers; fails when its process ends instead."""
    async with asyncio.timeout(120):
        while True:
            assert process.returncode is None, log.read_text()
            with contextlib.suppress(httpx.TransportError):
                await client.get("/healthz")
                return
            await asyncio.sleep(0.1)


async def ready(client: httpx.AsyncClient, **request: Any) -> dict[str, Any]:
    """A conversation whose engines are warm."""
    answer = await client.post("/v2/conversations", json=request)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    for _ in range(60):
        state = (await client.get(f"/c/{made['conversation_id']}/config")).json()["state"]
        if state != "starting":
            break
        await asyncio.sleep(1.5)
    assert state == "ready", state
    return made


async def take_microphone(page: Page) -> None:
    """From now on only what `say` says is heard, and every event is kept in `told`."""
    await page.evaluate(MICROPHONE, ["cvi-conversation", HEARD_HZ])


async def say(page: Page, text: str) -> None:
    """Speak one of the sentences of the recorded caller."""
    document = yaml.safe_load(DEMO.read_text(encoding="utf-8"))
    (segment,) = [one for one in document["segments"] if one["text"] == text]
    pcm = read_audio(DEMO.with_name(document["audio"]))
    start, end = round(segment["start_s"] * HEARD_HZ), round(segment["end_s"] * HEARD_HZ)
    await page.evaluate("sayPcm", base64.b64encode(pcm[start:end].tobytes()).decode())


async def told(page: Page, event_type: str, after: int = 0, within_s: float = 60.0, **properties: Any) -> int:
    """Wait for an event with these properties; how many events there had been, it included."""
    found: int = await (
        await page.wait_for_function(
            """([type, after, wanted]) => {
              const at = told.findIndex((one, index) => index >= after && one.event_type === type &&
                Object.entries(wanted).every(([key, value]) => one.properties[key] === value));
              return at < 0 ? false : at + 1;
            }""",
            arg=[event_type, after, properties],
            timeout=within_s * 1000,
        )
    ).json_value()
    return found
