"""What both databases have in common: changes that come together share one transaction, and one flush of the disk."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Concatenate

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ingestor.errors import LedgerError
from ingestor.ledger.copying import NameOf, copy_all
from ingestor.ledger.sql import P, SqlLedger, T
from ingestor.ports import Clock

_MANY = 4
_LINGER_SECONDS = 0.003
"""After a group of many: most of those whose changes have just ended come back by then, and share the next flush."""


@dataclass(slots=True)
class Change:
    run: Callable[[Connection], Any]
    done: asyncio.Future[Any]


End = tuple[Any, Exception | None]


class GroupedLedger(SqlLedger):
    """One writer thread with group commit, readers beside it. See `SqlLedger`."""

    def __init__(self, name: str, clock: Clock, *, writer: Engine, reader: Engine, readers: int) -> None:
        """`name` is what errors call the ledger; `readers`: how many questions are asked at once."""
        super().__init__(clock)
        self.name = name
        self._writer = writer
        self._reader = reader
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-write")
        self._read_threads = ThreadPoolExecutor(readers, thread_name_prefix="ledger-read")
        self._pending: list[Change] = []
        self._committing: asyncio.Task[None] | None = None
        self._is_closed = False

    @abstractmethod
    async def open(self) -> None:
        """Create or migrate. Raises `LedgerUnreadable` or `DiskFault`."""

    @abstractmethod
    def _translated(self, error: DBAPIError) -> Exception:
        """What the database's error stands for."""

    def _fails_all(self, fault: Exception) -> bool:
        """Whether what befell one change would befall each of the others too."""
        return False

    async def close(self) -> None:
        """Finish the changes under way; whoever comes later is refused."""
        self._is_closed = True
        while self._committing is not None:
            await asyncio.shield(self._committing)
        await asyncio.to_thread(self._shut_down)

    def kept_name(self, name: str) -> str:
        """Under which name this ledger keeps a fact."""
        return name

    def plain_name(self, name: str) -> str | None:
        """The name of a fact that is kept under this one; None: it is another station's own."""
        return name

    async def copy_from(self, source: GroupedLedger, name_of: NameOf) -> Mapping[str, int]:
        """All that another ledger holds, in one change; table to number of rows. See `copying.copy_all`."""

        def copy(target: Connection) -> Mapping[str, int]:
            with source._reader.connect() as connection:
                return copy_all(connection, target, name_of=name_of, target_of=self._target_of(source), to=self.name)

        return await self._write(copy)

    def _shut_down(self) -> None:
        self._read_threads.shutdown()
        self._write_thread.shutdown()
        self._reader.dispose()
        self._writer.dispose()

    def _check_open(self) -> None:
        if self._is_closed:
            raise LedgerError(f"{self.name}: this ledger has been closed")

    async def _read(self, question: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._check_open()
        loop = asyncio.get_running_loop()
        run = _bound(question, args, kwargs)
        return await loop.run_in_executor(self._read_threads, self._ask, run)

    def _ask(self, run: Callable[[Connection], T]) -> T:
        try:
            with self._reader.connect() as connection:
                return run(connection)
        except DBAPIError as error:
            raise self._translated(error) from error

    async def _write(self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._check_open()
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._pending.append(Change(_bound(change, args, kwargs), done))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_pending())
            self._committing.add_done_callback(self._never_began)
        # The change is made whether or not its caller still waits, which only cancels the answer: a durable receipt is
        # never half a decision.
        return await done

    async def _commit_pending(self) -> None:
        loop = asyncio.get_running_loop()
        group: list[Change] = []
        try:
            while self._pending:
                if len(group) >= _MANY:
                    await asyncio.sleep(_LINGER_SECONDS)
                group, self._pending = self._pending, []
                ends = await loop.run_in_executor(self._write_thread, self._commit, group)
                for change, end in zip(group, ends, strict=True):
                    _settle(change.done, end)
        except BaseException:
            self._give_up(group)
            raise
        finally:
            self._committing = None

    def _never_began(self, task: asyncio.Task[None]) -> None:
        """A task that is cancelled before its first step does not even see its `finally`."""
        if self._committing is task:
            self._committing = None
            self._give_up([])

    def _give_up(self, group: list[Change]) -> None:
        """Nobody shall wait for an answer that does not come."""
        for change in (*group, *self._pending):
            change.done.cancel()
        self._pending.clear()

    def _transaction(self) -> AbstractContextManager[Connection]:
        """Begins with the block, and ends well or not at all."""
        return self._writer.begin()

    def _commit(self, group: list[Change]) -> list[End]:
        try:
            with self._transaction() as connection:
                return [(change.run(connection), None) for change in group]
        except Exception as error:
            fault = self._translated(error) if isinstance(error, DBAPIError) else error
            if len(group) == 1 or self._fails_all(fault):
                return [(None, fault)] * len(group)
        # One of them failed and took the others' transaction with it: each by itself.
        return [self._commit([change])[0] for change in group]


def _settle(done: asyncio.Future[Any], end: End) -> None:
    value, error = end
    if done.cancelled():
        return
    if error is None:
        done.set_result(value)
    else:
        done.set_exception(error)
        done.exception()  # its caller may have gone; then nobody needs to hear of it


def _bound(
    call: Callable[Concatenate[Connection, P], T], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[Connection], T]:
    def run(connection: Connection) -> T:
        return call(connection, *args, **kwargs)

    return run
