"""The borders of the program: where bytes from outside come in, and what feeds each with the real code."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import random
import shutil
import sys
import zipfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from harness import Border, Feed, HalfWritten, ServerFault, plain
from mutation import json_bytes, mutated_bytes, mutated_value

from cvi.errors import CviError

sys.path.append(str(Path(__file__).parents[1] / "server"))
ROOT = Path(__file__).parents[2]
_MOST_FRAMES = 50


@cache
def _read(pattern: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted(ROOT.glob(pattern)))


def _yaml_like(pattern: str) -> Callable[[random.Random], bytes]:
    """Files of the repository, damaged as text or as values."""

    def make(rng: random.Random) -> bytes:
        data = rng.choice(_read(pattern))
        if rng.random() < 0.5:
            return mutated_bytes(data, rng)
        value = mutated_value(_value(data), rng)
        return yaml.safe_dump(value, allow_unicode=rng.random() < 0.5).encode("utf-8", "surrogatepass")

    return make


@cache
def _value(data: bytes) -> Any:
    return yaml.safe_load(data)


def _from_file(name: str, read: Callable[[Path], object]) -> Callable[[Path], Any]:
    """A border that reads a file called `name`."""

    def opened(folder: Path) -> Any:
        def feed(data: bytes) -> None:
            path = folder / name
            path.write_bytes(data)
            read(path)

        return plain(feed)

    return opened


# -- files -----------------------------------------------------------------------------------------


def _persona(path: Path) -> None:
    from cvi.persona.findings import examine
    from cvi.persona.loading import load_persona

    _, findings = examine(path)
    for finding in findings:
        str(finding).encode()
    load_persona(path)


def _recipe(path: Path) -> None:
    from cvi.bench.recordings.recipe import load_recipe

    load_recipe(path)


_CALLER = {
    "audio": "a.wav", "name": "n", "room": {"noise": "street"},
    "segments": [
        {"start_s": 0, "end_s": 1.5, "text": "Hello.", "speech_end_s": 1.4, "id": "q1", "kind": "question"},
        {"start_s": 2, "end_s": 3, "text": "Stop.", "into_reply_s": 0.7, "words": [], "pauses": []},
    ],
}  # fmt: skip


def _caller(rng: random.Random) -> bytes:
    text = yaml.safe_dump(mutated_value(_CALLER, rng)).encode()
    return mutated_bytes(text, rng) if rng.random() < 0.3 else text


def _caller_read(path: Path) -> None:
    from cvi.transport.scenario import load_scenario

    (path.parent / "a.wav").touch()
    load_scenario(path)


def _script(path: Path) -> None:
    from cvi.testing.persona_script import load_script

    load_script(path)


def _card_opened(folder: Path) -> Any:
    from cvi.face.replica import CARD, load_replica_card

    shutil.copytree(ROOT / "replicas" / "june", folder / "june")

    def feed(data: bytes) -> None:
        (folder / "june" / CARD).write_bytes(data)
        load_replica_card(folder / "june")

    return plain(feed)


_CONSENT = {
    "format": 1, "who": "Ann", "purpose": "a test", "when": "2026-01-01T00:00:00Z", "kind": "text", "text": "yes",
    "evidence": "text", "evidence_sha256": hashlib.sha256(b"yes").hexdigest(), "footage_sha256": "0" * 64,
    "recorded_by": "ann", "binding": "0" * 64,
}  # fmt: skip


def _archive(rng: random.Random) -> bytes:
    """A replica of a few small files in a zip, with members, names, methods or bytes that are not right."""
    texts = {"a.txt": b"one" * rng.randrange(1, 400), "b.bin": rng.randbytes(rng.randrange(1, 3000))}
    person = rng.random() < 0.3
    if person:
        texts["consent.json"] = json_bytes(mutated_value(_CONSENT, rng), rng)
    hashes = {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}
    kind, renderer = ("trained", "neural") if person else ("stock", "sculpted")
    about = {"name": "x", "kind": kind, "renderer": renderer, "source": "s", "licence": "l"}
    card: Any = {**about, "files": hashes}
    if rng.random() < 0.4:
        card = mutated_value(card, rng)
    members = [("replica.yaml", yaml.safe_dump(card).encode("utf-8", "replace")), *texts.items()]
    if rng.random() < 0.2:
        names = ("../x", "/etc/x", "a/b", ".hidden", "a.txt", "x" * 300, "\x00", "con", "é", "whole")
        members.append((rng.choice(names), b"more"))
    out = io.BytesIO()
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with zipfile.ZipFile(out, "w", rng.choice(methods)) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = rng.choice(methods) if rng.random() < 0.3 else archive.compression
            if rng.random() < 0.05:
                info.external_attr = 0o120777 << 16
            archive.writestr(info, data)
    return mutated_bytes(out.getvalue(), rng) if rng.random() < 0.8 else out.getvalue()


def _archive_opened(folder: Path) -> Any:
    from cvi.face.replica import import_replica
    from cvi.paths import replicas_dir

    archive = folder / "given.zip"

    def feed(data: bytes) -> None:
        archive.write_bytes(data)
        try:
            import_replica(archive, "given")
        except CviError:
            if left := list(replicas_dir().glob("*")):
                raise HalfWritten(f"a refused archive left {left[0].name}") from None
            raise
        shutil.rmtree(replicas_dir() / "given")

    return plain(feed)


@cache
def _films() -> tuple[bytes, ...]:
    """A second of tone and picture in several containers."""
    import av
    import numpy as np

    tone = (8000 * np.sin(np.arange(8000) / 8)).astype(np.int16).reshape(1, -1)
    made = []
    for kind, sound, picture in (
        ("wav", "pcm_s16le", ""), ("flac", "flac", ""), ("mp3", "mp3", ""), ("ogg", "libopus", ""),
        ("mp4", "aac", "libx264"), ("webm", "libopus", "libvpx"), ("matroska", "pcm_s16le", "mpeg4"),
    ):  # fmt: skip
        out = io.BytesIO()
        with av.open(out, "w", format=kind) as film:
            track: Any = film.add_stream(sound, rate=48_000, layout="mono")
            image: Any = film.add_stream(picture, rate=10) if picture else None
            if image:
                image.width, image.height, image.pix_fmt = 64, 48, "yuv420p"
                for number in range(10):
                    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8), "rgb24")
                    frame.pts = number
                    film.mux(image.encode(frame))
                film.mux(image.encode(None))
            heard = av.AudioFrame.from_ndarray(tone, "s16", "mono")
            heard.sample_rate = 8000
            fit = av.AudioResampler(format=track.codec_context.format.name, layout="mono", rate=48_000)
            fifo = av.AudioFifo()
            for part in (*fit.resample(heard), *fit.resample(None)):
                part.pts = None
                fifo.write(part)
            at = 0
            while block := fifo.read(track.codec_context.frame_size or 1024, partial=True):
                block.pts, at = at, at + block.samples
                film.mux(track.encode(block))
            film.mux(track.encode(None))
        made.append(out.getvalue())
    return tuple(made)


def _media(path: Path) -> None:
    from cvi.media.decode import is_silent, probe, read_audio
    from cvi.media.video import UprightConverter, decoded_frames

    for read in (probe, is_silent, lambda film: read_audio(film, max_s=60.0)):
        try:
            read(path)
        except CviError:
            continue
    convert = UprightConverter(64, 48)
    with closing(decoded_frames(path)) as frames:
        for shown in islice(frames, _MOST_FRAMES):
            convert.rgb(shown.image)


def _journal(rng: random.Random) -> bytes:
    lines = rng.choice(_read("tests/conversation/journals/*.jsonl")).splitlines(keepends=True)
    start = rng.randrange(max(len(lines) - 20, 1))
    chosen = [lines[0], *lines[start : start + 20]]
    if rng.random() < 0.5:
        return mutated_bytes(b"".join(chosen), rng)
    at = rng.randrange(len(chosen))
    chosen[at] = json_bytes(mutated_value(json.loads(chosen[at]), rng), rng) + b"\n"
    return b"".join(chosen)


def _journal_read(path: Path) -> None:
    from cvi.conversation.journal import read_journal
    from cvi.conversation.latency import barge_ins, turn_latencies
    from cvi.conversation.transcript import transcript

    events = list(read_journal(path))
    transcript(events)
    turn_latencies(events)
    barge_ins(events)


# -- requests --------------------------------------------------------------------------------------

_PATCH = [
    {"op": "add", "path": "/system_prompt", "value": "You are x."},
    {"op": "copy", "from": "/persona_name", "path": "/greeting"},
    {"op": "replace", "path": "/layers/llm/model", "value": "m"},
    {"op": "move", "from": "/greeting", "path": "/x"},
    {"op": "test", "path": "/persona_name", "value": "Ada"},
    {"op": "remove", "path": "/greeting"},
]
_LLM_TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
REQUESTS: Sequence[tuple[str, str, Any]] = (
    ("POST", "/v2/personas", {
        "persona_name": "Ada", "system_prompt": "You are Ada.", "context": "c", "default_replica_id": "june",
        "layers": {"llm": {"model": "m", "extra_body": {"temperature": 0.5}}, "tts": {"tts_engine": "flite"},
                   "stt": {"hotwords": "a, b"}, "perception": {"perception_model": "off"}},
        "objectives": [{"objective_name": "o", "objective_prompt": "p"}],
    }),
    ("PATCH", "/v2/personas/{persona}", _PATCH),
    ("PATCH", "/v2/pals/{persona}", _PATCH),
    ("POST", "/v2/conversations", {
        "persona_id": "{persona}", "replica_id": "june", "conversation_name": "n", "test_mode": True,
        "conversational_context": "c", "custom_greeting": "g", "memory_stores": ["a"], "audio_only": True,
        "properties": {"max_call_duration": 60, "language": "english", "enable_recording": False},
    }),
    ("POST", "/v2/conversations/{conversation}/interactions", {
        "event_type": "conversation.respond", "properties": {"text": "hello"},
    }),
    ("POST", "/v2/interactions", {
        "conversation_id": "{conversation}", "event_type": "conversation.echo", "properties": {"text": "a"},
    }),
    ("POST", "/c/{conversation}/offer", {"sdp": "v=0\r\nm=audio 9 RTP/AVP 0\r\n", "participant": "p1", "type": "offer"}),
    ("POST", "/v2/objectives", {"data": [{"objective_name": "one", "objective_prompt": "Ask.",
                                          "output_variables": ["a"], "next_conditional_objectives": {"one": "x"}}]}),
    ("POST", "/v2/guardrails", {"guardrail_name": "one", "guardrail_prompt": "Never shout.", "tags": ["a"]}),
    ("PATCH", "/v2/guardrails/{guardrails}", [{"op": "replace", "path": "/guardrail_prompt", "value": "x"}]),
    ("POST", "/v2/tools", {"name": "weather", "description": "d", "parameters": _LLM_TOOL,
                           "delivery": {"app_message": {"enabled": True}}}),
    ("POST", "/v2/documents", {"document_name": "d", "document_url": "http://127.0.0.1:1/x.pdf", "tags": ["a"]}),
    ("POST", "/v2/deployments", {"persona_id": "{persona}", "channel": "embed", "name": "n"}),
    ("POST", "/v2/videos", {"replica_id": "june", "script": "", "video_name": "v", "fast": True}),
    ("POST", "/v2/pronunciation-dictionaries", {"name": "n", "rules": [{"pattern": "a", "replacement": "b"}]}),
    ("POST", "/v2/replicas", {"train_video_url": "http://127.0.0.1:1/x.mp4", "replica_name": "n",
                              "consent_text": "yes"}),
    ("PATCH", "/v2/replicas/june/name", {"replica_name": "x"}),
    ("POST", "/v2/personas/check", {"persona_name": "Ada", "system_prompt": "x"}),
)  # fmt: skip
QUERIES = (
    "limit=-1", "limit=1e9", "page=0&limit=99999999999999999999", "sort=x", "sort=asc", "status=%00", "verbose=maybe",
    "filter[]=a", "page=%ff", "limit=", "name_or_uuid=%00%27", "tags=a,,b", "page=9223372036854775808",
)  # fmt: skip
_LISTS = (
    "personas",
    "conversations",
    "replicas",
    "faces",
    "videos",
    "documents",
    "guardrails",
    "objectives",
    "tools",
)


def _request(rng: random.Random) -> bytes:
    """A request as one line of JSON (method, path, content type), then its body."""
    if rng.random() < 0.1:
        path = f"/v2/{rng.choice(_LISTS)}?{rng.choice(QUERIES)}"
        return json.dumps({"method": "GET", "path": path, "type": ""}).encode() + b"\n"
    method, path, body = rng.choice(REQUESTS)
    kind = (
        "application/json"
        if rng.random() < 0.97
        else rng.choice(("text/plain", "", "multipart/form-data", "é"))
    )
    head = json.dumps({"method": method, "path": path, "type": kind}).encode()
    return head + b"\n" + json_bytes(mutated_value(body, rng), rng)


@asynccontextmanager
async def _server(folder: Path) -> AsyncIterator[Feed]:
    from running import serving

    from cvi.paths import personas_dir

    bounds = {"rate_per_minute": 10**7, "joins_per_minute": 10**7, "max_conversations": 50}
    async with serving(worker=("/bin/false",), **bounds) as client:

        async def made(path: str, body: dict[str, Any], key: str) -> str:
            answer = await client.post(path, json=body)
            assert answer.status_code == 200, answer.text
            return str(answer.json()[key])

        persona = await made(
            "/v2/personas", {"persona_name": "Ada", "system_prompt": "x", "greeting": "g"}, "persona_id"
        )
        names = {
            "{persona}": persona,
            "{guardrails}": await made(
                "/v2/guardrails", {"guardrail_name": "g", "guardrail_prompt": "Never shout."}, "guardrails_id"
            ),
            "{conversation}": await made(
                "/v2/conversations", {"persona_id": persona, "test_mode": True}, "conversation_id"
            ),
        }

        async def feed(data: bytes) -> None:
            line, _, body = data.partition(b"\n")
            head = json.loads(line)
            path = head["path"]
            for name, value in names.items():
                path = path.replace(name, value)
                body = body.replace(name.encode(), value.encode())
            files = set(personas_dir().rglob("*"))
            headers = {"content-type": head["type"].encode()}
            answer = await client.request(head["method"], path, content=body, headers=headers)
            if (
                answer.status_code >= 500 and answer.status_code not in (501, 503)
            ) or "Traceback" in answer.text:
                raise ServerFault(f"{head['method']} {path}: {answer.status_code} {answer.text[:200]}")
            if answer.status_code >= 400 and set(personas_dir().rglob("*")) != files:
                raise HalfWritten(f"{head['method']} {path}: {answer.status_code} and files changed")
            if answer.status_code == 200 and head["method"] == "POST" and path == "/v2/personas":
                wanted = {"persona_id": answer.json()["persona_id"], "test_mode": True}
                held = await client.post("/v2/conversations", json=wanted)
                if held.status_code >= 500:
                    raise ServerFault(f"a conversation with it: {held.status_code} {held.text[:200]}")
            if answer.status_code == 200 and head["method"] == "POST" and path.count("/") == 2:
                # What was made is deleted again, so that lists stay short.
                made_ids = [value for key, value in answer.json().items() if key.endswith("_id")]
                if made_ids:
                    await client.delete(f"{path}/{made_ids[0]}", params={"hard": "true"})

        yield feed


# -- answers of endpoints --------------------------------------------------------------------------

_ANSWER = b"".join(
    b"data: " + json.dumps(event).encode() + b"\n\n"
    for event in (
        {"id": "x", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        {"id": "x", "choices": [{"index": 0, "delta": {"content": "Hello "}, "finish_reason": None}]},
        {"id": "x", "choices": [{"delta": {"tool_calls": [
            {"index": 0, "id": "c", "function": {"name": "weather", "arguments": '{"city": "Ro'}}]}}]},
        {"id": "x", "choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": 'me"}'}}]}}]},
        {"id": "x", "choices": [{"delta": {"content": "there."}, "finish_reason": "stop"}], "usage": {"total_tokens": 3}},
    )
) + b"data: [DONE]\n\n"  # fmt: skip


def _answer(rng: random.Random) -> bytes:
    """An HTTP answer of a chat endpoint, head and all."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    if rng.random() < 0.1:
        return mutated_bytes(head, rng) + _ANSWER
    if rng.random() < 0.5:
        return head + mutated_bytes(_ANSWER, rng)
    events = [json.loads(line[6:]) for line in _ANSWER.splitlines() if line.startswith(b"data: {")]
    at = rng.randrange(len(events))
    events[at] = mutated_value(events[at], rng)
    lines = (b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    return head + b"".join(lines) + b"data: [DONE]\n\n"


@asynccontextmanager
async def _endpoint(folder: Path) -> AsyncIterator[Feed]:
    from cvi.llm.base import LlmSettings, Message, Sampling, ToolSpec
    from cvi.llm.openai import OpenAiLlm

    sent = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            size = max(len(sent) // 5, 1)
            for start in range(0, len(sent), size):
                writer.write(sent[start : start + size])
                await writer.drain()
                await asyncio.sleep(0)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    llm = OpenAiLlm(LlmSettings(base_url=url, first_token_timeout_s=1.0, stall_timeout_s=1.0))
    tool, messages = ToolSpec("weather", "d", _LLM_TOOL), [Message("user", "hi")]

    async def feed(data: bytes) -> None:
        nonlocal sent
        sent = data
        for stream in (llm.stream(messages, Sampling()), llm.stream_or_call(messages, [tool], Sampling())):
            try:
                async for piece in stream:
                    str(piece).encode()
            except CviError as error:
                str(error).encode()

    try:
        yield feed
    finally:
        await llm.close()
        server.close()


# -- messages --------------------------------------------------------------------------------------

WORKER_SAYS: Sequence[dict[str, Any]] = (
    {"type": "loading", "what": "models"},
    {"type": "ready"},
    {"type": "answer", "id": "1", "sdp": "v=0", "sdp_type": "answer"},
    {"type": "accepted", "id": "1"},
    {"type": "refused", "id": "1", "status": 400, "message": "no"},
    {"type": "joined", "participant": "p"},
    {
        "type": "stopped",
        "reason": "asked",
        "transcript": [{"role": "user", "content": "hello", "inference_id": "i"}],
    },
    {"type": "failed", "message": "m"},
)


@asynccontextmanager
async def _pipe(folder: Path) -> AsyncIterator[Feed]:
    """The server's end of a worker's pipe; `cat` is the child that says what it is given."""
    from cvi.child_process import ChildProcess
    from cvi.server.worker.messages import WORKER_MESSAGES, Accepted

    done = asyncio.Event()

    def hear(message: Any) -> None:
        message.model_dump_json()
        if isinstance(message, Accepted) and message.id == "the-mark":
            done.set()

    child = ChildProcess(("cat",), folder / "child.log", WORKER_MESSAGES, hear)
    await child.start()

    async def feed(data: bytes) -> None:
        process = child._process
        assert process is not None and process.stdin is not None
        done.clear()
        process.stdin.write(data + b"\n")
        child.send(Accepted(id="the-mark"))
        await done.wait()

    try:
        yield feed
    finally:
        child.close_input()
        await child.stop(1.0, 1.0)


CLIENT_SAYS: Sequence[dict[str, Any]] = (
    {"event_type": "conversation.echo", "properties": {"modality": "text", "text": "hello", "done": True}},
    {"event_type": "conversation.echo", "properties": {
        "modality": "audio", "audio": base64.b64encode(b"\0\1" * 160).decode(), "sample_rate": 16000,
        "inference_id": "i", "done": "true"}},
    {"event_type": "conversation.respond", "properties": {"text": "hello"}},
    {"event_type": "conversation.interrupt", "properties": {}},
    {"event_type": "conversation.overwrite_llm_context", "properties": {"context": "c"}},
    {"event_type": "conversation.append_llm_context", "properties": {"context": "c"}},
    {"event_type": "conversation.sensitivity", "properties": {
        "participant_pause_sensitivity": "high", "participant_interrupt_sensitivity": "low"}},
    {"event_type": "conversation.tool_result", "properties": {"tool_call_id": "t", "output": {"a": 1}}},
)  # fmt: skip
_SDP = (
    b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96 0\r\n"
    b"c=IN IP4 0.0.0.0\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 minptime=10;useinbandfec=1\r\na=mid:0\r\na=sendrecv\r\n"
    b"m=video 9 UDP/TLS/RTP/SAVPF 97 98\r\na=rtpmap:97 VP8/90000\r\na=rtpmap:98 rtx/90000\r\na=fmtp:98 apt=97\r\na=mid:1\r\n"
)


def _said(rng: random.Random, messages: Sequence[dict[str, Any]]) -> bytes:
    return json_bytes(mutated_value(rng.choice(messages), rng), rng)


def _channel(folder: Path) -> Any:
    from cvi.server.worker.commands import read_command

    def feed(data: bytes) -> None:
        read_command(data.decode("utf-8", "surrogateescape"))

    return plain(feed)


def _offer(folder: Path) -> Any:
    from cvi.transport.webrtc.sdp import prefer_codecs

    return plain(lambda data: str(prefer_codecs(data.decode("utf-8", "replace"), ("H264", "VP8"))).encode())


BORDERS: dict[str, Border] = {
    border.name: border
    for border in (
        Border("persona", _yaml_like("personas/*.yaml"), _from_file("given.yaml", _persona)),
        Border("recipe", _yaml_like("cvi/bench/scenarios/*.yaml"), _from_file("given.yaml", _recipe)),
        Border("scenario", _caller, _from_file("given.yaml", _caller_read)),
        Border("script", _yaml_like("personas/tests/*.yaml"), _from_file("given.yaml", _script)),
        Border("card", _yaml_like("replicas/june/replica.yaml"), _card_opened),
        Border("archive", _archive, _archive_opened),
        Border("media", lambda rng: mutated_bytes(rng.choice(_films()), rng), _from_file("given", _media)),
        Border("journal", _journal, _from_file("journal.jsonl", _journal_read)),
        Border("rest", _request, _server),
        Border("endpoint", _answer, _endpoint),
        Border("pipe", lambda rng: _said(rng, WORKER_SAYS).replace(b"\n", b" "), _pipe),
        Border("channel", lambda rng: _said(rng, CLIENT_SAYS), _channel),
        Border("offer", lambda rng: mutated_bytes(_SDP, rng), _offer),
    )
}
