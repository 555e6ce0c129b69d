"""Phases, passes and measurements of a slim record, stored as plain doubles and put together when someone looks.

What they hand out has the attributes of `record.Phase` and `record.Pass`, and the numbers are the same to the last bit:
a double holds every count and every size that there is (below 2⁵³), and which were whole is remembered.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from vbench.records.record import Requests

_T = TypeVar("_T")


@dataclass(slots=True)
class LightPhase:
    """As `record.Phase`. Not frozen, as that would take four times as long to make."""

    name: str
    index: int
    host: dict[str, Any] | None
    gpus: list[dict[str, Any]] | None
    start_s: float
    end_s: float
    peak_memory_bytes: int | None


@dataclass(slots=True)
class LightPass:
    """As `record.Pass`; `requests` without latencies."""

    index: int
    kind: str
    requests: Requests
    output_sha256: str | None
    engine_metrics: dict[str, float]
    start_s: float
    duration_s: float


class _Packed(Sequence[_T]):
    """A list whose items are made anew by every look at them."""

    __slots__ = ("_alike", "_own")

    def __init__(self, alike: tuple[Any, ...], own: array[float]) -> None:
        self._alike = alike
        self._own = own

    def __len__(self) -> int:
        return len(self._alike)

    @overload
    def __getitem__(self, place: int) -> _T: ...
    @overload
    def __getitem__(self, place: slice) -> list[_T]: ...
    def __getitem__(self, place: int | slice) -> _T | list[_T]:
        return list(self)[place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(self._alike)


class PackedPhases(_Packed[LightPhase]):
    """Of each: name, index, host, gpus alike in many records; start, end and peak its own."""

    __slots__ = ()

    @property
    def tells_of_machine(self) -> bool:
        """Whether any has `host` or `gpus`; much sooner known than by looking at each."""
        return any(host or gpus for _, _, host, gpus in self._alike)

    def __iter__(self) -> Iterator[LightPhase]:
        numbers = iter(self._own)
        for (name, index, host, gpus), start_s, end_s, peak in zip(self._alike, numbers, numbers, numbers, strict=True):
            yield LightPhase(name, index, host, gpus, start_s, end_s, None if peak != peak else int(peak))  # noqa: PLR0124

    def lengths(self) -> list[tuple[str, int, float]]:
        """As `phase_lengths`."""
        own = self._own
        return [
            (one[0], one[1], end_s - start_s)
            for one, start_s, end_s in zip(self._alike, own[::3], own[1::3], strict=True)
        ]


class PackedPasses(_Packed[LightPass]):
    """Of each: what was asked and counted alike in many records; start and duration its own."""

    __slots__ = ()

    def __iter__(self) -> Iterator[LightPass]:
        numbers = iter(self._own)
        for (index, kind, requests, digest, counted), start_s, duration_s in zip(
            self._alike, numbers, numbers, strict=True
        ):
            yield LightPass(index, kind, requests, digest, counted, start_s, duration_s)

    def lengths(self) -> list[tuple[str, int, float]]:
        """As `pass_lengths`."""
        return [(one[1], one[0], seconds) for one, seconds in zip(self._alike, self._own[1::2], strict=True)]


class Layout:
    """Where what is in the doubles of a record's measurements; many records have the same.

    `places` has, by name, the place of a number (None where it wasn't measured) and whether it was whole, or the places
    of a spread's parts by their names.
    """

    __slots__ = ("_asked", "_at", "flat", "places")

    def __init__(self, places: dict[str, Any]) -> None:
        self.places = places
        self.flat: dict[str, int] = {}
        """By the names that objectives use (`p95_ttft_s`)."""
        for name, place in places.items():
            if isinstance(place, dict):
                self.flat.update({f"{part}_{name}": at for part, at in place.items()})
            elif place is not None:
                self.flat[name] = place[0]
        self._asked: Sequence[str] = ()
        self._at: tuple[int | None, ...] = ()

    def at(self, names: Sequence[str]) -> tuple[int | None, ...]:
        """Where each is; asked for many records of the same names."""
        if self._asked is not names:
            self._asked, self._at = names, tuple(map(self.flat.get, names))
        return self._at


class PackedMeasurements(Mapping[str, Any]):
    """Numbers and spreads (`{mean, p50, …}`) by name."""

    __slots__ = ("_layout", "_own")

    def __init__(self, layout: Layout, own: array[float]) -> None:
        self._layout = layout
        self._own = own

    def __getitem__(self, name: str) -> Any:
        place = self._layout.places[name]
        if place is None:
            return None
        if isinstance(place, dict):
            return {part: self._own[at] for part, at in place.items()}
        at, is_whole = place
        value = self._own[at]
        return int(value) if is_whole else value

    def number(self, name: str) -> float | None:
        """As `metrics.value_of`: a number, or one of a spread (`p95_ttft_s`); None where it wasn't measured."""
        at = self._layout.flat.get(name)
        return None if at is None else self._own[at]

    def numbers(self, names: Sequence[str]) -> list[float | None]:
        """`number` of each name."""
        own = self._own
        return [None if at is None else own[at] for at in self._layout.at(names)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layout.places)

    def __len__(self) -> int:
        return len(self._layout.places)

    def __repr__(self) -> str:
        return repr(dict(self))


def phase_lengths(phases: Sequence[Any]) -> Sequence[tuple[str, int, float]]:
    """Of each phase its name, its index and its seconds."""
    if isinstance(phases, PackedPhases):
        return phases.lengths()
    return [(one.name, one.index, one.end_s - one.start_s) for one in phases]


def pass_lengths(passes: Sequence[Any]) -> Sequence[tuple[str, int, float]]:
    """Of each pass its kind, its index and its seconds."""
    if isinstance(passes, PackedPasses):
        return passes.lengths()
    return [(one.kind, one.index, one.duration_s) for one in passes]


def tells_of_machine(phases: Sequence[Any]) -> bool:
    """False where no phase has `host` or `gpus`."""
    if isinstance(phases, PackedPhases):
        return phases.tells_of_machine
    return any(one.host or one.gpus for one in phases)
