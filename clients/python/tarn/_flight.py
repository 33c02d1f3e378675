# SPDX-License-Identifier: Apache-2.0
"""Many calls at once: at most 16 in flight, as PyDAOS has.

The first call that fails stops the sending. Those in flight are waited for, so that nothing changes any more when the error is raised.
"""
from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import grpc

from tarn._gateway import Gateway
from tarn.errors import PyDError

IN_FLIGHT = 16
_PAUSE, _PAUSE_MOST = 0.1, 5.0  # seconds, when the gateway says that it has too much to do


class Job(NamedTuple):
    """A call to start: method(request). done takes the answer, and gives the jobs that are left of this one."""

    method: Any
    request: Callable[[], Any]
    timeout: float
    done: Callable[[Any], Iterable[Job]] = lambda _: ()


def fly(gateway: Gateway, what: str, jobs: Iterable[Job]) -> None:
    """Does all the jobs, and those that come of them, in any order. Raises the first PyDError."""
    _Flight(gateway, what, jobs).run()


class _Flight:
    def __init__(self, gateway: Gateway, what: str, jobs: Iterable[Job]) -> None:
        self.gateway, self.what = gateway, what
        self.jobs: Iterator[Job] = iter(jobs)
        self.again: deque[Job] = deque()
        self.flying: deque[tuple[Job, Any]] = deque()
        self.failed: PyDError | None = None
        self.patience = time.monotonic() + gateway.timeout  # how long an overloaded gateway is asked again

    def run(self) -> None:
        try:
            self.fill()
            while self.flying:
                self.land()
                self.fill()
        finally:
            for _, future in self.flying:  # there are some when this thread is interrupted
                future.cancel()
        if self.failed:
            raise self.failed

    def fill(self) -> None:
        while not self.failed and len(self.flying) < IN_FLIGHT:
            job = self.again.popleft() if self.again else next(self.jobs, None)
            if job is None:
                return
            self.flying.append((job, self.gateway.start(self.what, job.method.future, job.request(), job.timeout)))

    def land(self) -> None:
        job, future = self.flying[0]
        try:
            answer = future.result()
            self.again.extend(job.done(answer))
        except grpc.RpcError as error:
            self.judge(job, self.gateway.error(self.what, error))
        except PyDError as error:
            self.judge(job, error)
        self.flying.popleft()

    def judge(self, job: Job, error: PyDError) -> None:
        if error.error.name == "DER_OVERLOAD_RETRY" and time.monotonic() < self.patience:
            time.sleep(max(_PAUSE, min(error.delay, _PAUSE_MOST)) * random.uniform(1, 1.5))  # the call was refused before it did anything
            self.again.append(job)
        else:
            self.failed = self.failed or error
