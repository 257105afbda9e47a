"""The jobs of an asynchronous project, in memory and bounded: in number, in bytes, in age. Pure; the server's thread alone uses it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pesto_stream.errors import PestoStreamError, TooManyRequests
from pesto_stream.service.results import Results, links

if TYPE_CHECKING:
    from collections.abc import Callable


class JobState(StrEnum):
    """PESTO's words for a job, and one for what it has none for (geoprocessing-api's)."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class JobLimits:
    """`max_bytes`: results of all jobs together. `max_seconds`: since a job ended."""

    max_jobs: int
    max_bytes: int
    max_seconds: float


@dataclass(slots=True)
class StoredJob:
    """`cancel` stops what still works for it."""

    id: str
    cancel: Callable[[], object] = lambda: None
    state: JobState = JobState.RUNNING
    ended_at: float = 0.0
    error: PestoStreamError | None = None
    results: Results = field(default_factory=lambda: Results({}, {}))

    def status(self, root: str) -> dict[str, Any]:
        """PESTO's status document; `root` is the address of all jobs."""
        if self.state is JobState.DONE:
            return {"status": self.state.value, "progress": 100, "link": f"{root}/{self.id}/results"}
        if self.state is JobState.FAILED:
            return {"status": self.state.value, "progress": 100, "message": str(self.error)}
        return {"status": self.state.value, "progress": 0}

    def links(self, root: str) -> dict[str, Any]:
        """PESTO's results document: outputs by name, as addresses."""
        return dict(links(self.results, f"{root}/{self.id}/results"))


class JobStore:
    """Ids are random (122 bits). `now` is a clock in seconds that never goes back."""

    def __init__(self, limits: JobLimits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._jobs: dict[str, StoredJob] = {}

    def add(self) -> StoredJob:
        """Raises TooManyRequests where every job that is remembered still runs."""
        self._expire()
        if len(self._jobs) >= self._limits.max_jobs and not self._drop_oldest():
            raise TooManyRequests(f"{self._limits.max_jobs} jobs are running, as many as http.max_jobs lets in")
        job = StoredJob(str(uuid.uuid4()))
        self._jobs[job.id] = job
        return job

    def finish(self, job: StoredJob, results: Results) -> None:
        if results.size > self._limits.max_bytes:
            self.fail(
                job,
                PestoStreamError(f"the results of {results.size} bytes are over http.jobs_mib ({self._limits.max_bytes} bytes)"),
            )
            return
        while self._bytes() + results.size > self._limits.max_bytes and self._drop_oldest():
            pass
        job.results = results
        self._end(job, JobState.DONE)

    def fail(self, job: StoredJob, error: PestoStreamError) -> None:
        job.error = error
        self._end(job, JobState.FAILED)

    def get(self, job_id: str) -> StoredJob | None:
        self._expire()
        return self._jobs.get(job_id)

    def remove(self, job: StoredJob) -> None:
        """Forget it; what still works for it is stopped."""
        self._jobs.pop(job.id, None)
        job.cancel()

    def remove_part(self, job: StoredJob, name: str) -> bool:
        """False: there is none of this name."""
        if job.results.parts.pop(name, None) is None:
            return False
        for output, parts in list(job.results.layout.items()):
            if parts == name:
                del job.results.layout[output]
            elif isinstance(parts, list) and name in parts:
                parts.remove(name)
        return True

    def ids(self) -> list[str]:
        self._expire()
        return list(self._jobs)

    def _end(self, job: StoredJob, state: JobState) -> None:
        job.state, job.ended_at = state, self._now()
        if job.id in self._jobs:  # in the order in which they ended, for those that make room
            self._jobs[job.id] = self._jobs.pop(job.id)

    def _bytes(self) -> int:
        return sum(job.results.size for job in self._jobs.values())

    def _drop_oldest(self) -> bool:
        oldest = next((job for job in self._jobs.values() if job.state is not JobState.RUNNING), None)
        if oldest is not None:
            del self._jobs[oldest.id]
        return oldest is not None

    def _expire(self) -> None:
        last = self._now() - self._limits.max_seconds
        for job in list(self._jobs.values()):
            if job.state is not JobState.RUNNING and job.ended_at <= last:
                del self._jobs[job.id]
