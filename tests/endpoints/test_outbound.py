"""Calls to URLs that strangers name: what is refused, what is allowed, and which address is connected to."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cvi.endpoints.outbound import (
    OutboundClient,
    OutboundError,
    OutboundPolicy,
    RefusedAddressError,
    _trusts,
)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://localhost:3000/",
        "http://foo.localhost/",
        "http://127.1/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://0.0.0.0/",
        "http://10.1.2.3/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://100.64.0.1/",
        "http://[::1]/",
        "http://[fe80::1%25eth0]/",
        "http://[fc00::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://224.0.0.1/",
        "ftp://example.org/",
        "http://user:pw@example.org/",
        "http:///nothing",
        "http://exa mple.org/",
        "http://example.org:99999/",
        "javascript:alert(1)",
    ],
)
async def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(RefusedAddressError):
        await OutboundPolicy().resolve(url)


async def test_addresses_that_are_allowed() -> None:
    assert (await OutboundPolicy().resolve("https://93.184.216.34/x")).addresses == ("93.184.216.34",)
    assert (await OutboundPolicy(("127.0.0.0/8",)).resolve("http://127.0.0.1:9/")).host == "127.0.0.1"
    assert "127.0.0.1" in (await OutboundPolicy(("localhost",)).resolve("http://localhost:9/")).addresses
    assert (await OutboundPolicy(("*",)).resolve("http://10.0.0.1/")).host == "10.0.0.1"


class FixedNames(OutboundPolicy):
    """A policy whose resolver gives the next of `answers` for each question."""

    def __init__(self, *answers: list[str], allowed: tuple[str, ...] = ()) -> None:
        super().__init__(allowed)
        self.answers = list(answers)

    async def _addresses_of(self, host: str, port: int) -> list:
        return [ipaddress.ip_address(text) for text in self.answers.pop(0)]


@asynccontextmanager
async def answering(response: bytes) -> AsyncIterator[int]:
    """A server on loopback that answers every request with `response`; yields its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_a_name_with_a_private_address_among_others_is_refused() -> None:
    with pytest.raises(RefusedAddressError):
        await FixedNames(["93.184.216.34", "127.0.0.1"]).resolve("http://innocent.example/")


async def test_the_checked_address_is_called_and_the_name_not_resolved_again() -> None:
    policy = FixedNames(["127.0.0.1"], allowed=("127.0.0.1",))
    client = OutboundClient(policy)
    async with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi") as port:
        answer = await client.post(f"http://rebind.example:{port}/", b"{}", {})
    await client.close()
    assert answer.good and answer.body == b"hi" and policy.answers == []


async def test_redirects_are_checked_too() -> None:
    moved = b"HTTP/1.1 307 X\r\nlocation: http://10.0.0.1/inner\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    client = OutboundClient(OutboundPolicy(("127.0.0.1",)))
    async with answering(moved) as port:
        with pytest.raises(RefusedAddressError, match=r"10\.0\.0\.1"):
            await client.post(f"http://127.0.0.1:{port}/", b"{}", {})
    await client.close()


@asynccontextmanager
async def recording() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server on loopback that answers "hi"; yields its port and the heads of what it was sent."""
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).lower())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], heads
    server.close()


def moved(status: int, location: str) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    return head.encode()


async def test_another_origin_gets_no_credential_whatever_its_header_is_called() -> None:
    given = {"X-Own-Key": "SECRET", "authorization": "SECRET", "cookie": "SECRET", "accept": "text/plain"}
    client = OutboundClient(OutboundPolicy(("127.0.0.1",)))
    async with recording() as (other, heads):
        for method, status in (("GET", 302), ("GET", 308), ("DELETE", 307)):
            async with answering(moved(status, f"http://127.0.0.1:{other}/there")) as port:
                url = f"http://127.0.0.1:{port}/"
                answer = await client.request(method, url, given, b"", most_bytes=99, within_s=5)
            assert answer.body == b"hi" and b"secret" not in heads[-1] and b"text/plain" in heads[-1]
        assert len(heads) == 3
        async with answering(moved(307, f"http://127.0.0.1:{other}/there")) as port:
            with pytest.raises(OutboundError, match="gets no request's body"):
                body = b"client_secret=SECRET"
                url = f"http://127.0.0.1:{port}/"
                await client.request("POST", url, given, body, most_bytes=99, within_s=5)
        assert len(heads) == 3, "nobody else was called"
    await client.close()


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("http://a.example/other", True),
        ("https://a.example/", True),
        ("https://a.example:8443/", False),
        ("http://a.example:8080/", False),
        ("http://b.example/", False),
        ("http://a.example.b.example/", False),
        ("http://a.example@b.example/", False),
    ],
)
def test_what_was_meant_for_one_origin_is_sent_to_no_other(target: str, kept: bool) -> None:
    assert _trusts("http://a.example/x", target) is kept
    assert not _trusts("https://a.example/x", "http://a.example/x"), "what was encrypted stays so"


async def test_a_redirect_to_what_is_no_address_is_an_error_of_the_call(tmp_path: Path) -> None:
    client = OutboundClient(OutboundPolicy(("127.0.0.1",)))
    async with answering(moved(307, "http://[")) as port:
        url = f"http://127.0.0.1:{port}/"
        for call in (
            client.post(url, b"{}", {}),
            client.request("GET", url, {}, b"", most_bytes=9, within_s=5),
            client.fetch(url, tmp_path / "film", 9),
        ):
            with pytest.raises(OutboundError, match="no address"):
                await call
    await client.close()


async def test_a_fetched_file_is_whole_or_not_there(tmp_path: Path) -> None:
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfilm"
    cut = whole.replace(b"length: 4", b"length: 9")
    client = OutboundClient(OutboundPolicy(("127.0.0.1",)))
    async with answering(whole) as port:
        await client.fetch(f"http://127.0.0.1:{port}/", tmp_path / "film", 4)
        with pytest.raises(OutboundError, match="larger than 3"):
            await client.fetch(f"http://127.0.0.1:{port}/", tmp_path / "large", 3)
    async with answering(cut) as port:
        with pytest.raises(OutboundError):
            await client.fetch(f"http://127.0.0.1:{port}/", tmp_path / "cut", 100)
    await client.close()
    assert [path.name for path in tmp_path.iterdir()] == ["film"] and (tmp_path / "film").read_bytes() == b"film"


async def test_a_call_that_nobody_answers_raises() -> None:
    client = OutboundClient(OutboundPolicy(("*",)), timeout_s=2)
    with pytest.raises(OutboundError):
        await client.post("http://127.0.0.1:1/", b"{}", {})
    await client.close()
