"""`cvi serve` and `cvi keys` as a person runs them."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from cvi.errors import UsageError
from cvi.server.certificate import certificate
from cvi.server.ice_servers import parse_ice_servers

CVI = (sys.executable, "-c", "from cvi.cli.app import main; main()")


@pytest.fixture
def port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


def cvi(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CVI_HOME": str(home)}
    return subprocess.run([*CVI, *words], capture_output=True, text=True, env=environment, timeout=60)


def start(home: Path, port: int, *words: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """The server and the links it prints."""
    command = [*CVI, "serve", "--port", str(port), "--profile", "embedded", *words]
    environment = {**os.environ, "CVI_HOME": str(home)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(4)]
    return process, dict(line.split(maxsplit=1) for line in lines)


def test_it_prints_its_links_and_stops_on_sigterm(home: Path, port: int) -> None:
    server, links = start(home, port)
    assert links["API"].strip() == f"http://127.0.0.1:{port}/v2" and "none needed" in links["Key"]
    assert httpx.get(links["API"].strip() + "/faces").status_code == 200
    second = cvi(home, "serve", "--port", str(port + 1))
    assert second.returncode == 1 and "Another server uses the data folder" in second.stderr
    server.send_signal(signal.SIGTERM)
    assert server.wait(20) == 0
    taken = socket.create_server(("127.0.0.1", port))
    third = cvi(home, "serve", "--port", str(port))
    taken.close()
    assert third.returncode == 1 and "cannot be listened on" in third.stderr
    assert len(third.stderr.strip().splitlines()) == 2


def test_reachable_from_elsewhere_it_makes_a_key_and_shows_it_once(home: Path, port: int) -> None:
    for shown in (True, False):
        server, links = start(home, port, "--host", "0.0.0.0")
        key = links["Key"].split()[0]
        assert key.startswith("cvi_") is shown
        if shown:
            answer = httpx.get(f"http://127.0.0.1:{port}/v2/faces", headers={"x-api-key": key})
            assert answer.status_code == 200
            assert httpx.get(f"http://127.0.0.1:{port}/v2/faces").status_code == 401
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
        assert server.stderr is not None and key not in server.stderr.read()


def test_keys_are_made_listed_and_revoked(home: Path) -> None:
    text = cvi(home, "keys", "create", "phone").stdout.splitlines()[0]
    listed = cvi(home, "keys", "list").stdout
    assert "phone" in listed and "valid" in listed and text not in listed
    id = listed.splitlines()[1].split()[0]
    assert cvi(home, "keys", "revoke", id).returncode == 0
    assert "revoked" in cvi(home, "keys", "list").stdout
    wrong = cvi(home, "keys", "revoke", "knothing")
    assert wrong.returncode == 2 and "There is no key" in wrong.stderr


def test_a_certificate_holds_its_names_and_is_reused(home: Path) -> None:
    cert, key = certificate(["talk.example.org", "10.0.0.5"])
    made = cert.read_bytes()
    assert certificate(["talk.example.org"])[0].read_bytes() == made
    ssl.create_default_context().load_cert_chain(cert, key)
    names = ssl._ssl._test_decode_cert(str(cert))["subjectAltName"]
    assert {("DNS", "talk.example.org"), ("IP Address", "10.0.0.5"), ("DNS", "localhost")} <= set(names)
    assert key.stat().st_mode & 0o077 == 0
    assert certificate(["other.example.org"])[0].read_bytes() != made


def test_ice_servers_are_parsed() -> None:
    assert parse_ice_servers(["stun:s.org:3478"]) == ({"urls": ["stun:s.org:3478"]},)
    turn = {"urls": ["turn:t.org:3478?transport=tcp"], "username": "u", "credential": "p:@w"}
    assert parse_ice_servers(["turn:u:p:@w@t.org:3478?transport=tcp"]) == (turn,)
    with pytest.raises(UsageError, match="no STUN or TURN"):
        parse_ice_servers(["http://x.org"])
