"""When each request of a pass is sent, and how a pass of single requests is driven and timed.

`load` (the sweep file's section; names of vLLM's `bench serve`): `request_rate` (per second; absent: all at once),
`arrival` (`poisson`, `constant`, `gamma` with `burstiness`, `burst` of `burst_size` at a time), `ramp_up_strategy`
(`linear`, `exponential`) with `ramp_up_start_rps` and `ramp_up_end_rps`, `max_concurrency`, `seed`.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional


def arrival_offsets(count: int, load: Dict[str, Any]) -> Optional[List[float]]:
    """Seconds from the pass's start at which each of `count` requests is sent; None: all at once."""
    if load.get("request_rate") is None and load.get("ramp_up_strategy") is None:
        return None
    raise NotImplementedError
