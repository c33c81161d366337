"""Downloads one file over HTTP: resumable, checked by hash, complete or not there.

Bytes go to `<name>.part` beside the target, with the server's entity tag in `<name>.part.etag`. An existing
part is continued with `Range` and `If-Range` (RFC 9110), so a server whose file has changed sends the whole
file instead. Only a file with the right hash gets its name. An interrupt or a lost connection leaves the part
for the next run; a wrong hash or a full disk leaves nothing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from cvi.errors import CviError

ATTEMPTS = 5
FIRST_PAUSE_S = 1.0
# After an attempt that brought this much, failures are counted from zero again.
PROGRESS_BYTES = 1 << 20
# Left free on the disk, so that a download never takes the last bytes from the rest of the system.
SPARE_BYTES = 64 << 20

_OTHER_FILE = "Try again; if it stays so, the hub's file has changed, or HF_ENDPOINT names a bad mirror."
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Download:
    """`size` in bytes and `sha256` may be unknown (None): then they are not checked."""

    url: str
    target: Path
    size: int | None = None
    sha256: str | None = None

    @property
    def shown(self) -> str:
        """The address without a user name and password."""
        return re.sub(r"(?<=//)[^/@]*@", "", self.url)

    @property
    def part(self) -> Path:
        """The unfinished file."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def etag(self) -> Path:
        """Where the entity tag of the unfinished file is kept."""
        return self.target.with_name(self.target.name + ".part.etag")


class _TryAgainError(Exception):
    """A failure that may not happen again; `wait_s` is the pause that the server asked for."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def open_client() -> httpx.Client:
    """An HTTP client that uses the proxy variables and follows redirects, as the hub's to its storage.

    `HF_TOKEN` is sent to the hub alone, not to what it redirects to. Raises CviError for proxy settings that
    cannot be used.
    """
    # A compressed body could neither be continued nor counted.
    headers = {"Accept-Encoding": "identity", "User-Agent": "cvi"}
    if token := os.environ.get("HF_TOKEN", "").strip():
        headers["Authorization"] = f"Bearer {token}"
    try:
        return httpx.Client(
            follow_redirects=True,
            trust_env=True,
            timeout=httpx.Timeout(30.0, connect=10.0),
            headers=headers,
        )
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        raise CviError(
            f"The proxy settings cannot be used: {error}.", "Correct HTTP_PROXY, HTTPS_PROXY and ALL_PROXY."
        ) from error


def check_space(folder: Path, needed_bytes: int) -> None:
    """Raise CviError unless the disk under `folder` can take `needed_bytes` more."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed_bytes + SPARE_BYTES:
        raise CviError(
            f"The disk with {folder} has {free / 1e9:.2f} GB free, and the download needs "
            f"{(needed_bytes + SPARE_BYTES) / 1e9:.2f} GB.",
            "Free some space, or set CVI_HOME to a folder on another disk.",
        )


def fetch(
    client: httpx.Client,
    download: Download,
    *,
    progress: Callable[[int], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Download one file and return its SHA-256.

    `progress` is called with the number of bytes on the disk, at the start (what an earlier run left) and
    after each block; it may go back to 0 where the server has another file now. Raises CviError; a
    KeyboardInterrupt leaves the part.
    """
    failures = 0
    clean_start = not download.part.exists()
    while True:
        before = _size(download.part)
        try:
            download.target.parent.mkdir(parents=True, exist_ok=True)
            sha256, resumed = _attempt(client, download, progress)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise _refused(download, str(error)) from error
        except (_TryAgainError, httpx.TransportError, httpx.DecodingError) as error:
            failures = 1 if _size(download.part) - before >= PROGRESS_BYTES else failures + 1
            if failures >= ATTEMPTS:
                raise _given_up(download, error) from error
            wait_s = error.wait_s if isinstance(error, _TryAgainError) else 0.0
            sleep(max(FIRST_PAUSE_S * 2 ** (failures - 1), min(wait_s, 60.0)))
            continue
        except OSError as error:
            raise _disk_failed(download, error) from error
        if download.sha256 is None or sha256 == download.sha256:
            _finish(download)
            return sha256
        _drop(download)
        if clean_start or not resumed:
            raise CviError(
                f"{download.shown} is not the file it should be: its SHA-256 is {sha256}, "
                f"expected {download.sha256}. Nothing of it was kept.",
                _OTHER_FILE,
            )
        # What an earlier run left may be damaged: download once more from the first byte.
        clean_start = True


def _attempt(client: httpx.Client, download: Download, progress: Callable[[int], None]) -> tuple[str, bool]:
    """One request. Returns the finished part's hash, and whether it continued an earlier part."""
    have = _size(download.part)
    if download.size is not None and have > download.size:
        _drop(download)
        have = 0
    if download.size is not None and have == download.size:
        progress(have)
        return _hash_part(download).hexdigest(), True
    with client.stream("GET", download.url, headers=_range(download, have)) as response:
        if response.status_code == 416:
            _drop(download)
            raise _TryAgainError("the server refused to continue the file")
        _check_status(download, response)
        start = _continues_at(response) if response.status_code == 206 else 0
        if start not in (0, have):
            _drop(download)
            raise _TryAgainError(f"the server continued at byte {start} instead of {have}")
        _remember_etag(download, response)
        digest = _hash_part(download) if start else hashlib.sha256()
        total = _receive(download, response, start, digest, progress)
    announced = _announced(response, start)
    expected = announced if announced is not None else download.size
    if expected is not None and total < expected:
        raise _TryAgainError(f"the connection ended after {total} of {expected} bytes")
    if download.size is not None and total != download.size:
        _drop(download)
        length = f"{total} bytes long" if total < download.size else "longer"
        raise CviError(
            f"{download.shown} is not the file it should be: it is {length}, expected {download.size} bytes. "
            "Nothing of it was kept.",
            _OTHER_FILE,
        )
    return digest.hexdigest(), start > 0


def _receive(
    download: Download,
    response: httpx.Response,
    start: int,
    digest: hashlib._Hash,
    progress: Callable[[int], None],
) -> int:
    """Write the body behind the first `start` bytes of the part; returns the part's length."""
    total = start
    progress(total)
    with download.part.open("ab" if start else "wb") as part:
        for block in response.iter_bytes():
            part.write(block)
            digest.update(block)
            total += len(block)
            if download.size is not None and total > download.size:
                break
            progress(total)
        part.flush()
        os.fsync(part.fileno())
    return total


def _range(download: Download, have: int) -> dict[str, str]:
    if not have:
        return {}
    try:
        etag = download.etag.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        etag = ""
    if etag:
        return {"Range": f"bytes={have}-", "If-Range": etag}
    # Without a tag only the hash shows that the server's file has changed.
    return {"Range": f"bytes={have}-"} if download.sha256 else {}


def _remember_etag(download: Download, response: httpx.Response) -> None:
    etag = response.headers.get("ETag", "")
    if etag.startswith('"') and etag.isascii():
        download.etag.write_text(etag, encoding="ascii")
    else:
        # A weak tag (W/...) does not promise equal bytes, and If-Range does not accept one.
        download.etag.unlink(missing_ok=True)


def _check_status(download: Download, response: httpx.Response) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    if status in _RETRIED:
        after = response.headers.get("Retry-After", "")
        raise _TryAgainError(f"the server answers {status}", float(after) if after.isdecimal() else 0.0)
    reason = f"{status} {response.reason_phrase}".strip()
    if status in (401, 403, 404, 410):
        raise CviError(
            f"{download.shown} is not there or not open to everyone: the server answers {reason}.",
            "Check HF_ENDPOINT; where terms must be accepted, do so on the hub and set HF_TOKEN; or get the "
            "file another way and register it with: cvi models add",
        )
    raise _refused(download, f"the server answers {reason}")


def _continues_at(response: httpx.Response) -> int:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match.group(1)) if match else -1


def _announced(response: httpx.Response, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    if "Content-Encoding" in response.headers or not length.isdecimal():
        return None
    return start + int(length)


def _hash_part(download: Download) -> hashlib._Hash:
    digest = hashlib.sha256()
    with download.part.open("rb") as part:
        while block := part.read(1 << 20):
            digest.update(block)
    return digest


def _finish(download: Download) -> None:
    download.part.replace(download.target)
    download.etag.unlink(missing_ok=True)
    folder = os.open(download.target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _drop(download: Download) -> None:
    download.part.unlink(missing_ok=True)
    download.etag.unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _refused(download: Download, reason: str) -> CviError:
    return CviError(f"{download.shown} cannot be downloaded: {reason}.", "Check HF_ENDPOINT.")


def _disk_failed(download: Download, error: OSError) -> CviError:
    if error.errno in _FULL:
        _drop(download)
        return CviError(
            f"The disk is full: {download.target.name} could not be written to {download.target.parent}, "
            "and nothing of it was kept.",
            "Free some space, or set CVI_HOME to a folder on another disk.",
        )
    return CviError(
        f"{download.target} cannot be written: {error.strerror or error}.",
        "Check that the folder may be written to, or set CVI_HOME to another.",
    )


def _given_up(download: Download, error: Exception) -> CviError:
    host = httpx.URL(download.url).host
    kept = " What has arrived is kept." if download.part.exists() else ""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return CviError(
            f"{host} cannot be reached ({str(error) or type(error).__name__}).{kept}",
            "Check the network, HTTPS_PROXY and HF_ENDPOINT, then run the same command again.",
        )
    return CviError(
        f"The download of {download.target.name} from {host} failed {ATTEMPTS} times: "
        f"{str(error) or type(error).__name__}.{kept}",
        "Run the same command again later; it goes on where it stopped.",
    )
