"""Paths of packets between a real browser and our transport: lost, restored by ICE restart, through TURN."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from cvi.server.ice_servers import parse_ice_servers

from .fakes_server import fakes_server
from .stand_in import free_port

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

CONVERSATION = "document.querySelector('cvi-conversation').conversation"
PAIR = """async () => {
  const reports = await CONVERSATION._peer._pc.getStats();
  const all = [...reports.values()];
  const pair = reports.get(all.find((one) => one.type === "transport").selectedCandidatePairId);
  const local = reports.get(pair.localCandidateId);
  const received = all.filter((one) => one.type === "inbound-rtp").reduce((sum, one) => sum + one.packetsReceived, 0);
  return { ufrag: local.usernameFragment, type: local.candidateType, remote: reports.get(pair.remoteCandidateId).candidateType, received };
}""".replace("CONVERSATION", CONVERSATION)
BODY = {"persona_id": "guide", "replica_id": "june", "properties": {"participant_left_timeout": 60}}


async def pair(page: Page) -> dict[str, Any]:
    """The selected candidates, and how many packets came."""
    found: dict[str, Any] = await page.evaluate(PAIR)
    return found


async def received_more(page: Page, than: int) -> None:
    await page.wait_for_function(f"async () => (await ({PAIR})()).received > {than}", timeout=20_000)


async def join(page: Page, client: Any) -> dict[str, Any]:
    answer = await client.post("/v2/conversations", json=BODY)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    await page.goto(made["conversation_url"] + "?autojoin=1&name=Ann")
    await expect(page.locator(".stage.seen")).to_be_visible(timeout=60_000)
    return made


async def test_a_lost_way_is_replaced_within_the_connection(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    async with fakes_server(tmp_path) as client:
        await join(page, client)
        await page.evaluate(f"window.connection = {CONVERSATION}._peer._pc")
        before = await pair(page)
        # What the browser says when nothing has come for a while.
        await page.evaluate(f"{CONVERSATION}._watch('disconnected')")
        await page.wait_for_function(f"async () => (await ({PAIR})()).ufrag !== '{before['ufrag']}'", timeout=20_000)
        await received_more(page, before["received"] + 60)
        assert await page.evaluate(f"window.connection === {CONVERSATION}._peer._pc"), "the connection is the same"
        assert await page.evaluate("window.connection.connectionState") == "connected"
        assert await page.evaluate(f"{CONVERSATION}.state") == "connected"
        # Events still pass, both ways.
        await page.evaluate(
            f"void (window.answered = new Promise((go) => {CONVERSATION}.addEventListener('app-message', "
            "({ detail }) => detail.properties.speech === 'It is a test.' && go(true))))"
        )
        await page.evaluate(f"{CONVERSATION}.respond('What is it?')")
        assert await page.evaluate("window.answered")


async def test_a_way_that_cannot_be_found_makes_a_new_connection(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    async with fakes_server(tmp_path) as client:
        made = await join(page, client)
        participant = await page.evaluate(f"{CONVERSATION}.participantId")
        await page.evaluate(f"window.connection = {CONVERSATION}._peer._pc")
        # The server has hung up, and the page only knows that nothing comes.
        await client.post(f"/c/{made['conversation_id']}/leave", json={"participant_id": participant})
        await page.evaluate(f"{CONVERSATION}._watch('disconnected')")
        await page.wait_for_function(f"() => window.connection !== {CONVERSATION}._peer._pc && {CONVERSATION}.state === 'connected'")
        await received_more(page, 60)
        assert await page.evaluate(f"{CONVERSATION}.participantId") == participant


# -- through a TURN server ------------------------------------------------------------------------


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@asynccontextmanager
async def turn_server(folder: Path, *access: str) -> AsyncIterator[str]:
    """coturn on this machine; gives its place."""
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("no TURN server here: install coturn (Debian: coturn)")
    host, port = own_address(), free_port()
    options = ["-n", "-L", host, "-E", host, "-p", str(port), "-r", "cvi", *access, "--no-tls", "--no-dtls",
               "--no-cli", "--allow-loopback-peers", "--log-file", "stdout", "--pidfile", str(folder / "turn.pid")]  # fmt: skip
    with (folder / "turn.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(program, *options, stdout=log, stderr=log)
    try:
        for _ in range(200):
            assert process.returncode is None, (folder / "turn.log").read_text()
            with socket.socket() as probe:
                if probe.connect_ex((host, port)) == 0:
                    break
            await asyncio.sleep(0.05)
        yield f"{host}:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def through_it_alone(page: Page, home: Path, server: str, **settings: Any) -> None:
    """Join with the relay as the only way; sound and picture come."""
    async with fakes_server(home, ice_servers=parse_ice_servers([server]), relay_only=True, **settings) as client:
        await join(page, client)
        found = await pair(page)
        assert found["type"] == "relay"
        await received_more(page, found["received"] + 60)


@pytest.mark.parametrize("by", ["udp", "tcp"])
async def test_through_a_turn_server_alone(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    async with turn_server(tmp_path, "--lt-cred-mech", "-u", "ann:secret") as place:
        await through_it_alone(page, tmp_path, f"turn:ann:secret@{place}?transport={by}")


async def test_through_a_turn_server_with_passwords_of_the_moment(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    async with turn_server(tmp_path, "--use-auth-secret", "--static-auth-secret=north") as place:
        await through_it_alone(page, tmp_path, f"turn:{place}", turn_secret="north")
