"""Tavus's own command line, unmodified, pointed here by its environment variables.

It is installed from the package index into an environment of its own. Commands that need what this
server does not have are listed below with the answer they get, which is never a server error.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import venv
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from running import listening

VERSION = "0.11.0"


@pytest.fixture(scope="session")
def tavus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `tavus` program. Set CVI_TAVUS_CLI to one that is installed already."""
    if "CVI_TAVUS_CLI" in os.environ:
        return Path(os.environ["CVI_TAVUS_CLI"])
    folder = tmp_path_factory.mktemp("tavus")
    venv.create(folder, with_pip=True)
    command = [folder / "bin" / "python", "-m", "pip", "install", "-q", f"tavus-cli=={VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170)
    if done.returncode != 0:
        pytest.skip(f"tavus-cli {VERSION} cannot be installed: {done.stderr.strip()[-200:]}")
    return folder / "bin" / "tavus"


class Cli:
    def __init__(self, program: Path, url: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("TAVUS")},
            "TAVUS_PUBLIC_API_BASE_URL": f"{url}/v2",
            "TAVUS_PORTAL_API_BASE_URL": url,
            "TAVUS_PAL_MAKER_URL": url,
            "TAVUS_API_KEY": "any",
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }

    async def run(self, *words: str, status: int = 0) -> Any:
        """What a command prints, as JSON where it is that. Its exit status must be `status`."""
        process = await asyncio.create_subprocess_exec(
            str(self._program),
            *words,
            cwd=self._folder,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        text = out.decode()
        assert process.returncode == status, f"{' '.join(words)}: {text}"
        assert not any(f"failed with 5{digit}" in text for digit in "0123456789"), text
        try:
            return json.loads(text)
        except ValueError:
            return text

    def file(self, name: str, value: Any) -> str:
        path = self._folder / name
        path.write_text(json.dumps(value))
        return str(path)


@pytest.fixture
async def cli(tavus: Path, home: Path, tmp_path: Path) -> AsyncIterator[Cli]:
    async with listening() as url:
        yield Cli(tavus, url, tmp_path)


async def pal(cli: Cli) -> str:
    made = await cli.run("pal", "create", "--name", "Ada", "--system-prompt", "You are Ada.")
    assert made["pal_name"] == "Ada" and made["persona_id"] == made["pal_id"]
    return made["pal_id"]


@pytest.mark.timeout(300)
async def test_personas_and_faces(cli: Cli) -> None:
    await cli.run("doctor")
    begun = await cli.run("quickstart", "--system-prompt", "Be brief.")
    ada = begun["pal"]["pal_id"]
    made = await cli.run("pal", "create", "--name", "Bo", "--pipeline-mode", "echo")
    listed = await cli.run("pal", "list", "--json")
    assert {made["pal_id"], ada} <= {row["pal_id"] for row in listed["data"]}
    await cli.run("pal", "patch", ada, "--path", "/pal_name", "--value", "Bea")
    assert (await cli.run("pal", "get", ada))["pal_name"] == "Bea"
    await cli.run("pal", "options", ada)
    await cli.run("pal", "preview", ada)
    assert (await cli.run("face", "list", "--stock", "--json"))["data"][0]["face_type"] == "system"
    for name in ("guardrails", "objectives", "documents", "voices", "tools"):
        await cli.run("resource", "list", name)
    await cli.run("pal", "delete", ada)
    assert "400" in await cli.run("pal", "get", ada, status=1)


@pytest.mark.timeout(300)
async def test_conversations(cli: Cli) -> None:
    ada = await pal(cli)
    talk = await cli.run("conversation", "create", "--pal-id", ada, "--name", "Ours")
    assert talk["conversation_url"].endswith(talk["conversation_id"]) and talk["status"] == "active"
    await cli.run("conversation", "end", talk["conversation_id"])
    chat = await cli.run("chat", "start", "--pal-id", ada, "--greeting", "Hi.")
    await cli.run("chat", "end", chat["conversation_id"])
    await cli.run("embed", "--conversation-url", talk["conversation_url"])


@pytest.mark.timeout(300)
async def test_objectives_guardrails_and_tools(cli: Cli) -> None:
    ada = await pal(cli)
    example = cli.file("objectives.json", await cli.run("objective", "example"))
    await cli.run("objective", "validate", "--file", example)
    made = await cli.run("objective", "create", "--file", example)
    change = [{"op": "replace", "path": "/data/0/objective_prompt", "value": "Ask for a name."}]
    await cli.run("objective", "patch", made["objectives_id"], "--file", cli.file("patch.json", change))
    found = await cli.run("objective", "get", made["objectives_id"])
    assert found["data"][0]["objective_prompt"] == "Ask for a name."
    await cli.run("objective", "list")
    await cli.run("objective", "delete", made["objectives_id"])

    rule = await cli.run(
        "guardrail", "create", "--name", "No refunds!", "--prompt", "Never.", "--tag", "shop"
    )
    await cli.run("guardrail", "patch", rule["uuid"], "--prompt", "Never ever.")
    assert (await cli.run("guardrail", "get", rule["uuid"]))["guardrail_prompt"] == "Never ever."
    assert (await cli.run("guardrail", "list", "--tags", "shop", "--json"))["total_count"] == 1
    assert (await cli.run("guardrail", "tags"))["tags"] == ["shop"]
    await cli.run("guardrail", "delete", rule["uuid"])

    for delivery in ("app_message", "http", "http_oauth2"):
        body = await cli.run("tool", "example", "--delivery", delivery)
        tool = await cli.run("tool", "create", "--file", cli.file("tool.json", body))
    assert tool["delivery"]["api"]["auth"]["client_secret"] == "********"
    await cli.run("tool", "patch", tool["tool_id"], "--file", cli.file("new.json", {"description": "Other."}))
    assert (await cli.run("tool", "get", tool["tool_id"]))["description"] == "Other."
    await cli.run("tool", "list")
    await cli.run("pal", "tools", "attach", ada, tool["tool_id"])
    assert (await cli.run("pal", "tools", "list", ada))["total_count"] == 1
    await cli.run("pal", "tools", "detach", ada, tool["tool_id"])
    await cli.run("tool", "delete", tool["tool_id"])


@pytest.mark.timeout(300)
async def test_what_is_kept_and_not_acted_upon(cli: Cli) -> None:
    ada = await pal(cli)
    made = await cli.run("document", "create", "--url", "https://93.184.216.34/a.pdf", "--tag", "manual")
    assert made["status"] == "started"
    await cli.run("document", "get", made["document_id"])
    await cli.run("document", "list")
    assert (await cli.run("document", "tags"))["tags"] == ["manual"]
    await cli.run("document", "chunks", made["document_id"])
    assert "400" in await cli.run("document", "recrawl", made["document_id"], status=1)
    await cli.run("pal", "knowledge", "add", ada, "--document-id", made["document_id"])
    await cli.run("pal", "knowledge", "list", ada)

    body = cli.file("words.json", await cli.run("pronunciation-dictionary", "example"))
    words = await cli.run("pronunciation-dictionary", "create", "--file", body)
    change = cli.file("name.json", {"name": "Ours"})
    await cli.run("pronunciation-dictionary", "patch", words["uuid"], "--file", change)
    assert (await cli.run("pronunciation-dictionary", "get", words["uuid"]))["name"] == "Ours"
    await cli.run("pronunciation-dictionary", "list")
    await cli.run("pronunciation-dictionary", "delete", words["uuid"])

    await cli.run("skill", "list")
    await cli.run("pal", "skills", "attach", ada, "memory", "--config", '{"on": true}')
    await cli.run("pal", "skills", "list", ada)
    await cli.run("pal", "skills", "detach", ada, "memory")

    place = ("--channel", "embed", "--any-origin", "--shared-memory")
    put = await cli.run("deployment", "create", "--pal-id", ada, *place)
    assert put["status"] == "inactive" and put["name"] == "Ada Embed"
    await cli.run("deployment", "get", put["deployment_id"])
    await cli.run("deployment", "list")
    assert "404" in await cli.run("builder", "list", status=1)
