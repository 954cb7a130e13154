"""What the OpenAPI document says is what the server does: requests made up from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from minireason import Reasoner
from minireason.server import apis, openapi
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.server.serving import Served, until

OPERATIONS = apis.operations()

CHECKED = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
]


@pytest.fixture(scope="module")
def scripted() -> Iterator[Served]:
    """A server whose replies are short and always the same."""
    backend = ScriptedBackend(ScriptedReply(thinking="1 and 1.", answer="It is 2."))
    served = Served([Reasoner(backend)])
    yield served
    served.stop()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", range(len(OPERATIONS)), ids=lambda n: OPERATIONS[n].path)
def test_no_request_breaks_it(number: int, scripted: Served) -> None:
    """Never a 500, no other status, media type or body than documented, and nothing left over."""
    schemathesis = pytest.importorskip("schemathesis", reason="it comes with `test-server`")
    checks = pytest.importorskip("schemathesis.checks")
    described = OPERATIONS[number]
    document = schemathesis.openapi.from_dict(openapi.document(OPERATIONS))
    operation = document[described.path][described.method.upper()]
    wanted = checks.CHECKS.get_by_names(CHECKED)
    url = scripted.url.rstrip("/")

    @given(case=operation.as_strategy())
    @settings(
        max_examples=40,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def made_up(case: Any) -> None:
        case.call_and_validate(base_url=url, checks=wanted)

    made_up()
    until(lambda: scripted.state.running == {})


STREAMED = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "?"}]},
    "/v1/completions": {"prompt": "?"},
    "/v1/responses": {"input": "?"},
    "/v1/messages": {"messages": [{"role": "user", "content": "?"}], "max_tokens": 9},
    "/api/chat": {"messages": [{"role": "user", "content": "?"}]},
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", STREAMED)
def test_a_stream_is_what_the_document_says(path: str, scripted: Served) -> None:
    schemathesis = pytest.importorskip("schemathesis", reason="it comes with `test-server`")
    checks = pytest.importorskip("schemathesis.checks")
    document = schemathesis.openapi.from_dict(openapi.document(OPERATIONS))
    with scripted.client() as client:
        model = client.get("/v1/models").json()["data"][0]["id"]
    body = {**STREAMED[path], "model": model, "stream": True}
    case = document[path]["POST"].Case(body=body, media_type="application/json")
    wanted = checks.CHECKS.get_by_names(CHECKED)
    answer = case.call_and_validate(base_url=scripted.url.rstrip("/"), checks=wanted)
    assert answer.status_code == 200
