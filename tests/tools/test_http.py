"""Tools behind a real HTTP server on the loopback, whose answers are what servers do."""

import asyncio
import base64
import datetime
import hashlib
import hmac
import json
import ssl
import time
from contextlib import asynccontextmanager

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cvi.client.client import verify
from cvi.endpoints.outbound import OutboundClient, OutboundPolicy
from cvi.errors import UsageError
from cvi.persona.policy import ToolApi
from cvi.tools.base import ToolCall, ToolError
from cvi.tools.http import HttpDelivery

WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Server:
    """Answers every request with `reply` (bytes of a whole response) after `delay_s`."""

    def __init__(self, *replies, delay_s=0.0):
        self.replies, self.delay_s = list(replies), delay_s
        self.requests = []

    @asynccontextmanager
    async def open(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
            fields = {name.lower(): value for name, value in fields.items()}
            body = await reader.readexactly(int(fields.get("content-length", 0)))
            self.requests.append((lines[0].split()[0], lines[0].split()[1], fields, body))
            await asyncio.sleep(self.delay_s)
            writer.write(self.replies[min(len(self.requests), len(self.replies)) - 1])
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def reply(body, status="200 OK", kind="application/json", **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n{more}\r\n".encode() + data


def call(**arguments):
    return ToolCall("call_1", "weather", arguments, "c1-call_1", "c1")


async def carry_out(server, the_call=None, allowed=("127.0.0.1",), **api):
    client = OutboundClient(OutboundPolicy(allowed))
    url = server.url + api.pop("path", "/weather")
    try:
        return await HttpDelivery(ToolApi(url=url, **api), client).call(the_call or call(city="Oslo"))
    finally:
        await client.close()


async def test_arguments_go_as_json_and_the_answer_comes_back():
    async with Server(reply({"degrees": 7})).open() as server:
        answer = await carry_out(server)
    assert answer.value == {"degrees": 7}
    method, path, fields, body = server.requests[0]
    assert (method, path, json.loads(body)) == ("POST", "/weather", {"city": "Oslo"})
    assert fields["idempotency-key"] == "c1-call_1" and fields["content-type"] == "application/json"


async def test_templates_in_path_query_and_body():
    async with Server(reply("ok")).open() as server:
        await carry_out(
            server,
            call(city="Oslo / north", days=3),
            path="/of/{city}?d={days}",
            query_params={"unit": "c", "n": "{days}"},
            body_template={"where": {"name": "{city}"}, "days": "{days}", "text": "for {days} days"},
        )
    _, path, _, body = server.requests[0]
    assert path == "/of/Oslo%20%2F%20north?d=3&unit=c&n=3"
    assert json.loads(body) == {"where": {"name": "Oslo / north"}, "days": 3, "text": "for 3 days"}


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        ("..", None),
        (".", None),
        ("%2e%2e", "/of/%252e%252e/orders"),
        ("../x", "/of/..%2Fx/orders"),
        ("a?b#c", "/of/a%3Fb%23c/orders"),
        ("\ud800", "/of/%EF%BF%BD/orders"),
    ],
)
async def test_no_argument_leads_to_another_folder_or_breaks_the_call(value, outcome):
    async with Server(reply("ok")).open() as server:
        asked = carry_out(server, call(id=value), path="/of/{id}/orders", body_template="of {id}")
        if outcome is None:
            with pytest.raises(ToolError, match="cannot be part of the address"):
                await asked
        else:
            await asked
    assert [request[1] for request in server.requests] == ([] if outcome is None else [outcome])


async def test_a_header_that_http_cannot_carry_is_one_clear_message():
    async with Server(reply("ok")).open() as server:
        for wrong in ({"x-any": "é"}, {"x-any": "a\nb"}, {"x any": "a"}):
            with pytest.raises(ToolError, match="could not be called"):
                await carry_out(server, call(), headers=wrong)


async def test_a_get_has_its_arguments_in_the_query():
    async with Server(reply([1])).open() as server:
        await carry_out(server, call(city="São Paulo", n=2), method="GET")
    assert server.requests[0][:2] == ("GET", "/weather?city=S%C3%A3o+Paulo&n=2")


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "bearer", "token": "t0"}, "authorization", "Bearer t0"),
        ({"type": "basic", "username": "u", "password": "p"}, "authorization", "Basic dTpw"),
        ({"type": "api_key", "name": "X-Key", "value": "v"}, "x-key", "v"),
    ],
)
async def test_credentials(auth, header, value):
    async with Server(reply({})).open() as server:
        await carry_out(server, auth=auth)
    assert server.requests[0][2][header] == value


async def test_a_key_in_the_query():
    async with Server(reply({})).open() as server:
        await carry_out(server, auth={"type": "api_key", "name": "key", "value": "v w", "location": "query"})
    assert server.requests[0][1] == "/weather?key=v+w"


async def test_a_secret_of_the_environment(monkeypatch):
    monkeypatch.setenv("WEATHER_TOKEN", "t1")
    async with Server(reply({})).open() as server:
        await carry_out(server, auth={"type": "bearer", "token": "${WEATHER_TOKEN}"})
        monkeypatch.delenv("WEATHER_TOKEN")
        with pytest.raises(UsageError, match="WEATHER_TOKEN"):
            await carry_out(server, auth={"type": "bearer", "token": "${WEATHER_TOKEN}"})
    assert server.requests[0][2]["authorization"] == "Bearer t1"


async def test_a_signed_envelope():
    async with Server(reply({})).open() as server:
        await carry_out(server, auth={"type": "hmac", "secret": "s3cret"})
    _, _, fields, body = server.requests[0]
    assert json.loads(body)["properties"] == {
        "tool_call_id": "call_1", "name": "weather", "arguments": {"city": "Oslo"}
    }
    signed = f"{fields['webhook-id']}.{fields['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(b"s3cret", signed, hashlib.sha256).digest()).decode()
    assert fields["webhook-signature"] == f"v1,{wanted}"


async def test_client_credentials_are_fetched_once():
    granted = reply({"access_token": "abc", "expires_in": 3600})
    async with Server(granted, reply({"n": 1})).open() as server:
        client = OutboundClient(OutboundPolicy(("127.0.0.1",)))
        auth = {
            "type": "oauth2_client_credentials", "token_url": f"{server.url}/token", "client_id": "me", "client_secret": "s"
        }
        delivery = HttpDelivery(ToolApi(url=f"{server.url}/weather", auth=auth), client)
        await delivery.call(call())
        await delivery.call(call())
        await client.close()
    assert [path for _, path, _, _ in server.requests] == ["/token", "/weather", "/weather"]
    assert server.requests[2][2]["authorization"] == "Bearer abc"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (reply({"error": "no such city"}, status="404 Not Found"), "status 404.*no such city"),
        (reply(b"\xff\xfe\x00\x01" * 50, kind="image/png"), "no text"),
        (reply(b"a\0b"), "no text"),
        (reply(b"x" * 5_000_000), "larger than 64 kB"),
        (b"not http at all\r\n\r\n", "could not be called"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{", "could not be called"),
        (b"", "could not be called"),
        (reply(b"", status="302 Found", location="http://169.254.169.254/"), "status 302"),
        (reply(b"", status="307 Temporary Redirect", location="http://169.254.169.254/"), "another host"),
    ],
)
async def test_bad_answers_are_one_clear_message(answer, message):
    async with Server(answer).open() as server:
        with pytest.raises(ToolError, match=message):
            await carry_out(server)


async def test_a_slow_server_is_given_up():
    async with Server(reply({}), delay_s=5.0).open() as server:
        with pytest.raises(ToolError, match=r"within 0\.2 s"):
            await carry_out(server, timeout=0.2)


async def test_a_server_that_is_down():
    async with Server(reply({})).open() as server:
        pass
    with pytest.raises(ToolError, match="could not be called"):
        await carry_out(server)


async def test_private_addresses_are_refused():
    async with Server(reply({})).open() as server:
        with pytest.raises(ToolError, match="private network"):
            await carry_out(server, allowed=())
    assert not server.requests


async def test_text_and_nothing_are_answers_too():
    async with Server(reply(b"it rains", kind="text/plain"), reply(b"", status="204 No Content")).open() as server:
        assert (await carry_out(server)).value == "it rains"
        assert (await carry_out(server)).value == "done"


async def test_a_signed_call_over_https_to_a_certificate_that_is_trusted(tmp_path, monkeypatch):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "both.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    seen = []

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        pairs = (line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers["content-length"]))
        seen.append(verify(WEBHOOK_SECRET, headers, body, time.time()))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n\"done\"")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "localhost", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}/hook"
    api = ToolApi(url=url, auth={"type": "hmac", "secret": WEBHOOK_SECRET})

    async def call():
        client = OutboundClient(OutboundPolicy(("localhost",)))
        try:
            return await HttpDelivery(api, client).call(ToolCall("call_1", "hook", {"a": 1}, "key"))
        finally:
            await client.close()

    with pytest.raises(ToolError):
        await call()
    monkeypatch.setattr("certifi.where", lambda: str(pem))
    assert (await call()).value == "done" and seen == ["call_1"]
    server.close()
