"""The pool with real processes: what one image does to a worker is no other image's business."""

from __future__ import annotations

import ast
import asyncio
import ctypes
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from ingestor.errors import DiskFault, ImageRejected, ImageWorkerLost, SourceNotReady
from ingestor.images.workers import process
from ingestor.images.workers.pool import AT_WORK, SPOOL_PREFIX, ImagePool, clear_spool
from ingestor.images.workers.process import WorkerProcess
from ingestor.ports import NormaliseRules
from tests import image_kit as kit

ODD = "tests.unit.images.workers.odd_worker"


@pytest.fixture
async def pool(folder):
    """Two workers that do what the names of images ask for."""
    rules = NormaliseRules(max_pixels=20_000_000)
    images = ImagePool(rules, workers=2, entry=ODD, image_timeout_seconds=20, spool=folder / "spool")
    yield images
    await images.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path


def photo(folder: Path, name: str = "good.bmp") -> Path:
    path = folder / name
    path.write_bytes(kit.saved(kit.quarters(), "BMP"))
    return path


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(condition, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_an_image_comes_back_as_a_new_file_in_the_spool(pool, folder):
    payload = await pool.normalise(photo(folder), folder / "spool")
    assert payload.file.parent == folder / "spool"
    assert payload.file.name.startswith(SPOOL_PREFIX)
    assert not payload.is_source
    assert payload.size_bytes == payload.file.stat().st_size
    assert payload.mime_type == "image/webp"
    assert payload.seconds > 0


async def test_a_compliant_image_comes_back_as_itself(pool, folder):
    path = folder / "a.jpg"
    path.write_bytes(kit.jpeg())
    payload = await pool.normalise(path, folder / "spool")
    assert payload.file == path
    assert payload.is_source
    assert list((folder / "spool").iterdir()) == []


async def test_any_file_name_crosses_the_border(pool, folder):
    path = Path(os.fsdecode(os.fsencode(folder) + b"/bad \xff\xfe \n name.bmp"))
    photo(folder).rename(path)
    assert (await pool.inspect(path)).file == path
    assert (await pool.normalise(path, folder / "spool")).mime_type == "image/webp"


@pytest.mark.parametrize("wish", ["segfault", "abort", "leave", "nonsense"])
async def test_an_image_that_kills_its_worker_twice_is_rejected_alone(pool, folder, wish):
    killer = photo(folder, f"{wish}.bmp")
    good = photo(folder)
    answers = await asyncio.gather(
        *(pool.normalise(path, folder / "spool") for path in (good, killer, good, good, good)), return_exceptions=True
    )
    assert isinstance(answers[1], ImageRejected)
    assert answers[1].reason == "crashed"
    assert [answer.mime_type for answer in (*answers[:1], *answers[2:])] == ["image/webp"] * 4
    assert (await pool.normalise(good, folder / "spool")).mime_type == "image/webp"


async def test_an_image_that_was_only_unlucky_gets_a_second_try(pool, folder):
    with pytest.raises(SourceNotReady, match="lived the second time"):
        await pool.normalise(photo(folder, "once.bmp"), folder / "spool")


async def test_a_file_that_becomes_shorter_while_it_is_read_is_looked_at_again_later(pool, folder):
    with pytest.raises(SourceNotReady, match=r"shrink\.bmp: cannot be read just now") as caught:
        await pool.normalise(photo(folder, "shrink.bmp"), folder / "spool")
    assert caught.value.reason == "busy"


@pytest.fixture
async def hasty():
    """One odd worker that has half a second for an image."""
    images = ImagePool(NormaliseRules(), workers=1, entry=ODD, image_timeout_seconds=0.5)
    yield images
    await images.close()


async def test_a_worker_that_was_stopped_costs_its_image_nothing(hasty, folder):
    with pytest.raises(SourceNotReady, match="went on the second time"):
        await hasty.normalise(photo(folder, "stop.bmp"), folder / "spool")
    assert not any("T" in Path(f"/proc/{pid}/stat").read_text().split()[2] for pid in hasty.worker_pids)


async def test_an_answer_that_came_while_the_program_was_paused_costs_its_image_nothing(pool, folder):
    pool.image_timeout_seconds = 3.0
    await pool.warm_up()
    task = asyncio.create_task(pool.normalise(photo(folder), folder / "spool"))
    while not pool._busy:
        await asyncio.sleep(0)
    time.sleep(3.5)  # nothing of this program runs, as after SIGSTOP
    assert (await task).mime_type == "image/webp"


async def test_an_image_that_hangs_twice_is_rejected(hasty, folder):
    with pytest.raises(ImageRejected, match=r"not done after 0\.5 s twice") as caught:
        await hasty.normalise(photo(folder, "hang.bmp"), folder / "spool")
    assert caught.value.reason == "timeout"


async def test_an_image_that_keeps_its_worker_busy_gets_no_second_try(hasty, folder, monkeypatch):
    monkeypatch.setattr(WorkerProcess, "worked_seconds", hasty.image_timeout_seconds * AT_WORK)
    with pytest.raises(ImageRejected, match=r"not done after 0\.5 s of work") as caught:
        await hasty.normalise(photo(folder, "hang.bmp"), folder / "spool")
    assert caught.value.reason == "timeout"


async def test_a_worker_works_only_while_it_has_a_processor(pool, folder):
    tasks = [asyncio.create_task(pool.inspect(photo(folder, name))) for name in ("burn.bmp", "hang.bmp")]
    await until(lambda: len(pool._busy) == 2 and any(worker.worked_seconds > 0.3 for worker in pool._busy))
    assert min(worker.worked_seconds for worker in pool._busy) < 0.1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_hung_image_costs_only_itself(folder):
    pool = ImagePool(NormaliseRules(), workers=2, entry=ODD, image_timeout_seconds=2)
    try:
        good = photo(folder)
        answers = await asyncio.gather(
            *(pool.normalise(path, folder / "spool") for path in (photo(folder, "hang.bmp"), good, good)),
            return_exceptions=True,
        )
        assert isinstance(answers[0], ImageRejected)
        assert answers[0].reason == "timeout"
        assert "image_timeout" in str(answers[0])
        assert [answer.mime_type for answer in answers[1:]] == ["image/webp"] * 2
        await until(lambda: all(alive(pid) for pid in pool.worker_pids))
    finally:
        await pool.close()


async def test_memory_is_limited_and_its_end_is_the_images_fault(pool, folder):
    with pytest.raises(ImageRejected) as caught:
        await pool.normalise(photo(folder, "hoard.bmp"), folder / "spool")
    assert caught.value.reason == "memory"
    assert (await pool.normalise(photo(folder), folder / "spool")).mime_type == "image/webp"


async def test_a_real_decoder_out_of_memory_is_told_as_such(folder):
    pool = ImagePool(NormaliseRules(), workers=1, memory_bytes=450_000_000)
    try:
        (folder / "large.tif").write_bytes(
            kit.saved(kit.Image.new("RGB", (9000, 9000)), "TIFF", compression="tiff_lzw")
        )
        with pytest.raises(ImageRejected) as caught:
            await pool.normalise(folder / "large.tif", folder / "spool")
        assert caught.value.reason == "memory"
        assert "max_pixels" in str(caught.value)
        assert (await pool.normalise(photo(folder), folder / "spool")).mime_type == "image/webp"
    finally:
        await pool.close()


async def test_an_idle_worker_that_is_killed_is_replaced(pool, folder):
    await pool.warm_up()
    first = pool.worker_pids
    for pid in first:
        os.kill(pid, signal.SIGKILL)
    assert (await pool.normalise(photo(folder), folder / "spool")).mime_type == "image/webp"
    assert not set(first) & set(pool.worker_pids)


async def test_a_worker_that_is_killed_at_work_is_replaced_and_the_image_tried_again(pool, folder):
    await pool.warm_up()
    before = set(pool.worker_pids)
    task = asyncio.create_task(pool.normalise(photo(folder, "hang.bmp"), folder / "spool"))
    await until(lambda: len(pool._busy) == 1)
    os.kill(next(iter(pool._busy)).pid, signal.SIGKILL)
    await until(lambda: len(pool._busy) == 1 and next(iter(pool._busy)).pid not in before)
    os.kill(next(iter(pool._busy)).pid, signal.SIGKILL)
    with pytest.raises(ImageRejected) as caught:
        await task
    assert caught.value.reason == "crashed"


async def test_a_worker_has_no_secrets_no_network_and_no_programs(pool, folder, monkeypatch):
    monkeypatch.setenv("AUROUS_API_KEY", "al_live_secret")
    with pytest.raises(SourceNotReady) as caught:
        await pool.normalise(photo(folder, "confess.bmp"), folder / "spool")
    told = ast.literal_eval(str(caught.value))
    assert not any("KEY" in name or "INGESTOR" in name for name in told["environment"])
    # Standard input, output and error, the channel, and the listing itself.
    assert told["descriptors"] <= 6
    if "no network" not in pool.confinement:
        assert told["network"] == "Operation not permitted"
        assert told["programs"] == "Operation not permitted"
        assert told["processes"] == "Operation not permitted"
    if "no writing outside the spool" not in pool.confinement:
        assert told["secrets"] == "Permission denied"
        assert told["files"] == "Permission denied"


async def test_this_process_is_hidden_before_a_worker_starts(pool):
    libc = ctypes.CDLL(None)
    libc.prctl(4, 1, 0, 0, 0)
    await pool.warm_up()
    assert libc.prctl(3, 0, 0, 0, 0) == 0


async def test_a_worker_is_one_thread_when_it_gives_up_what_it_can(pool):
    await pool.warm_up()
    for pid in pool.worker_pids:
        assert "\nThreads:\t1\n" in Path(f"/proc/{pid}/status").read_text()


async def test_a_spool_that_was_made_anew_costs_one_try(pool, folder):
    good = photo(folder)
    await pool.normalise(good, folder / "spool")
    shutil.rmtree(folder / "spool")
    (folder / "spool").mkdir()
    if "no writing outside the spool" not in pool.confinement:
        with pytest.raises(DiskFault):
            await pool.normalise(good, folder / "spool")
    assert (await pool.normalise(good, folder / "spool")).file.exists()


async def test_closing_leaves_no_process_behind(folder):
    pool = ImagePool(NormaliseRules(), workers=2, entry=ODD)
    await pool.warm_up()
    pids = pool.worker_pids
    hanging = asyncio.create_task(pool.normalise(photo(folder, "hang.bmp"), folder / "spool"))
    await until(lambda: len(pool._busy) == 1)
    await pool.close()
    with pytest.raises(ImageWorkerLost):
        await hanging
    await until(lambda: not any(alive(pid) for pid in pids))
    with pytest.raises(ImageWorkerLost):
        await pool.inspect(photo(folder))


async def test_a_cancelled_image_frees_its_place_and_leaves_no_file(folder):
    pool = ImagePool(NormaliseRules(), workers=1, entry=ODD)
    try:
        hanging = asyncio.create_task(pool.normalise(photo(folder, "hang.bmp"), folder / "spool"))
        await until(lambda: len(pool._busy) == 1)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert (await pool.normalise(photo(folder), folder / "spool")).mime_type == "image/webp"
    finally:
        await pool.close()


async def test_every_worker_makes_the_same_bytes(folder):
    path = folder / "photo.png"
    path.write_bytes(kit.saved(kit.photograph(1500, 900), "PNG", compress_level=1))
    digests = set()
    for _ in range(2):
        pool = ImagePool(NormaliseRules(longest_side_px=1400, max_bytes=300_000), workers=2)
        try:
            await pool.warm_up()
            payloads = await asyncio.gather(*(pool.normalise(path, folder / "spool") for _ in range(4)))
            assert len({payload.file for payload in payloads}) == 4
            digests |= {(payload.sha256, payload.profile) for payload in payloads}
        finally:
            await pool.close()
    assert len(digests) == 1


async def test_workers_start_when_first_needed_and_are_as_many_as_cores(folder):
    pool = ImagePool(NormaliseRules())
    try:
        assert pool.workers == len(os.sched_getaffinity(0))
        assert pool.worker_pids == ()
        await pool.inspect(photo(folder))
        assert len(pool.worker_pids) == 1
    finally:
        await pool.close()


async def test_a_worker_that_cannot_start_says_why(folder):
    pool = ImagePool(NormaliseRules(), entry="no.such.module")
    with pytest.raises(ImageWorkerLost, match="no"):
        await pool.inspect(photo(folder))
    await pool.close()


async def test_a_worker_that_is_not_ready_in_time_says_so(folder, monkeypatch):
    monkeypatch.setattr(process, "START_SECONDS", 0.001)
    pool = ImagePool(NormaliseRules())
    with pytest.raises(ImageWorkerLost, match="did not start: no answer"):
        await pool.inspect(photo(folder))
    await pool.close()


def test_only_old_files_of_ours_are_cleared_from_the_spool(tmp_path):
    old, young, other = (tmp_path / name for name in (f"{SPOOL_PREFIX}a.webp", f"{SPOOL_PREFIX}b.webp", "notes.txt"))
    for path in (old, young, other):
        path.touch()
    hours_ago = time.time() - 7200
    os.utime(old, (hours_ago, hours_ago))
    os.utime(other, (hours_ago, hours_ago))
    assert clear_spool(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{SPOOL_PREFIX}b.webp", "notes.txt"]
    assert clear_spool(tmp_path, older_than_seconds=0) == 1


def test_the_daemon_side_never_imports_an_imaging_library():
    import subprocess

    check = (
        "import sys, ingestor.images; print([name for name in ('PIL', 'numpy', 'simplejpeg') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout.strip() == "[]"
