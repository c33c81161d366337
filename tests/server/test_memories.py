"""Memory stores over the API: those of the caller's own."""

from __future__ import annotations

import httpx

from cvi.memory.store import MemoryKey, add_memory, make_store, open_memory


async def test_a_store_is_made_filled_read_and_forgotten(client: httpx.AsyncClient) -> None:
    body = {"participant_tag": "anna", "persona_id": "p1"}
    made = (await client.post("/v2/memory-stores", json=body)).json()
    assert (await client.post("/v2/memory-stores", json=body)).json() == made
    where = f"/v2/memory-stores/{made['memory_store_id']}"
    pinned = (await client.post(f"{where}/memories", json={"text": "The user likes tea."})).json()
    assert pinned["pinned"] and pinned["kind"] == "profile"
    assert (await client.get(f"{where}/memories")).json()["data"] == [pinned]
    assert (await client.get("/v2/memory-stores?participant_tag=anna")).json()["total_count"] == 1
    assert (await client.delete(f"{where}/memories/{pinned['memory_id']}")).status_code == 204
    assert (await client.delete(f"{where}/memories/{pinned['memory_id']}")).status_code == 404
    assert (await client.delete(where)).status_code == 204 and (await client.get(where)).status_code == 404
    assert (await client.post("/v2/memory-stores", json={"participant_tag": "a\nb"})).status_code == 400


async def test_named_stores_and_other_owners(client: httpx.AsyncClient) -> None:
    connection = open_memory()
    named = make_store(connection, MemoryKey("anna_p1"))
    kept = add_memory(connection, named.id, "The user likes tea.")
    foreign = make_store(connection, MemoryKey("anna_p2", owner="somebody else"))
    add_memory(connection, foreign.id, "The user likes coffee.")
    connection.close()
    listed = (await client.get("/v2/memories/anna_p1")).json()
    assert [each["text"] for each in listed["data"]] == ["The user likes tea."]
    assert (await client.get("/v2/memories/anna_p2")).json()["data"] == []
    assert (await client.get(f"/v2/memory-stores/{foreign.id}")).status_code == 404
    assert (await client.delete(f"/v2/memory-stores/{foreign.id}")).status_code == 404
    assert (await client.delete(f"/v2/memories/anna_p1/m{kept.id}")).status_code == 204


async def test_a_conversation_names_its_participant(client: httpx.AsyncClient) -> None:
    body = {"replica_id": "anna", "test_mode": True, "participant_tags": ["a\nb"]}
    refused = await client.post("/v2/conversations", json=body)
    assert refused.status_code == 400 and "participant's name" in refused.text
