"""A sweep cut down to one configuration, for `vbench run`."""

from __future__ import annotations

import dataclasses

from vbench.spec.config import baseline_point, divided
from vbench.spec.space import Point, walk
from vbench.spec.types import Choice, Domain, Scalar, SearchSpec, SweepSpec


def single_trial(spec: SweepSpec) -> SweepSpec:
    """The sweep with everything fixed: its baseline, or else the first of each choice. Named `NAME-run`, so that the
    sweep itself isn't taken for changed."""
    point = baseline_point(spec) or _first_point(spec)
    sections, others = divided(spec, point.settings)
    return dataclasses.replace(
        spec,
        name=f"{spec.name}-run",
        sampling=sections["sampling"],
        load={name: value for name, value in sections["load"].items() if value is not None},
        environment=sections["environment"],
        python=others.pop("python", spec.python),
        engine_args={**spec.engine_args, **others},
        parameters=(),
        baseline=None,
        search=SearchSpec(method="grid", trials=1),
    )


def _first_point(spec: SweepSpec) -> Point:
    def first(name: str, domain: Domain) -> Scalar:  # noqa: ARG001
        return domain.options[0].label if isinstance(domain, Choice) else domain.low

    return walk(spec.parameters, first)
