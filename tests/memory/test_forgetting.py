"""`cvi forget`: afterwards no byte under $CVI_HOME tells of the participant."""

from __future__ import annotations

import json
import time
import unicodedata

import pytest
from typer.testing import CliRunner

from cvi.cli.app import app
from cvi.memory.store import MemoryKey, add_memory, find_stores, make_store, memories_of, open_memory
from cvi.server.store import audit, conversations, resources
from cvi.server.store.audit import AuditEntry
from cvi.server.store.conversations import ConversationRow
from cvi.server.store.database import connect, database_path, transact

NAME = "Zoë O'Quilligan-Marrow"
SECRET = "xylophonist in Ouagadougou"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    return tmp_path


def journal(folder, id, name, said, ended=True):
    path = folder / "conversations" / id / "journal.jsonl"
    path.parent.mkdir(parents=True)
    lines = [
        {"seq": 0, "t": 0.0, "type": "conversation_started", "format": 2, "participants": [name]},
        {"seq": 1, "t": 1.0, "type": "turn_typed", "turn": 1, "reply": 1, "text": said},
    ]
    if ended:
        lines.append({"seq": 2, "t": 2.0, "type": "conversation_ended", "reason": "participant_left"})
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    (path.parent / "recording.mp4").write_bytes(said.encode())
    (path.parent / "report.html").write_text(f"<p>{said} {name}</p>")


def filled(folder):
    connection = open_memory()
    for persona in ("guide", "other"):
        store = make_store(connection, MemoryKey(NAME, persona))
        old = add_memory(connection, store.id, f"The user is a {SECRET}.", said=f"I am a {SECRET}")
        add_memory(connection, store.id, f"The user is no {SECRET} now.", supersedes=[old.id])
    stays = make_store(connection, MemoryKey("Ben", "guide"))
    add_memory(connection, stays.id, "The user likes tea.")
    connection.close()
    journal(folder, "c00000000000a", NAME, f"I am a {SECRET}")
    journal(folder, "c00000000000b", "Ben", "I like tea")
    server = connect(database_path())
    for number, name in enumerate((NAME, "Ben")):
        id = f"c00000000001{number}"
        row = ConversationRow(
            id, "x", "ended", "p", "r", "", time.time(), time.time(), request={"participant_tags": [name]}
        )
        said = {"transcript": [{"role": "user", "content": f"{name}: {SECRET if name == NAME else 'tea'}"}]}
        transact(server, lambda there, row=row: conversations.add_conversation(there, row))
        transact(
            server,
            lambda there, id=id, said=said: conversations.add_event(
                there, id, "application.transcription_ready", 0.0, said
            ),
        )
        (folder / "conversations" / id).mkdir(parents=True)
        (folder / "conversations" / id / "journal.jsonl").write_text(json.dumps(said, ensure_ascii=False))
    server.close()


def bytes_with(folder, *words):
    wanted = [form for word in words for form in (word.encode(), json.dumps(word)[1:-1].encode())]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(form in path.read_bytes() for form in wanted)]


def test_no_byte_is_left(folder):
    filled(folder)
    assert len(bytes_with(folder, NAME, "Ouagadougou")) > 4
    done = CliRunner().invoke(app, ["forget", NAME, "--yes"])
    assert done.exit_code == 0, done.output
    assert "Memories        4" in done.output and "Conversations   2 (1 recorded)" in done.output
    assert bytes_with(folder, NAME, "Quilligan", "Ouagadougou", "xylophonist") == []
    names = {path.name for path in (folder / "conversations").iterdir()}
    assert names == {"c00000000000b", "c000000000011"}
    connection = open_memory()
    (ben,) = find_stores(connection)
    assert [each.text for each in memories_of(connection, ben.id)] == ["The user likes tea."]


@pytest.mark.parametrize(
    "request_",
    [
        {"participant_tags": [f"  {NAME}\t"]},
        {"participant_tags": ["other", unicodedata.normalize("NFD", NAME)]},
        {"participant_tags": [], "memory_stores": ["house", f"{NAME} "]},
    ],
    ids=["blanks", "decomposed", "store"],
)
def test_a_name_is_found_however_the_request_wrote_it(folder, request_):
    row = ConversationRow("c1", "x", "ended", "p", "r", "", 1.0, 1.0, request=request_ | {"note": SECRET})
    other = ConversationRow("c2", "x", "ended", "p", "r", "", 1.0, 1.0, request={"participant_tags": ["Zoë"]})
    theirs = ConversationRow("c3", "x", "ended", "p", "r", "", 1.0, 1.0, request=request_, owner="ann")
    server = connect(database_path())
    for each in (row, other, theirs):
        transact(server, lambda there, each=each: conversations.add_conversation(there, each))
    entry = AuditEntry(1.0, "", "default", "DELETE /v2/memories/{memory_store}", f"{NAME} m12", 204, "")
    transact(server, lambda there: audit.note(there, entry))
    tagged = {"participant_tags": [NAME]}
    transact(server, lambda there: resources.add(there, "documents", "d1", "x", tagged, 1.0))
    done = CliRunner().invoke(app, ["forget", NAME, "--yes"])
    assert done.exit_code == 0 and "document d1" in done.output, done.output
    left = [each["id"] for each in server.execute("SELECT id FROM conversations ORDER BY id")]
    assert left == ["c2", "c3"] and bytes_with(folder, SECRET) == []
    assert [each.target for each in audit.list_entries(server, 9)] == [""]
    server.close()


def test_a_conversation_that_runs_is_not_forgotten(folder):
    from cvi.errors import UsageError

    journal(folder, "c00000000000a", NAME, "hello", ended=False)
    done = CliRunner().invoke(app, ["forget", NAME, "--yes"])
    assert isinstance(done.exception, UsageError) and "is running" in str(done.exception)


def test_one_conversation_is_forgotten_with_what_was_learned_from_it(folder):
    journal(folder, "c00000000000a", NAME, f"I am a {SECRET}")
    journal(folder, "c00000000000b", NAME, "I like tea")
    connection = open_memory()
    store = make_store(connection, MemoryKey(NAME, "guide"))
    add_memory(connection, store.id, f"The user is a {SECRET}.", said=SECRET, conversation="c00000000000a")
    add_memory(connection, store.id, "The user likes tea.", conversation="c00000000000b")
    connection.close()
    done = CliRunner().invoke(app, ["forget", "--conversation", "c00000000000a", "--yes"])
    assert done.exit_code == 0, done.exception
    assert "Memories        1" in done.output and "Conversations   1 (1 recorded)" in done.output
    assert bytes_with(folder, "Ouagadougou", "xylophonist") == []
    assert [path.name for path in (folder / "conversations").iterdir()] == ["c00000000000b"]
    assert [each.text for each in memories_of(open_memory(), store.id)] == ["The user likes tea."]


def test_one_conversation_of_a_server_is_forgotten(folder):
    filled(folder)
    done = CliRunner().invoke(app, ["forget", "--conversation", "c000000000010", "--yes"])
    assert done.exit_code == 0 and "c000000000010: journal" in done.output, done.exception
    server = connect(database_path())
    assert [each["id"] for each in server.execute("SELECT id FROM conversations")] == ["c000000000011"]
    server.close()
    assert not (folder / "conversations" / "c000000000010").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["Zoe", "--conversation", "last"],
        ["--conversation", "c0ffee"],
        ["--conversation", "../elsewhere"],
        ["--conversation", "last", "--owner", "ann"],
    ],
)
def test_what_names_nothing_of_this_machine_is_misuse(folder, arguments, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("other")
    journal(elsewhere, "x", NAME, "hello")
    (folder / "elsewhere").symlink_to(elsewhere / "conversations" / "x")
    (folder / "conversations").mkdir()
    monkeypatch.chdir(folder / "conversations")
    done = CliRunner().invoke(app, ["forget", *arguments, "--yes"])
    assert done.exception is not None and done.exception.exit_status == 2
    assert (elsewhere / "conversations" / "x" / "journal.jsonl").exists()


def test_nobody_to_ask_is_misuse():
    done = CliRunner().invoke(app, ["forget", NAME])
    assert done.exception is not None and done.exception.exit_status == 2


def test_memories_are_listed_shown_changed_exported_and_forgotten():
    def run(*arguments):
        done = CliRunner().invoke(app, ["memory", *arguments])
        assert done.exit_code == 0, done.exception
        return done.output

    assert "Nothing" in run("list")
    assert run("add", "Ann", "The user likes tea.", "--persona", "guide").startswith("m1 ")
    assert "pinned" in run("list", "Ann") and "with guide" in run("list")
    assert "likes coffee" in run("edit", "m1", "--text", "The user likes coffee.", "--unpin")
    assert "likes coffee" in run("show", "1")
    (store,) = json.loads(run("export", "Ann"))["stores"]
    assert store["memories"][0]["text"] == "The user likes coffee." and not store["memories"][0]["pinned"]
    assert "Forgot m1" in run("forget", "m1")
    assert CliRunner().invoke(app, ["memory", "show", "m1"]).exception.exit_status == 2
