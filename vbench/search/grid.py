"""Every point of a finite space, once each, in the file's order."""

from __future__ import annotations

from collections.abc import Sequence

from vbench.records.record import TrialRecord
from vbench.search.base import Asking
from vbench.spec.space import Point, enumerate_points
from vbench.spec.types import Parameter


class GridSearch:
    """The spec refuses continuous ranges without a step for this method, so the enumeration ends."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._parameters = parameters
        self._points = enumerate_points(parameters)

    def ask(self, asking: Asking) -> Point | None:
        """The next point in order that is allowed."""
        return next((point for point in self._points if asking.is_allowed(point)), None)

    def tell(self, record: TrialRecord) -> None:
        """A grid learns nothing."""

    def tell_prior(self, records: Sequence[TrialRecord]) -> None:
        """A grid learns nothing."""
