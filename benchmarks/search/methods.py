"""The methods that are compared, each by its name.

`default` is what a sweep without a `search:` section gets. Those of plain Optuna and the grid neither stop a trial
early nor pay for a probe. `tpe` is Optuna's TPE as `method: tpe` sets it up (multivariate, grouped, never the same
configuration twice); `tpe-plain` has nothing but Optuna's defaults and pays for its repeats.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vbench.records.record import TrialRecord
from vbench.search.base import Asking, Searcher
from vbench.search.make import make_searcher
from vbench.spec.space import Point, enumerate_points
from vbench.spec.types import SearchSpec, SweepSpec

MakeSearcher = Callable[[SweepSpec], Searcher]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way to search. `search` are its `search:` settings; `make` makes the searcher from the spec with these."""

    name: str
    what: str
    search: dict[str, Any] = field(default_factory=dict)
    make: MakeSearcher = make_searcher
    repeats: bool = False
    """Whether it may try a configuration again, and pays for it again."""
    is_seeded: bool = True
    """False: every seed gives the same."""

    def spec(self, spec: SweepSpec, seed: int, trials: int) -> SweepSpec:
        """The sweep with this method instead of the file's `search:` section."""
        return replace(spec, search=SearchSpec(**{"seed": seed, "trials": trials, **self.search}))


class ShuffledGrid:
    """Every point of the space once, in a random order."""

    def __init__(self, spec: SweepSpec) -> None:
        self._points = list(enumerate_points(spec.parameters))
        random.Random(spec.search.seed).shuffle(self._points)

    def ask(self, asking: Asking) -> Point | None:
        """The next in that order."""
        return next((point for point in self._points if asking.is_allowed(point)), None)

    def tell(self, record: TrialRecord) -> None:
        """A grid learns nothing."""

    def tell_prior(self, records: Sequence[TrialRecord]) -> None:
        """A grid learns nothing."""


def plain_tpe(spec: SweepSpec) -> Searcher:
    """`plain.PlainTPE`; Optuna is imported only where it is needed."""
    from benchmarks.search.plain import PlainTPE

    return PlainTPE(spec)


def _optuna(name: str, method: str, what: str, **search: Any) -> Method:
    return Method(name=name, what=what, search={"method": method, **search})


COMPARED = (
    Method(name="default", what="`method: auto` and all that it switches on", search={"method": "auto"}),
    _optuna("tpe", "tpe", "Optuna's TPE: multivariate, grouped, no repeats"),
    Method(name="tpe-plain", what="Optuna's TPE as it comes; repeats are paid for", search={"method": "tpe"},
           make=plain_tpe, repeats=True),
    _optuna("random", "random", "Optuna's random sampler, no repeats"),
    Method(name="grid", what="the grid in the file's order", search={"method": "grid"}, is_seeded=False),
    Method(name="grid-shuffled", what="the grid in a random order", search={"method": "grid"}, make=ShuffledGrid),
)  # fmt: skip
ABLATIONS = (
    Method(name="default, no early stop", what="without `prune`", search={"method": "auto", "prune": False}),
    Method(name="default, no probe", what="`probe_prompts: 0`", search={"method": "auto", "probe_prompts": 0}),
    Method(name="default, probe", what="`probe_prompts: 4`", search={"method": "auto", "probe_prompts": 4}),
    _optuna("tpe + early stop", "tpe", "TPE, `prune: true`", prune=True),
    _optuna("random + early stop", "random", "random, `prune: true`", prune=True),
    _optuna("random + early stop + probe", "random", "random, `prune: true`, `probe_prompts: 4`", prune=True,
            probe_prompts=4),
)  # fmt: skip
BY_NAME = {method.name: method for method in (*COMPARED, *ABLATIONS)}
