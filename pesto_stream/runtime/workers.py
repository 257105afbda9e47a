"""The three stages in a row: decode, algorithm, encode and send; tile n+1 is decoded while tile n runs.

A worker looks at the job's assignment before each step and at its end: work that is no longer wanted is dropped, and told.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from pesto_stream.errors import FatalError, RecordError, TransientError
from pesto_stream.runtime.job import Broken, Dropped, Interrupted
from pesto_stream.runtime.pipeline import ALGORITHM, DECODE, ENCODE
from pesto_stream.runtime.stages import Stage
from pesto_stream.runtime.way import Way

if TYPE_CHECKING:
    from collections.abc import Callable

    from pesto_stream.clock import Clock
    from pesto_stream.metrics import Metrics
    from pesto_stream.runtime.flow import Budget
    from pesto_stream.runtime.job import Event, Job
    from pesto_stream.runtime.pipeline import Pipeline
    from pesto_stream.runtime.sender import Sender
    from pesto_stream.runtime.stages import Running

_ROOM_POLL_SECONDS = 0.1


class Workers:
    """`tell` takes the events for the loop and may be called by any thread. `stage` makes a stage: its name, work, threads, clock."""

    def __init__(
        self,
        pipeline: Pipeline,
        sender: Sender,
        budget: Budget,
        clock: Clock,
        metrics: Metrics,
        tell: Callable[[Event], None],
        *,
        decode_threads: int = 1,
        algorithm_threads: int = 1,
        encode_threads: int = 1,
        stage: Callable[[str, Callable[[Job], None], int, Clock], Stage] = Stage,
    ) -> None:
        self._usual = Way(pipeline, sender, tell)
        self._budget = budget
        self._clock = clock
        self._metrics = metrics
        self._tell = tell
        self._deciding = Lock()
        self._decode = stage(DECODE, self._guarded(DECODE, self._decode_one), decode_threads, clock)
        self._algorithm = stage(ALGORITHM, self._guarded(ALGORITHM, self._run_one), algorithm_threads, clock)
        self._encode = stage(ENCODE, self._guarded(ENCODE, self._encode_one), encode_threads, clock)
        self.stages = (self._decode, self._algorithm, self._encode)

    def start(self) -> None:
        for stage in self.stages:
            stage.start()

    def submit(self, job: Job) -> None:
        self._enter(self._decode, job)

    def reject(self, job: Job, error: RecordError) -> None:
        """A dead letter, sent by a worker, since the loop may not wait for a client whose queue is full."""
        job.error = error
        self._enter(self._encode, job)

    def give_up(self, job: Job) -> bool:
        """Take the fate of a running job out of the algorithm's hands; False: it has just returned, and is being settled or tried again."""
        return job.begun and self._decide(job)

    def running(self, stage: str) -> list[Running]:
        return next(s.running() for s in self.stages if s.name == stage)

    def queued(self) -> dict[str, int]:
        return {stage.name: stage.queued for stage in self.stages}

    def oldest_seconds(self) -> dict[str, float]:
        """By stage, how long its oldest running job has been there; 0 where it is idle."""
        now = self._clock.now()
        return {stage.name: round(max((now - since for _, since in stage.running()), default=0.0), 3) for stage in self.stages}

    def stop(self) -> None:
        for stage in self.stages:
            stage.stop()

    def join(self, timeout_seconds: float) -> bool:
        """False: some thread still works (an algorithm that does not return)."""
        deadline = self._clock.now() + timeout_seconds
        return all(stage.join(max(0.0, deadline - self._clock.now())) for stage in self.stages)

    # -- the steps

    def _decode_one(self, job: Job) -> None:
        if not self._room_for(job):
            return self._drop(job, DECODE)
        invocation = self._way(job).pipeline.decode(job.record)
        self._charge(job, invocation.decoded_bytes, unfolded=1)
        job.invocation = invocation
        return self._enter(self._algorithm, job)

    def _room_for(self, job: Job) -> bool:
        """Wait until the budget has room for what the record unfolds to; False: the job is not wanted any more."""
        while job.ledger.taking:
            if self._budget.wait_for_room(_ROOM_POLL_SECONDS):
                return job.ledger.taking
        return False

    def _run_one(self, job: Job) -> None:
        assert job.invocation is not None  # the decode stage has put it there
        if not self._begin(job):
            return self._drop(job, ALGORITHM)
        try:
            outputs = self._way(job).pipeline.run(job.record, job.invocation)
        except (RecordError, TransientError):
            if not self._decide(job):
                return None  # it ran over its time and has its dead letter
            raise
        if self._decide(job):
            job.outputs = outputs
            self._enter(self._encode, job)
        return None

    def _begin(self, job: Job) -> bool:
        with self._deciding:
            job.begun = job.ledger.taking
            return job.begun

    def _decide(self, job: Job) -> bool:
        with self._deciding:
            first, job.settling = not job.settling, True
            return first

    def _encode_one(self, job: Job) -> None:
        if _is_over(job):
            return self._drop(job, ENCODE)
        if job.error is not None:
            self._release_tile(job)
            return self._way(job).outbox.dead_letter(job, job.error)
        assert job.invocation is not None  # the stages before have put them there
        assert job.outputs is not None
        result = self._way(job).pipeline.encode(job.record, job.invocation, job.outputs)
        self._release_tile(job)
        if _is_over(job):  # once more: an encoder may take its time
            return self._drop(job, ENCODE)
        self._charge(job, result.size, unfolded=1)
        return self._way(job).outbox.result(job, result)

    # -- what the steps share

    def _way(self, job: Job) -> Way:
        return job.way or self._usual

    def _enter(self, stage: Stage, job: Job) -> None:
        job.entered_at = self._clock.now()
        stage.put(job)

    def _drop(self, job: Job, stage: str) -> None:
        self._release_tile(job)
        self._way(job).tell(Dropped(job, stage))

    def _charge(self, job: Job, amount: int, *, unfolded: int) -> None:
        job.charged_bytes += amount
        job.unfolded += unfolded
        self._budget.change(amount, unfolded=unfolded)

    def _release_tile(self, job: Job) -> None:
        if job.invocation is not None:
            self._charge(job, -job.invocation.decoded_bytes, unfolded=-1)
        job.invocation = job.outputs = None

    def _guarded(self, stage: str, step: Callable[[Job], None]) -> Callable[[Job], None]:
        """The step with its time measured, and one answer to each branch of the error tree."""

        def work(job: Job) -> None:
            began = self._clock.now()
            try:
                self._metrics.observe("pesto_wait_seconds", began - job.entered_at, stage=stage)
                self._attempt(step, job)
                self._metrics.observe("pesto_stage_seconds", self._clock.now() - began, stage=stage)
            except FatalError as error:
                self._tell(Broken(error))
            except BaseException as bug:  # noqa: BLE001 - a thread that died unheard would hold its partition for ever: the loop stops
                failure = FatalError(f"bug in stage {stage} at {job.record.position}: {bug!r}")
                self._tell(Broken(failure.with_traceback(bug.__traceback__)))

        return work

    def _attempt(self, step: Callable[[Job], None], job: Job) -> None:
        try:
            step(job)
        except RecordError as error:
            self._reject_here(job, error)
        except TransientError as error:
            self._release_tile(job)
            self._way(job).tell(Interrupted(job, error))

    def _reject_here(self, job: Job, error: RecordError) -> None:
        self._release_tile(job)
        if job.ledger.live:
            job.begun = True  # something is sent for it, so a revocation waits for the answer
            self._way(job).outbox.dead_letter(job, error)
        else:
            self._way(job).tell(Dropped(job, error.stage))


def _is_over(job: Job) -> bool:
    """Whether its assignment is; another thread ends it."""
    return not job.ledger.live
