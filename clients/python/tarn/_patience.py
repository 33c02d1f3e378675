# SPDX-License-Identifier: Apache-2.0
"""How long to wait before a gateway that is full is asked again. Such a gateway has refused the call before it did anything, so any call may
be made again; it says when at the earliest. Each further time waits longer, and each client for another time."""
from __future__ import annotations

import random
import time

from tarn import _errno
from tarn.errors import PyDError

_MORE = 0.02  # seconds, at most, that the first pause is longer than the gateway says; the second twice that
_MOST = 5.0


class Patience:
    """The patience of one call, or of many that are made together, in seconds from now."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._times = 0

    def again(self, error: PyDError) -> bool:
        """Whether to make the call again, after a pause that is over now."""
        if error.error.err != -_errno.DER_OVERLOAD_RETRY:
            return False
        delay = min(max(error.delay, 0.0), _MOST)
        pause = min(delay + random.uniform(0, (_MORE + delay / 2) * 2 ** min(self._times, 8)), _MOST)
        if time.monotonic() + pause > self._until:
            return False
        self._times += 1
        time.sleep(pause)
        return True
