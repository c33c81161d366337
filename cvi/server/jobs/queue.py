"""The runner of the durable queue: attempts due jobs, retries them, and goes on after a crash.

What a kind of job does is a `JobHandler`; what is stored is `cvi.server.store.jobs`. A job is queued in the
transaction of what it belongs to, so a process that is killed loses none; one that was running then is queued
again by the next start, so that every job is attempted at least once.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from cvi.errors import CviError
from cvi.server.store import jobs
from cvi.server.store.database import Database
from cvi.server.store.jobs import Job, OpenJob, State

LOOK_AGAIN_S = 5.0
"""How often to look for jobs that another process queued (`cvi webhooks resend`); `wake` is immediate."""
LONGEST_FAULT_PAUSE_S = 300.0
"""Between attempts at a job whose beginning or end cannot be stored."""
KEEP_FINISHED_S = 7 * 24 * 3600.0

log = logging.getLogger("cvi.server.jobs")


class TryAgainError(CviError):
    """An attempt failed in a way that a later one may not."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait between attempts, and when to give up.

    The pause doubles from `first_pause_s` to `longest_pause_s`; `jitter` is the share of it that is random.
    A job fails after `most_attempts` (None: any number), or when its next attempt would be after its `until`.
    """

    first_pause_s: float = 0.0
    longest_pause_s: float = 3600.0
    jitter: float = 0.0
    most_attempts: int | None = None

    def pause_s(self, attempts: int, chance: Callable[[], float] = random.random) -> float:
        """How long to wait after so many failed attempts; `chance` gives numbers from 0 to 1."""
        longest = min(self.first_pause_s * 2.0 ** min(attempts - 1, 30), self.longest_pause_s)
        return longest * (1.0 - self.jitter + self.jitter * chance())


class JobRun:
    """One attempt at a job, as its handler sees it.

    `deleted` is set before the attempt is cancelled because its job was deleted.
    """

    def __init__(self, job: Job, note: Callable[[int], None]) -> None:
        self.job = job
        self.deleted = False
        self._note = note
        self._percent = 0

    def report(self, percent: float) -> None:
        """Store how far the attempt is, in whole percent. Event loop only."""
        if round(percent) != self._percent:
            self._percent = round(percent)
            self._note(self._percent)


class JobHandler:
    """What one kind of job does. `kind` names it in the table; `at_once` jobs of it run at the same time,
    `at_once_in_lane` of one lane.

    Jobs that end in a state of `keeps` stay in the table; others are forgotten after `KEEP_FINISHED_S`.
    """

    kind: str
    at_once = 1
    at_once_in_lane = 1
    retry = RetryPolicy(most_attempts=1)
    keeps: tuple[State, ...] = ()

    async def start(self) -> None:
        """Called once, before the first attempt of this process."""

    async def run(self, run: JobRun) -> str:
        """Make one attempt; returns a result in words. Must bear being repeated from any point.

        Raises `TryAgainError` for a failure that may pass; any other CviError or OSError fails the job.
        Cancelled when the server stops or the job is deleted.
        """
        raise NotImplementedError

    def settled(self, connection: sqlite3.Connection, job: Job) -> None:
        """Called in the transaction that stores that a job succeeded or failed, on the writer's thread."""

    async def clean_up(self, job: Job) -> None:
        """Called after a job succeeded or failed, to remove what is not needed any more."""

    async def erase(self, job: Job) -> None:
        """Called when a job is deleted, to remove everything that was made of it. May be called again."""


class JobQueue:
    """Attempts the jobs that are due, in order within each key. Event loop only.

    `start` and `stop` it with the server; `wake` it after a transaction that queued a job. `wall` gives Unix
    seconds.
    """

    def __init__(
        self, database: Database, handlers: Iterable[JobHandler], wall: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._handlers = {handler.kind: handler for handler in handlers}
        self._wall = wall
        self._kinds: Collection[str] = set(self._handlers)
        self._attempts: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._lanes: dict[tuple[str, str], str] = {}
        self._not_before: dict[tuple[str, str], float] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self._runs: dict[tuple[str, str], JobRun] = {}
        self._notes: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Queue again what an earlier process left running, finish its deletions, and begin."""
        before = self._wall() - KEEP_FINISHED_S
        ended: set[State] = {"succeeded", "failed"}

        def prepare(connection: sqlite3.Connection) -> list[Job]:
            jobs.requeue(connection)
            for handler in self._handlers.values():
                jobs.forget(connection, handler.kind, ended - set(handler.keeps), before)
            return [job for kind in self._handlers for job in jobs.every(connection, kind, ["cancelled"])]

        for job in await self._database.write(prepare):
            await self.delete(job.kind, job.id)
        for handler in self._handlers.values():
            await handler.start()
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Look at once for jobs that are due."""
        self._idle.clear()
        self._woken.set()

    async def delete(self, kind: str, id: str) -> bool:
        """Cancel a job, wait for its attempt to end, erase what was made of it; whether there was one."""
        now = self._wall()
        job = await self._database.write(lambda connection: jobs.cancel(connection, kind, id, now))
        if job is None:
            return False
        if (kind, id) in self._runs:
            self._runs[kind, id].deleted = True
        if (kind, id) in self._attempts:
            task = self._attempts[kind, id]
            task.cancel()
            await asyncio.wait([task])
        await self._handlers[kind].erase(job)
        # With its webhooks, which may hold what it was ordered with.
        await self._database.write(lambda connection: jobs.remove(connection, kind, id))
        await self._database.scrub()
        return True

    async def stop(self, flush: Collection[str] = (), within_s: float = 0.0) -> None:
        """End all attempts; the next start goes on with their jobs.

        Before that, jobs of the kinds in `flush` that are due are attempted, for `within_s` at most.
        """
        self._kinds = flush
        await self._break_off([key for key in self._attempts if key[0] not in flush])
        if flush:
            self.wake()
            try:
                async with asyncio.timeout(within_s):
                    await self._idle.wait()
            except TimeoutError:
                log.info("jobs are left for the next start")
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._break_off(list(self._attempts))
        await asyncio.gather(*self._notes, return_exceptions=True)
        try:
            await self._database.write(jobs.requeue)
        except sqlite3.OperationalError:
            log.warning("the next start queues again what was running")

    async def _break_off(self, keys: Iterable[tuple[str, str]]) -> None:
        tasks = [self._attempts[key] for key in keys]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                wait_s = await self._begin_due()
            except sqlite3.Error:
                log.exception("the queue cannot be read")
                wait_s = LOOK_AGAIN_S
            try:
                async with asyncio.timeout(max(wait_s, 0.01)):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _begin_due(self) -> float:
        """Begin attempts at what is due; returns the seconds until the next job is."""
        now, wait_s = self._wall(), LOOK_AGAIN_S
        for job in self._by_turns(await self._database.read(jobs.first_open)):
            key = (job.kind, job.id)
            if job.kind not in self._kinds or key in self._attempts:
                continue
            due_at = max(job.next_at, self._not_before.get(key, 0.0))
            if due_at > now:
                wait_s = min(wait_s, due_at - now)
            elif self._has_room(job):
                self._lanes[key] = job.lane
                self._begin(job.kind, job.id)
        if not self._attempts and not self._woken.is_set():
            self._idle.set()
        return wait_s

    @staticmethod
    def _by_turns(found: list[OpenJob]) -> list[OpenJob]:
        """One of each lane, then the next of each: many for slow hosts do not hold up those of others."""
        before: Counter[tuple[str, str]] = Counter()  # those that run are open and due first
        places: list[tuple[int, int]] = []
        for number, job in enumerate(found):
            places.append((before[job.kind, job.lane], number))
            before[job.kind, job.lane] += 1
        return [found[number] for _, number in sorted(places)]

    def _has_room(self, job: OpenJob) -> bool:
        handler = self._handlers[job.kind]
        running = [key for key in self._attempts if key[0] == job.kind]
        in_lane = sum(bool(job.lane) and self._lanes[key] == job.lane for key in running)
        return len(running) < handler.at_once and in_lane < handler.at_once_in_lane

    def _begin(self, kind: str, id: str) -> None:
        task = self._attempts[kind, id] = asyncio.create_task(self._attempt(kind, id))

        def over(done: asyncio.Task[None]) -> None:
            del self._attempts[kind, id], self._lanes[kind, id]
            self._runs.pop((kind, id), None)
            fault = None if done.cancelled() else done.exception()
            if fault is None:
                self._failures.pop((kind, id), None)
                self._not_before.pop((kind, id), None)
            else:
                # The database was not written, so it cannot say when the next attempt is due.
                log.error("an attempt could not be finished: %s", fault, exc_info=_trace_of(fault))
                failures = self._failures[kind, id] = self._failures.get((kind, id), 0) + 1
                pause_s = RetryPolicy(LOOK_AGAIN_S, LONGEST_FAULT_PAUSE_S).pause_s(failures)
                self._not_before[kind, id] = self._wall() + pause_s
            self.wake()

        task.add_done_callback(over)

    def _note(self, kind: str, id: str, percent: int) -> None:
        # The writer's thread takes its work in order, so the last percentage is the latest.
        task = asyncio.create_task(
            self._database.write(lambda connection: jobs.note_progress(connection, kind, id, percent))
        )
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _attempt(self, kind: str, id: str) -> None:
        handler, now = self._handlers[kind], self._wall()
        job = await self._database.write(lambda connection: jobs.begin(connection, kind, id, now))
        if job is None:
            return
        run = self._runs[kind, id] = JobRun(job, lambda percent: self._note(kind, id, percent))
        state: State = "failed"
        again = False
        try:
            result = await handler.run(run)
            state = "succeeded"
        except TryAgainError as error:
            result, again = str(error), True
        except CviError as error:
            result = str(error)
        except OSError as error:
            log.exception("a job failed", extra={"kind": kind, "job": id})
            result = f"The server's disk refuses: {error.strerror or error}."
        except Exception:  # a fault of a handler must end its job, not the queue
            log.exception("a job failed", extra={"kind": kind, "job": id})
            result = "A fault of the server's; its log says more."
        await self._settle(handler, job, state, result, again)

    async def _settle(self, handler: JobHandler, job: Job, state: State, result: str, again: bool) -> None:
        """Store how an attempt ended: retry the job where that may help, else end it and clean up."""
        now = self._wall()
        next_at = now + handler.retry.pause_s(job.attempts + 1)
        last = job.attempts + 1 == handler.retry.most_attempts
        last = last or (job.until is not None and next_at > job.until)

        def store(connection: sqlite3.Connection) -> Job | None:
            if again and not last:
                jobs.try_again(connection, job.kind, job.id, result, now, next_at)
                return None
            ended = jobs.finish(connection, job.kind, job.id, state, result, now)
            if ended is not None:
                handler.settled(connection, ended)
            return ended

        # The attempt holds its place until this is stored: what was done is not done again.
        ended = await self._database.write_surely(store)
        log.info(
            "job",
            extra={
                "kind": job.kind,
                "job": job.id,
                "key": job.key,
                "job_name": job.name,
                "attempt": job.attempts + 1,
                "state": "queued" if ended is None else ended.state,
                "result": result,
            },
        )
        if ended is not None:
            await handler.clean_up(ended)


def _trace_of(fault: BaseException) -> BaseException | None:
    """Nothing for a database that cannot be written: one line in the log says that."""
    return None if isinstance(fault, sqlite3.OperationalError) else fault
