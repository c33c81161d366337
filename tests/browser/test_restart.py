"""The server and the process of a conversation are killed; the page comes back by itself into the same one.

Real server, real worker process, real page; only the engines are fakes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from cvi.conversation.events import ConversationResumed
from cvi.conversation.journal import read_journal
from cvi.conversation.transcript import transcript

from .real_server import answers
from .stand_in import free_port, share_thumbnails

pytestmark = pytest.mark.asyncio(loop_scope="session")
WORKER = Path(__file__).parents[1] / "webrtc" / "worker_with_fakes.py"
SERVE = """
import sys
from cvi.server.serving import run
from cvi.server.settings import ServerSettings, Video
settings = ServerSettings(
    port=int(sys.argv[1]), profile="embedded", video=Video(320, 180), worker=(sys.executable, sys.argv[2])
)
run(settings, lambda key: None)
"""

# A notice may be there for less than a poll takes.
NOTICES = """() => {
  window.notices = [];
  const root = document.querySelector("cvi-conversation").shadowRoot;
  new MutationObserver(() => {
    const text = root.querySelector(".notice")?.textContent ?? "";
    if (/Connection lost|connected again/.test(text) && text !== notices.at(-1)) notices.push(text);
  }).observe(root, { subtree: true, childList: true, characterData: true });
}"""


@asynccontextmanager
async def server(home: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    share_thumbnails(home)
    with (home / "serve.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVE, str(port), str(WORKER),
            stdout=log, stderr=log, env={**os.environ, "CVI_HOME": str(home)},
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await answers(client, process, home / "serve.log")
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def workers(home: Path) -> list[int]:
    """The worker processes of this data folder."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                command = (folder / "cmdline").read_bytes()
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue
            if str(WORKER).encode() in command and b"serving" not in command and str(home).encode() in environment:
                found.append(int(folder.name))
    return found


@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to find the worker")
async def test_after_a_sigkill_of_server_or_worker_the_page_comes_back_by_itself(page: Page, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    told = ["Connection lost. Reconnecting …", "You are connected again."]
    persona = {"persona_name": "Ada", "system_prompt": "You are a test.", "greeting": "Hello to you."}
    async with server(tmp_path, port) as process, httpx.AsyncClient(base_url=url) as client:
        made = (await client.post("/v2/personas", json=persona)).json()
        body: dict[str, Any] = {"persona_id": made["persona_id"], "properties": {"enable_recording": True}}
        talk = (await client.post("/v2/conversations", json=body)).json()
        journal = tmp_path / "conversations" / talk["conversation_id"] / "journal.jsonl"
        await page.goto(talk["conversation_url"])
        await page.get_by_role("button", name="Join", exact=True).click()
        await expect(page.locator(".captions")).to_contain_text("Hello to you.", timeout=60_000)
        await page.evaluate("document.querySelector('cvi-conversation').conversation.respond('First question.')")
        await expect(page.locator(".captions")).to_contain_text("It is a test.", timeout=30_000)
        await page.evaluate(NOTICES)
        process.kill()
        await process.wait()
    assert await notices(page, 1) == told[:1]
    async with server(tmp_path, port), httpx.AsyncClient(base_url=url) as client:
        assert await notices(page, 2) == told
        await resumed(journal, 1)
        for pid in workers(tmp_path):
            os.kill(pid, signal.SIGKILL)
        assert await notices(page, 4) == told * 2
        await resumed(journal, 2)
        await page.evaluate("document.querySelector('cvi-conversation').conversation.respond('Second question.')")
        for _ in range(300):
            if [line.text for line in transcript(read_journal(journal))].count("It is a test.") == 2:
                break
            await asyncio.sleep(0.1)
        now = (await client.get(f"/v2/conversations/{talk['conversation_id']}")).json()
        assert now["status"] == "active"
        await client.post(f"/v2/conversations/{talk['conversation_id']}/end")
        await expect(page.get_by_role("heading", name="The conversation has ended")).to_be_visible()
        done = (await client.get(f"/v2/conversations/{talk['conversation_id']}?verbose=true")).json()
    said = [line["content"] for event in done["events"] for line in event.get("properties", {}).get("transcript", [])]
    assert said == ["Hello to you.", "First question.", "It is a test.", "Second question.", "It is a test."]
    kinds = [event["event_type"] for event in done["events"]]
    assert kinds == ["system.replica_joined", "system.shutdown", "application.transcription_ready", "application.recording_ready"]
    import av

    with av.open(str(journal.with_name("recording.mp4"))) as film:
        assert len(film.streams.video) == len(film.streams.audio) == 1
        assert sum(1 for _ in film.decode(video=0)) > 50
    assert not list(journal.parent.glob("recording.part*"))
    assert "Traceback" not in journal.with_name("worker.log").read_text()


async def notices(page: Page, count: int) -> list[str]:
    """What was told of the connection, once there are so many of it."""
    await page.wait_for_function("count => notices.length >= count", arg=count, timeout=90_000)
    told: list[str] = await page.evaluate("notices")
    return told


def resumptions(journal: Path) -> int:
    return sum(isinstance(event, ConversationResumed) for event in read_journal(journal))


async def resumed(journal: Path, times: int) -> None:
    """Wait until the conversation was resumed so often: the page may be connected a moment before that is
    written."""
    for _ in range(100):
        if resumptions(journal) == times:
            return
        await asyncio.sleep(0.1)
    assert resumptions(journal) == times
