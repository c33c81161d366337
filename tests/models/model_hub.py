"""A model hub on the loopback, whose faults are told beforehand, and tiny models for it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from cvi.models.manifest import Model, ModelFile

Fault = Callable[[BaseHTTPRequestHandler], bool]


@dataclass
class Hub:
    """Serves `files` by path. Each request first takes the next of `faults`; True means it has answered."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    etags: bool = True
    ranges: bool = True
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    sent_bytes: int = 0

    def add(self, model: Model, contents: dict[str, bytes]) -> None:
        for file in model.files:
            self.files[model.url(file, "")] = contents[file.path]


def status(code: int, **headers: str) -> Fault:
    """The server answers with this status."""

    def fault(request: BaseHTTPRequestHandler) -> bool:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()
        return True

    return fault


def cut_after(count: int) -> Fault:
    """The connection ends after `count` bytes of the body."""

    def fault(request: BaseHTTPRequestHandler) -> bool:
        request.cut = count  # type: ignore[attr-defined]
        return False

    return fault


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        cut: int | None = None

        def do_GET(self) -> None:
            self.cut = None
            asked = self.headers.get("Range")
            hub.requests.append((self.path, asked))
            if hub.faults and hub.faults.pop(0)(self):
                return
            body = hub.files.get(self.path)
            if body is None:
                status(404)(self)
                return
            etag = '"' + hashlib.md5(body).hexdigest() + '"'
            start = self._start(asked, etag)
            if start >= len(body) > 0 and start:
                status(416)(self)
                return
            self.send_response(206 if start else 200)
            if hub.etags:
                self.send_header("ETag", etag)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            sent = body[start:] if self.cut is None else body[start : start + self.cut]
            self.wfile.write(sent)
            hub.sent_bytes += len(sent)
            if self.cut is not None:
                self.wfile.flush()
                self.connection.close()

        def _start(self, asked: str | None, etag: str) -> int:
            match = re.fullmatch(r"bytes=(\d+)-", asked or "")
            if not match or not hub.ranges or self.headers.get("If-Range", etag) != etag:
                return 0
            return int(match.group(1))

        def log_message(self, *args: object) -> None:
            """Nothing is printed."""

    return Handler


CONTENTS = {
    "tiny-ear": {"config.json": b"{}", "weights.bin": bytes(range(256)) * 2000},
    "tiny-mind": {"mind.gguf": b"GGUF" * 5000},
    "tiny-voice": {"voice.onnx": b"onnx" * 3000, "voice.onnx.json": b'{"hz": 22050}'},
}


def make_model(model_id: str, purpose: str, engine: str, entry: str, *, pinned: bool = True) -> Model:
    files = tuple(
        ModelFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest() if pinned else None)
        for path, data in CONTENTS[model_id].items()
    )
    return Model(
        id=model_id,
        title=model_id.title(),
        purpose=purpose,  # type: ignore[arg-type]
        engine=engine,
        profiles=("cpu",),
        licence="MIT",
        about="For tests.",
        repository=f"somebody/{model_id}",
        revision="v1/first",
        entry=entry,
        files=files,
    )
