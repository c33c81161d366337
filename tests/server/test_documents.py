"""`/v2/documents`: fetched, read and indexed by a process of their own; states, callbacks, chunks, recrawls."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from running import serving
from web_stub import web_stub

from cvi.server.jobs.document_job import DocumentJob
from cvi.server.jobs.webhook_delivery import list_webhooks
from cvi.server.store.database import connect, database_path

MANUAL = b"# Boiler manual\n\n## Pressure\n\nThe pressure must be between 1.2 and 1.8 bar.\n"
FIRST = (
    b"<html><title>Shop</title><body><p>The shop opens at nine.</p><a href='/two.html'>more</a></body></html>"
)
SECOND = b"<html><title>Prices</title><body><p>A lamp costs forty euros.</p></body></html>"
HOOK = "https://93.184.216.34/hook"


@pytest.fixture(autouse=True)
def real_indexing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DocumentJob, "at_once", 1)


async def settled(client: httpx.AsyncClient, document: dict) -> dict:
    for _ in range(20_000):
        found = (await client.get(f"/v2/documents/{document['document_id']}")).json()
        if found["status"] in ("ready", "error"):
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("it is never done")


async def test_a_document_is_read_told_about_and_forgotten(home) -> None:
    async with web_stub({"/manual.md": (200, MANUAL, "")}) as url, serving(urls_to=("127.0.0.1",)) as client:
        body = {"document_url": f"{url}/manual.md", "callback_url": HOOK, "tags": ["boilers"]}
        made = (await client.post("/v2/documents", json=body)).json()
        assert made["status"] == "started" and made["not_in_effect"] == []
        ready = await settled(client, made)
        assert (ready["status"], ready["progress"], ready["error_message"]) == ("ready", 100, None)
        assert ready["passages_count"] == 1
        where = f"/v2/documents/{made['document_id']}"
        chunks = (await client.get(f"{where}/chunks")).json()
        assert "between 1.2 and 1.8 bar" in chunks["data"][0]["text"] and chunks["next_offset"] is None
        assert (await client.get("/v2/documents?status=ready")).json()["total_count"] == 1
        told = [json.loads(each.body) for each in list_webhooks(connect(database_path()), 10)]
        assert [each["status"] for each in reversed(told)] == ["processing", "ready"]
        assert told[0]["document_id"] == made["document_id"]
        # What was indexed twice is one document.
        again = (await client.post("/v2/documents", json=body)).json()
        assert (await settled(client, again))["status"] == "ready"
        assert again["document_id"] != made["document_id"]
        assert (await client.delete(where)).status_code == 204
        assert (await client.get(where)).status_code == 404
        from cvi.knowledge.store import every_document, knowledge_path, open_store

        assert [each.id for each in every_document(open_store(knowledge_path()))] == [again["document_id"]]


async def test_what_cannot_be_used_says_why_and_the_rest_goes_on(home) -> None:
    answers = {
        "/gone.pdf": (404, b"", ""),
        "/inner.pdf": (302, b"", "http://10.0.0.1/secret.pdf"),
        "/empty.txt": (200, b"", ""),
        "/noise.txt": (200, bytes(range(256)) * 10, ""),
        "/good.md": (200, MANUAL, ""),
    }
    async with web_stub(answers) as url, serving(urls_to=("127.0.0.1",)) as client:
        made = [
            (await client.post("/v2/documents", json={"document_url": url + name})).json() for name in answers
        ]
        found = [await settled(client, each) for each in made]
    assert [each["error_message"] for each in found] == [
        "file_download_failed",
        "invalid_file_url",
        "file_empty",
        "file_format_unsupported",
        None,
    ]
    assert "10.0.0.1" in found[1]["error_details"]


async def test_a_website_is_crawled_and_crawled_again(home, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"/one.html": (200, FIRST, ""), "/two.html": (200, SECOND, ""), "/robots.txt": (404, b"", "")}
    async with web_stub(answers) as url, serving(urls_to=("127.0.0.1",)) as client:
        body = {"document_url": f"{url}/one.html", "crawl": {"depth": 1, "max_pages": 5}}
        made = (await client.post("/v2/documents", json=body)).json()
        where = f"/v2/documents/{made['document_id']}/recrawl"
        assert (await client.post(where)).status_code == 409
        ready = await settled(client, made)
        assert ready["crawled_urls"] == [f"{url}/one.html", f"{url}/two.html"] and ready["crawl_count"] == 1
        assert (await client.post(where)).status_code == 429
        chunks = (await client.get(f"/v2/documents/{made['document_id']}/chunks")).json()["data"]
        assert [each["url"] for each in chunks] == ready["crawled_urls"]
        monkeypatch.setattr("cvi.server.api.resource_table.RECRAWL_AFTER_S", 0.0)
        assert (await client.post(where)).status_code == 202
        for _ in range(20_000):
            again = (await client.get(f"/v2/documents/{made['document_id']}")).json()
            if again["crawl_count"] == 2:
                break
            await asyncio.sleep(0.01)
        assert again["status"] == "ready"


async def test_conversations_name_documents_that_exist(home) -> None:
    async with serving() as client:
        body = {"persona_id": "guide", "document_ids": ["d0"], "test_mode": True}
        answer = await client.post("/v2/conversations", json=body)
        assert answer.status_code == 400 and "d0" in answer.text


async def test_a_strangers_persona_reads_no_files_of_the_server(home) -> None:
    async with serving() as client:
        for knowledge in ({"documents": ["/etc/hostname"]}, {"tags": ["secret"]}):
            body = {"persona_name": "Spy", "system_prompt": "You are a spy.", "knowledge": knowledge}
            assert (await client.post("/v2/personas", json=body)).status_code == 400
