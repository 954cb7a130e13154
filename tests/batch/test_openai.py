"""Lines of OpenAI's batch API: what they mean, and what is written for them."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minireason import Message, Settings, UsageError
from minireason.batch.jobs import Defaults, Item, Job
from minireason.batch.lines import Line
from minireason.batch.local import Answered
from minireason.batch.openai import OpenAIForm
from minireason.batch.output import resume
from minireason.testing import ScriptedBackend
from tests.batch.helpers import RUN, Killed, read, run, write
from tests.wire.openai.reading import REPLIES, reply

DEFAULTS = Defaults(Settings(temperature=0.0), None, 7)
FORM = OpenAIForm()
USER = {"role": "user", "content": "Hello world!"}

DOCUMENTED = (
    b'{"custom_id": "request-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model":'
    b' "gpt-3.5-turbo-0125", "messages": [{"role": "system", "content": "You are a helpful'
    b' assistant."},{"role": "user", "content": "Hello world!"}],"max_tokens": 1000}}\n'
)
"""A line as OpenAI's documentation shows it."""


def line(**value: object) -> Line:
    return Line(3, json.dumps({"custom_id": "a", **value}).encode())


def chat(url: str | None = None, **body: object) -> Item:
    where = {} if url is None else {"url": url}
    value = line(**where, body={"messages": [USER], **body})
    return FORM.item(value, DEFAULTS)


def test_a_line_of_their_documentation() -> None:
    item = FORM.item(Line(1, DOCUMENTED), DEFAULTS)
    assert (item.number, item.id, item.model) == (1, "request-1", "gpt-3.5-turbo-0125")
    assert item.messages == (
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Hello world!"},
    )
    assert item.settings == Settings(temperature=0.0, max_tokens=1000)
    assert item.further == {}


@pytest.mark.parametrize("url", [None, "/v1/chat/completions", "/chat/completions"])
def test_who_is_told_the_url_elsewhere_leaves_it_out(url: str | None) -> None:
    item = chat(url, reasoning_effort="low", stop="END", seed=-1, temperature=None)
    assert item.settings == Settings(temperature=0.0, effort="low", stop=["END"])


def test_a_system_prompt_of_the_command_is_for_lines_without_one() -> None:
    defaults = Defaults(Settings(), "Be brief.", 7)
    own = [{"role": "developer", "content": "Mine."}, USER]
    first, second = (
        FORM.item(line(body={"messages": messages}), defaults) for messages in ([USER], own)
    )
    assert first.messages[0] == {"role": "system", "content": "Be brief."}
    assert second.messages[0] == {"role": "system", "content": "Mine."}


def test_a_response_is_asked_too() -> None:
    body = {"input": "Hi", "instructions": "Be brief.", "max_output_tokens": 9}
    item = FORM.item(line(url="/v1/responses", body=body), DEFAULTS)
    assert [message["role"] for message in item.messages] == ["system", "user"]
    assert item.settings.max_tokens == 9


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"custom_id": None}, "its custom_id is no text and no whole number"),
        ({"custom_id": "\ud800"}, "text that is not valid Unicode"),
        ({"method": "GET"}, "its method is 'GET'; only POST"),
        ({"url": "/v1/embeddings"}, "its url is '/v1/embeddings'; a batch knows /v1/chat/compl"),
        ({"url": 3}, "its url is 3; "),
        ({"url": ["/v1/responses"]}, "its url is "),
        ({"body": "hi"}, 'its "body" is no object'),
        ({"body": {}}, "messages: Field required"),
        ({"body": {"messages": [{"role": "user", "content": "\ud800"}]}}, "not valid Unicode"),
        ({"body": {"messages": [USER], "temperature": "hot"}}, "temperature: Input should be"),
        ({"body": {"messages": [USER], "x": [0] * 60_000}}, "more than 50,000 values"),
        ({"body": {"messages": [USER], "n": 2}}, "n: a batch writes one reply for a line"),
        ({"body": {"messages": [USER], "stream": True}}, "stream: a batch writes whole replies"),
        ({"body": {"messages": [USER], "confidences": True}}, "confidences: a batch writes none"),
        ({"body": {"messages": [USER], "samples": 3}}, "it asks for a vote"),
        ({"body": {"messages": [USER], "tools": [{}]}}, "not supported yet; ask without them.$"),
        ({"body": {"messages": [USER], "guided_grammar": "x"}}, "grammars cannot be followed"),
        (
            {"url": "/v1/responses", "body": {"input": "Hi", "previous_response_id": "resp_1"}},
            "previous_response_id: nothing is kept between requests; send the whole conversation",
        ),
    ],
)
def test_a_broken_line_is_refused_with_the_reason(value: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        FORM.item(line(**{"body": {"messages": [USER]}, **value}), DEFAULTS)


def test_without_an_id_or_an_object_a_line_is_broken() -> None:
    for raw, problem in (
        (b'{"body": {}}', 'it has no "custom_id"'),
        (b"{broken", "it is no JSON"),
        (None, "it is longer than 64 MiB"),
    ):
        with pytest.raises(UsageError, match=problem):
            FORM.item(Line(1, raw), DEFAULTS)


def written(item: Item, answered: Any) -> dict[str, Any]:
    whole = FORM.written(Answered(Job(item, 0, item.settings), answered), numbered=False)
    assert whole.keys() == {"id", "custom_id", "response", "error"}
    assert str(whole["id"]).startswith("batch_req_")
    assert (whole["custom_id"], whole["error"]) == ("a", None)
    told = json.loads(json.dumps(whole))
    assert told["response"].keys() == {"status_code", "request_id", "body"}
    assert told["response"]["status_code"] == 200
    return told  # type: ignore[no-any-return]


def test_a_reply_is_the_completion_that_openais_package_reads() -> None:
    types = pytest.importorskip("openai.types.chat")
    told = written(chat(), reply("Hm.", "Two.", finish_reason="length"))
    body = types.ChatCompletion.model_validate(told["response"]["body"], strict=True)
    (choice,) = body.choices
    assert (choice.message.content, choice.message.reasoning_content) == ("Two.", "Hm.")
    assert (choice.finish_reason, body.model) == ("length", "tiny")
    assert body.usage.completion_tokens_details.reasoning_tokens > 0
    assert body.id.startswith("chatcmpl-")


def test_a_response_is_the_one_that_openais_package_reads() -> None:
    types = pytest.importorskip("openai.types.responses")
    item = FORM.item(line(url="/v1/responses", body={"input": "Hi"}), DEFAULTS)
    told = written(item, reply("Hm.", "Two."))
    body = types.Response.model_validate(told["response"]["body"])
    assert (body.output_text, body.status) == ("Two.", "completed")
    assert body.id.startswith("resp_")


@given(answered=REPLIES, responses=st.booleans())
def test_what_is_written_is_noted_again(answered: Any, responses: bool) -> None:
    chats, response = chat(), line(url="/v1/responses", body={"input": "Hi"})
    item = FORM.item(response, DEFAULTS) if responses else chats
    noted = FORM.noted(written(item, answered))
    assert noted is not None
    assert (noted.id, noted.sample, noted.finish_reason) == ("a", 0, answered.finish_reason)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"custom_id": "a"},
        {"custom_id": [], "response": {"body": {}}},
        {"custom_id": "a", "response": None, "error": {"code": "x"}},
        {"custom_id": "a", "response": {"body": "x"}},
        {"id": "a", "reply": {}},
    ],
)
def test_what_is_no_reply_is_noted_as_none(value: dict[str, Any]) -> None:
    assert FORM.noted(value) is None


def test_an_item_goes_to_other_machines() -> None:
    item = pickle.loads(pickle.dumps(chat(max_tokens=9)))
    assert item.settings.max_tokens == 9
    assert written(item, reply("Hm.", "Two."))["response"]["body"]["model"] == "tiny"


def echo(messages: Sequence[Message]) -> str:
    return f"= {messages[-1]['content'].split()[-1]}"


@settings(max_examples=30)
@given(data=st.data())
def test_killed_anywhere_every_id_is_once_in_the_output(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, count = tmp_path_factory.mktemp("batch"), data.draw(st.integers(0, 12))
    asked = [
        {"custom_id": f"q{n}", "body": {"messages": [{"role": "user", "content": f"What is {n}"}]}}
        for n in range(count)
    ]
    source, out = write(folder / "in.jsonl", asked), folder / "out.jsonl"
    for after in data.draw(st.lists(st.integers(0, 12), max_size=4)):
        in_order = data.draw(st.booleans())
        with suppress(Killed):
            run(source, out, ScriptedBackend(echo), in_order=in_order, killed_after=after)
        whole = out.read_bytes()
        out.write_bytes(whole[: len(whole) * data.draw(st.integers(0, 1000)) // 1000])
    assert run(source, out, ScriptedBackend(echo)) == {}
    told: list[Any] = read(out)
    assert len(told) == count
    answers = {
        line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"]
        for line in told
    }
    assert answers == {f"q{n}": f"= {n}" for n in range(count)}


def test_an_output_of_the_other_form_is_another_runs(tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.jsonl", [json.loads(DOCUMENTED)]), tmp_path / "out.jsonl"
    run(source, out, ScriptedBackend("Hi!"))
    with pytest.raises(UsageError, match='its form is "openai", this one\'s "minireason"'):
        resume(out, RUN)
