"""How many tokens a running pass has so far, told now and then to whoever looks on.

It costs the measurement nothing that could be seen: no chunk is touched for it. Twice a second the tokens that came are
counted (50 ns a request) and one short line is written (10 µs), of which none is waited for. What takes longer is done
less often, so that it never has more than `MAX_DUTY` of the client's time.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any, Callable, List, Optional

OnTokens = Callable[[int, float], None]
"""Is told the output tokens so far, and the seconds that they took."""
TELL_S = 0.5
MAX_DUTY = 0.0005


class Teller:
    """Of one pass: `requests` have the `token_ids` that came, `start` is when it began, on the monotonic clock."""

    def __init__(self, on_tokens: Optional[OnTokens], requests: List[Any], start: float) -> None:
        self._on_tokens, self._requests, self._start = on_tokens, requests, start
        self.due_t = math.inf if on_tokens is None else start + TELL_S
        self._timer: Optional[asyncio.TimerHandle] = None

    def tell(self, now: float) -> None:
        """Count and tell, and find out when to do it next."""
        assert self._on_tokens is not None
        self._on_tokens(sum(len(one.token_ids) for one in self._requests), now - self._start)
        took_s = time.monotonic() - now
        self.due_t = now + max(TELL_S, took_s / MAX_DUTY)

    def begin(self) -> None:
        """Tell whenever it is time, by the running event loop, until `end`."""
        if self.due_t < math.inf:
            wait_s = max(0.0, self.due_t - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._tick)

    def end(self) -> None:
        """Tell nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        self.tell(time.monotonic())
        self.begin()
