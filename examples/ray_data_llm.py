"""Ask a server from Ray Data: JSON lines in and out, a thinking budget, many requests at a time.

`python examples/ray_data_llm.py in.jsonl out.jsonl --url http://127.0.0.1:8181/v1 --budget 200`;
needs `pip install 'ray[data]' aiohttp pydantic`. The server may be minireason's or vLLM's, which
have the same field for the budget.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

Row = dict[str, Any]


def request_of(model: str, budget: int) -> Callable[[Row], Row]:
    """What makes the request out of a line of the input."""

    def payload(row: Row) -> Row:
        return {
            "payload": {
                "model": model,
                "messages": [{"role": "user", "content": row["question"]}],
                "thinking_token_budget": budget,
                "temperature": 0,
            }
        }

    return payload


def reply_of(row: Row) -> Row:
    """A line of the output; where the server refuses a request, why."""
    response = row["http_response"]
    message = response["choices"][0]["message"] if response.get("choices") else {}
    return {
        "id": row["id"],
        "thinking": message.get("reasoning_content") or message.get("reasoning"),
        "answer": message.get("content"),
        "error": json.dumps(response["error"]) if response.get("error") else None,
    }


def patient() -> Any:
    """A session without a time limit: a long thought takes longer than aiohttp's five minutes."""
    import aiohttp

    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))


def run(options: argparse.Namespace) -> int:
    """Ask all of them; how many replies there are."""
    import ray
    from ray.data.llm import HttpRequestProcessorConfig, build_processor

    key = os.environ.get("MINIREASON_API_KEY")
    config = HttpRequestProcessorConfig(
        url=f"{options.url.rstrip('/')}/chat/completions",
        headers={"Authorization": f"Bearer {key}"} if key else None,
        session_factory=patient,
        max_retries=3,
        batch_size=1,  # the requests of one batch are sent one after another
        concurrency=(options.workers, options.workers),
        http_request_stage={"num_cpus": 0.1},
    )
    processor = build_processor(
        config, preprocess=request_of(options.model, options.budget), postprocess=reply_of
    )
    questions = ray.data.read_json(options.source).repartition(target_num_rows_per_block=16)
    count = 0
    with open(options.out, "w", encoding="utf-8") as out:
        for row in processor(questions).iter_rows():
            out.write(json.dumps(row) + "\n")
            count += 1
    return count


def main() -> None:
    """Read the options, and say how many replies there are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("out")
    parser.add_argument("--url", default="http://127.0.0.1:8181/v1")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--budget", type=int, default=200, help="tokens of each thought")
    parser.add_argument("--workers", type=int, default=4, help="each with 4 requests at a time")
    options = parser.parse_args()
    if not all(map(find_spec, ("ray", "pandas", "pyarrow", "aiohttp", "pydantic"))):
        print("Ray Data is not installed; run: pip install 'ray[data]' aiohttp pydantic")
        return
    print(f"{run(options)} replies in {options.out}")


if __name__ == "__main__":
    main()
