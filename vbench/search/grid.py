"""Every point of a finite space, once each, in the file's order."""

from __future__ import annotations

from collections.abc import Sequence

from vbench.records.record import TrialRecord
from vbench.search.base import Asking
from vbench.spec.calling import RUN_TIME_SECTIONS
from vbench.spec.space import Point, enumerate_points, walk
from vbench.spec.types import Parameter


class GridSearch:
    """The spec refuses continuous ranges without a step for this method, so the enumeration ends.

    What is asked of a running engine (`sampling.`, `load.`, `goodput`) turns fastest, so that an engine serves all
    trials that it can before the next is started.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._parameters = parameters
        self._points = enumerate_points(sorted(parameters, key=_is_run_time))

    def ask(self, asking: Asking) -> Point | None:
        """The next point in order that is allowed."""
        return next((point for point in map(self._in_order, self._points) if asking.is_allowed(point)), None)

    def tell(self, record: TrialRecord) -> None:
        """A grid learns nothing."""

    def tell_prior(self, records: Sequence[TrialRecord]) -> None:
        """A grid learns nothing."""

    def _in_order(self, point: Point) -> Point:
        """The same with its parameters in the file's order, which decides what wins over what."""
        return walk(self._parameters, lambda name, _: point.parameters[name])


def _is_run_time(parameter: Parameter) -> bool:
    return parameter.name.partition(".")[0] in RUN_TIME_SECTIONS
