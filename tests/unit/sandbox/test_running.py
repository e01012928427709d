import argparse
import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys

import aiohttp
import pytest

from ingestor.sandbox import FAULTS, ApiKey, Bucket, add_arguments, fault_rates, keys_from, options_from
from ingestor.sandbox.__main__ import main
from tests.unit.sandbox.caller import image


def options(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_from(parser.parse_args(arguments))


# -- arguments


def test_without_arguments_it_is_a_sandbox_without_options():
    assert options() == type(options())()


def test_every_argument_becomes_an_option(tmp_path):
    asked = options(
        "--data", str(tmp_path), "--host", "::1", "--port", "8080", "--time-scale", "60", "--seed", "3",
        "--fault", "http_500=0.1", "--fault", "slow=0.2", "--key", "al_live_a=team_a", "--revoked-key", "al_live_b",
        "--read-only-key", "al_live_c=team_a", "--upload-bucket", "5,1", "--get-bucket", "7,0.5",
        "--idempotency", "seed", "--hang-seconds", "4", "--slow-seconds", "0.5",
    )  # fmt: skip
    assert (asked.data_dir, asked.host, asked.port, asked.time_scale, asked.seed) == (tmp_path, "::1", 8080, 60.0, 3)
    assert asked.faults == {"http_500": 0.1, "slow": 0.2}
    assert asked.keys == {
        "al_live_a": ApiKey(team="team_a"),
        "al_live_b": ApiKey(revoked=True),
        "al_live_c": ApiKey(team="team_a", scopes=frozenset({"read"})),
    }
    assert (asked.upload_bucket, asked.get_bucket) == (Bucket(5, 1), Bucket(7, 0.5))
    assert (asked.idempotency, asked.hang_seconds, asked.slow_seconds) == ("seed", 4.0, 0.5)


@pytest.mark.parametrize("text", ["http_500", "http_500=", "http_500=often", "=1", "oops=0.1"])
def test_a_fault_that_cannot_be_is_refused(text):
    with pytest.raises(ValueError, match=r"KIND=RATE|no fault"):
        options("--fault", text)


def test_rates_of_faults_are_read_from_their_texts():
    assert fault_rates(["html=0.5", "slow=1"]) == {"html": 0.5, "slow": 1.0}


def test_a_key_without_a_team_belongs_to_the_default_one_and_without_keys_there_is_the_default_key():
    assert keys_from(["al_live_x"]) == {"al_live_x": ApiKey()}
    assert keys_from([]) == {"al_live_sandbox": ApiKey()}
    assert keys_from([], ["al_live_gone"]).keys() == {"al_live_sandbox", "al_live_gone"}


# -- the command


def command(*arguments):
    return [sys.executable, "-m", "ingestor.sandbox", *map(str, arguments)]


async def ended(call, **more):
    """A process that has run to its end, while the loop went on."""
    return await asyncio.to_thread(subprocess.run, call, capture_output=True, text=True, timeout=20, **more)


class Running:
    """A sandbox that runs as a process of its own."""

    def __init__(self, process, base_url, key):
        self.process, self.base_url, self.key = process, base_url, key

    async def ended(self):
        await asyncio.wait_for(self.process.wait(), 10)
        return self.process.returncode


@pytest.fixture
async def run():
    """Starts `python -m ingestor.sandbox` and waits until it is ready."""
    processes = []

    async def start(*arguments):
        process = await asyncio.create_subprocess_exec(*command(*arguments), stdout=subprocess.PIPE)
        processes.append(process)
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        told = re.fullmatch(r"sandbox ready at (http://\S+) with key (\S+)\n", line)
        return Running(process, *told.groups())

    yield start
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_help_lists_every_kind_of_fault_with_its_meaning():
    said = subprocess.run(command("--help"), capture_output=True, text=True, check=True, timeout=20).stdout
    for kind, text in FAULTS.items():
        assert re.search(rf"^  {kind} +{re.escape(text)}$", said, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments", [["--fault", "oops=1"], ["--time-scale", "0"], ["--port", "http"], ["--upload-bucket", "0,1"]]
)
def test_wrong_usage_ends_with_2_and_a_reason(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sandbox", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


async def test_it_tells_where_it_serves_and_ends_well_when_it_is_told_to_stop(run):
    for number in (signal.SIGTERM, signal.SIGINT):
        running = await run("--port", 0)
        async with aiohttp.ClientSession() as session, session.get(running.base_url + "/openapi.json") as answer:
            assert answer.status == 200
        running.process.send_signal(number)
        assert await running.ended() == 0


async def test_a_second_one_on_the_same_folder_ends_with_6_and_says_where_the_first_is(run, tmp_path):
    first = await run("--data", tmp_path)
    second = await ended(command("--data", tmp_path))
    assert second.returncode == 6
    assert second.stderr == f"another sandbox serves {tmp_path} at {first.base_url}\n"


async def test_an_address_that_is_taken_ends_with_2_and_a_reason(run, tmp_path):
    first = await run()
    port = first.base_url.rpartition(":")[2]
    second = await ended(command("--port", port))
    assert second.returncode == 2
    assert "in use" in second.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="the call of the seed page is one of curl's")
async def test_the_seed_pages_own_call_works_as_printed_host_and_key_aside(run, tmp_path):
    running = await run("--data", tmp_path / "sandbox")
    printed = r"""
curl --request POST \
  --url https://api.example.com/v1/files \
  --header 'Content-Type: multipart/form-data' \
  --header 'X-Api-Key: <api-key>' \
  --form file='@example-file' \
  --form purpose=reference \
  --form 'metadata=<string>'
"""
    (tmp_path / "example-file").write_bytes(image("JPEG", 64, 48))
    # To curl, `<string>` means the content of the file called `string>`.
    (tmp_path / "string>").write_text('{"campaign": "launch-2026"}')
    call = printed.replace("https://api.example.com", running.base_url).replace("<api-key>", running.key)
    file = json.loads((await ended(call, shell=True, cwd=tmp_path, check=True)).stdout)
    assert (file["object"], file["purpose"], file["mime_type"]) == ("file", "reference", "image/jpeg")
    assert (file["size_bytes"], file["width_px"], file["height_px"]) == (len(image("JPEG", 64, 48)), 64, 48)
    assert file["metadata"] == {"campaign": "launch-2026"}


def test_it_imports_nothing_of_ours_but_itself():
    script = (
        "import sys, ingestor.sandbox, ingestor.sandbox.__main__;"
        "print(*sorted(name for name in sys.modules if name.startswith('ingestor')))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=20).stdout
    assert {name for name in said.split() if not name.startswith("ingestor.sandbox")} == {"ingestor"}
