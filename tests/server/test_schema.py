"""What the OpenAPI document says is what the server does: requests made up from it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from minireason import Reasoner
from minireason.server import apis
from minireason.testing import ScriptedBackend, ScriptedReply
from tests.server.serving import WAIT_S, Served, until

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
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
]
OPERATIONS = [(operation.method, operation.path) for operation in apis.operations()]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_breaks_it(method: str, path: str, document: Any, scripted: Served) -> None:
    """Never a 500, no other status, media type or body than documented, and nothing left over."""

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(document[path][method].as_strategy())
    def try_one(case: Any) -> None:
        asked = checks.CHECKS.get_by_names(CHECKED)
        assert case.call_and_validate(checks=asked, timeout=WAIT_S).status_code != 500

    try_one()
    until(lambda: scripted.state.running == {})
