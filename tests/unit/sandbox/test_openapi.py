import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from ingestor.sandbox import Bucket
from ingestor.sandbox.openapi import describe

PLENTY = Bucket(100_000, 1)


def test_it_is_of_openapi_3_1_and_describes_the_three_endpoints():
    description = describe("http://here")
    assert description["openapi"].startswith("3.1.")
    operations = {(path, method) for path, item in description["paths"].items() for method in item} - {
        (path, "parameters") for path in description["paths"]
    }
    assert operations == {("/v1/files", "post"), ("/v1/files/{id}", "get"), ("/v1/files/{id}", "delete")}
    json.dumps(description)


def test_every_reference_in_it_leads_somewhere():
    description = describe("http://here")

    def references(value):
        if isinstance(value, dict):
            yield from ([value["$ref"]] if "$ref" in value else [])
            value = list(value.values())
        if isinstance(value, list):
            for inner in value:
                yield from references(inner)

    found = set(references(description))
    assert found == {"#/components/schemas/" + name for name in description["components"]["schemas"]}


REFUSALS_OF_ANY_CALL = ["http_500", "http_502", "http_503", "http_504", "rate_limit", "unauthorized", "missing_scope"]


@pytest.mark.parametrize("fault", REFUSALS_OF_ANY_CALL)
async def test_the_status_of_every_envelope_that_may_come_is_described(serve, fault):
    caller = await serve(faults={fault: 1.0})
    paths = describe("")["paths"]
    assert str((await caller.upload()).status) in paths["/v1/files"]["post"]["responses"]
    assert str((await caller.get("x")).status) in paths["/v1/files/{id}"]["get"]["responses"]
    assert str((await caller.delete("x")).status) in paths["/v1/files/{id}"]["delete"]["responses"]


async def test_it_is_served_with_the_address_it_is_served_at(caller):
    answer = await caller.call("GET", "/openapi.json", api_key=None)
    assert answer.json == describe(caller.sandbox.base_url)


async def test_schemathesis_finds_nothing(serve, tmp_path):
    caller = await serve(upload_bucket=PLENTY, get_bucket=PLENTY)
    sandbox = caller.sandbox
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "schemathesis.cli", "run", f"{sandbox.base_url}/openapi.json",
        "--header", f"X-Api-Key: {sandbox.api_key}", "--checks", "all", "--max-examples", "12", "--seed", "11",
        "--generation-database", "none", "--continue-on-failure", "--no-color",
        cwd=tmp_path,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
            "PYTHONPATH": str(Path(__file__).parent),
            "PYTHONIOENCODING": "utf-8",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, said.decode()
    requests = sandbox.stats()["requests"]
    assert requests["POST /v1/files"]["201"] > 15
    assert requests["POST /v1/files"]["400"] > 20
    assert requests["GET /v1/files/{id}"]["200"] > 5
    assert requests["DELETE /v1/files/{id}"]["200"] > 5
