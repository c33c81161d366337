"""A real headless Chromium with a fake camera and microphone, and a server that stands in for ours."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

pytest.importorskip("playwright", reason="playwright is not installed: pip install cvi-local[dev]")
pytest.importorskip("aiortc", reason="aiortc is not installed: pip install cvi-local[server]")

from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from .stand_in import StandIn, serving

# What is waited for comes at once on a quiet machine; a busy one is given time.
expect.set_options(timeout=20_000)
CHROMIUM_FLAGS = [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--no-sandbox",
]


def find_chromium() -> str | None:
    named = os.environ.get("CVI_TEST_CHROMIUM")
    return named or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium here: install it (Debian: chromium) or name it in CVI_TEST_CHROMIUM")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A fresh profile that allowed camera and microphone."""
    context = await browser.new_context(permissions=["camera", "microphone"], reduced_motion="reduce")
    context.set_default_timeout(40_000)
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """A page whose own errors fail the test: uncaught exceptions and refusals by the content policy."""
    page = await context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: _note_policy(message, faults))
    yield page
    assert faults == []


def _note_policy(message: Any, faults: list[str]) -> None:
    if "Content Security Policy" in message.text:
        faults.append(message.text)


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[StandIn]:
    stand_in = StandIn()
    async with serving(stand_in.app()) as url:
        stand_in.url = url
        yield stand_in
        await stand_in.close()


@pytest.fixture
def shots() -> Path | None:
    """A folder to leave screenshots in, where CVI_TEST_SHOTS names one."""
    folder = os.environ.get("CVI_TEST_SHOTS")
    if not folder:
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)
