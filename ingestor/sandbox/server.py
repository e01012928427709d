"""The sandbox as an object: started, asked, steered and stopped by the process that holds it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web

from ingestor.sandbox import controls
from ingestor.sandbox.answers import answering, json_answer
from ingestor.sandbox.buckets import Buckets
from ingestor.sandbox.clock import Clock
from ingestor.sandbox.faults import FaultPlan
from ingestor.sandbox.files import Files
from ingestor.sandbox.gate import gating
from ingestor.sandbox.misbehaviour import misbehaving
from ingestor.sandbox.openapi import describe
from ingestor.sandbox.options import ApiKey, SandboxOptions
from ingestor.sandbox.places import HeldFolder, listening_socket
from ingestor.sandbox.service import Service
from ingestor.sandbox.signing import Signer
from ingestor.sandbox.store import Store

_SWEEP_SECONDS = 1.0


class Sandbox:
    """The Files API on this machine. `async with Sandbox(options) as sandbox` starts and stops it."""

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options or SandboxOptions()
        self._running: contextlib.AsyncExitStack | None = None
        self._service: Service | None = None

    async def start(self) -> None:
        """Serve. Raises SandboxHeld where another has the data folder, OSError where the port is taken."""
        async with contextlib.AsyncExitStack() as stack:
            folder = self.options.data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            held = await asyncio.to_thread(HeldFolder, folder)
            stack.callback(held.release)
            store = await asyncio.to_thread(Store, folder)
            stack.callback(store.close)
            host, wanted = self.options.host, self.options.port
            bound = listening_socket(host, [wanted] if wanted else [held.last_port(host), 0])
            stack.callback(bound.close)
            port = bound.getsockname()[1]
            service = _service(self.options, store, _base_url(host, port))
            runner = web.AppRunner(_application(service), access_log=None, shutdown_timeout=0.5)
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            stack.callback(service.stopping.set)
            stack.push_async_callback(_stop_sweeping, service, asyncio.create_task(_sweep(service)))
            await web.SockSite(runner, bound).start()
            held.tell(host, port, service.base_url)
            self._service, self._running = service, stack.pop_all()

    async def stop(self) -> None:
        """Stop serving; what it holds stays in its data folder."""
        if self._running is not None:
            running, self._running = self._running, None
            await running.aclose()

    async def __aenter__(self) -> Sandbox:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # -- what it is

    @property
    def base_url(self) -> str:
        """Where it is served."""
        return self._served.base_url

    @property
    def api_key(self) -> str:
        """The first key that it knows and has not revoked."""
        return next(text for text, key in self._served.keys.items() if not key.revoked)

    def now(self) -> datetime:
        """The instant by its own clock."""
        return datetime.fromtimestamp(self._served.clock.now(), UTC)

    def stats(self) -> dict[str, Any]:
        """The counts, as `GET /_sandbox/stats` answers them."""
        return controls.stats(self._served)

    # -- what is done to it

    def script(self, *kinds: str) -> None:
        """Queue a fault for each of the next uploads, in order; `ok` lets one pass. Raises ValueError."""
        self._served.plan.script(kinds)

    def set_faults(self, rates: Mapping[str, float]) -> None:
        """Change the given rates, leaving the others. Raises ValueError."""
        self._served.plan.change(rates)

    def set_keys(self, keys: Mapping[str, ApiKey]) -> None:
        """Replace the keys that it knows."""
        controls.set_keys(self._served, keys)

    def advance(self, seconds: float) -> None:
        """Move its clock forward by seconds of its own. Raises ValueError."""
        controls.advance(self._served, seconds)

    def occupy_key(self, key: str, route: str = "POST /v1/images", team: str = ApiKey().team) -> None:
        """Pretend that an idempotency key was used with another route of the API."""
        controls.occupy_key(self._served, key, route, team)

    @property
    def _served(self) -> Service:
        if self._service is None:
            raise RuntimeError("the sandbox has not been started")
        return self._service


def _service(options: SandboxOptions, store: Store, base_url: str) -> Service:
    clock = Clock(options.time_scale, store.state("clock"))
    secret = store.state("secret") or secrets.token_hex(32)
    store.keep_state(clock=clock.state(), secret=secret)
    return Service(
        options=options,
        clock=clock,
        store=store,
        signer=Signer(bytes.fromhex(secret)),
        buckets=Buckets(options.upload_bucket, options.get_bucket, store.state("buckets")),
        plan=FaultPlan(options.faults, options.seed),
        keys=dict(options.keys),
        base_url=base_url,
    )


def _application(service: Service) -> web.Application:
    layers = [answering(service), controls.local_only(), misbehaving(service), gating(service)]
    application = web.Application(middlewares=layers)
    files = Files(service)

    async def description(request: web.Request) -> web.StreamResponse:
        return json_answer(200, describe(service.origin(request)))

    application.add_routes(
        [
            web.post("/v1/files", files.upload),
            web.get("/v1/files/{id:[^/]+}", files.get, allow_head=False),
            web.delete("/v1/files/{id:[^/]+}", files.delete),
            web.get("/signed/{id}", files.signed),
            web.get("/openapi.json", description),
            *controls.Controls(service).routes(),
        ]
    )
    return application


def _base_url(host: str, port: int) -> str:
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


async def _sweep(service: Service) -> None:
    while not service.stopping.is_set():
        await service.pause(_SWEEP_SECONDS)
        await asyncio.to_thread(_tidy, service, service.buckets.state())


def _tidy(service: Service, buckets: dict[str, tuple[float, float]]) -> None:
    service.store.purge_expired(service.clock.now())
    service.store.keep_state(clock=service.clock.state(), buckets=buckets)


async def _stop_sweeping(service: Service, task: asyncio.Task[None]) -> None:
    service.stopping.set()
    await task
