"""No request causes a server error: Schemathesis over our own OpenAPI document.

501 is an honest answer of ours (the contract has it, this version does not) and no fault. The same
examples are tried at each run; CVI_SCHEMATHESIS_EXAMPLES tries more.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from cvi.server.app import create_app
from cvi.server.settings import ServerSettings

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
from hypothesis import HealthCheck, Phase, settings  # noqa: E402
from schemathesis.python import asgi  # noqa: E402

EXAMPLES = int(os.environ.get("CVI_SCHEMATHESIS_EXAMPLES", "8"))
# One worker a conversation is what is served, and not what is asked here.
BROKEN = ("/bin/false",)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CVI_HOME", str(tmp_path_factory.mktemp("home")))
        changed = {"worker": BROKEN, "profile": "embedded", "max_conversations": 50}
        app = create_app(ServerSettings(**changed, rate_per_minute=10**7, joins_per_minute=10**7))
        loaded = schemathesis.openapi.from_asgi("/openapi.json", app)
        found = [result.ok() for result in loaded.get_all_operations()]
        with asgi.get_client(app) as client:  # keeps the application started
            yield found, client


def test_every_route_is_in_the_document(served: tuple) -> None:
    operations, _ = served
    there = {(operation.method.upper(), operation.path) for operation in operations}
    for route in (
        ("POST", "/v2/conversations"),
        ("PATCH", "/v2/pals/{persona_id}"),
        ("DELETE", "/v2/faces/{replica_id}"),
        ("POST", "/c/{conversation_id}/offer"),
        ("GET", "/readyz"),
    ):
        assert route in there
    assert len(there) > 70


def test_no_request_causes_a_server_error(served: tuple, subtests: pytest.Subtests) -> None:
    operations, client = served
    seen: Counter[int] = Counter()
    for operation in operations:
        with subtests.test(f"{operation.method.upper()} {operation.path}"):

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                phases=(Phase.explicit, Phase.generate),
                suppress_health_check=list(HealthCheck),
            )
            @schemathesis_given(operation)
            def sent(case) -> None:
                answer = case.call(session=client, headers={"host": "127.0.0.1"})
                seen[answer.status_code] += 1
                assert answer.status_code < 500 or answer.status_code == 501, answer.text
                assert "Traceback" not in answer.text

            sent()
    assert seen[200] > len(operations) and seen[401] < sum(seen.values()) / 5, seen


def schemathesis_given(operation):
    from hypothesis import given

    return given(case=operation.as_strategy())
