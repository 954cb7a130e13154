"""What the OpenAPI document says is what the server does: requests made up from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from minireason import Reasoner
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.server.serving import Served, until

schemathesis = pytest.importorskip("schemathesis", reason="it comes with the extra test-server")
checks = pytest.importorskip("schemathesis.checks")


@pytest.fixture(scope="module")
def scripted() -> Iterator[Served]:
    """A server whose replies are short and always the same."""
    backend = ScriptedBackend(ScriptedReply(thinking="1 and 1.", answer="It is 2."))
    served = Served([Reasoner(backend)])
    yield served
    served.stop()


@pytest.fixture(scope="module")
def document(scripted: Served) -> Any:
    return schemathesis.openapi.from_url(f"{scripted.url}openapi.json")


CHECKED = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
]

api = schemathesis.pytest.from_fixture("document")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@api.parametrize()
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_breaks_it(case: Any, scripted: Served) -> None:
    """Never a 500, no other status, media type or body than documented, and nothing left over."""
    case.call_and_validate(checks=checks.CHECKS.get_by_names(CHECKED))
    until(lambda: scripted.state.running == {})
