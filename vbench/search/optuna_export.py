"""A run as an Optuna study in a database, for optuna-dashboard and whatever else reads studies.

Made of the records alone: the study is a copy, the records stay what counts.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from vbench.errors import StoreError, UsageError
from vbench.metrics import measure, value_of
from vbench.records.record import TrialRecord
from vbench.search.optuna_space import constraints_of, distribution_of, told_as
from vbench.spec.parameters import label_of
from vbench.spec.space import walk
from vbench.spec.types import Choice, Domain, Objective, Parameter, Scalar
from vbench.units import MIB

_PASSWORD = re.compile(r"(://[^:/@]*:).*@")


def export_study(
    records: Sequence[TrialRecord], parameters: Sequence[Parameter], objectives: Sequence[Objective], url: str,
    name: str, facts: Mapping[str, Any], *, replace: bool = False,
) -> int:  # fmt: skip
    """Write the study `name` into the database at `url`; returns how many trials it has. `facts` are kept with it.

    Raises UsageError where there is such a study (unless `replace`) or the URL means no database, StoreError where the
    database can't be written.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = _storage(url)
    if name in optuna.get_all_study_names(storage):
        if not replace:
            raise UsageError(
                f"there is a study {name!r} in {shown_url(url)}: add --replace, or give another name with --study"
            )
        optuna.delete_study(study_name=name, storage=storage)
    study = optuna.create_study(
        storage=storage, study_name=name, directions=[objective.direction for objective in objectives]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([objective.metric for objective in objectives])
    for key, value in facts.items():
        study.set_user_attr(key, value)
    space = _space(records, parameters)
    ordered = sorted(records, key=lambda record: record.trial)
    study.add_trials([_trial(record, parameters, space, objectives) for record in ordered])
    return len(ordered)


def shown_url(url: str) -> str:
    """The URL as it may be printed: without its password."""
    return _PASSWORD.sub(r"\1***@", url)


def _storage(url: str) -> optuna.storages.RDBStorage:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    shown, hint = shown_url(url), "write sqlite:///FILE, e.g. sqlite:///study.db"
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
            raise UsageError(f"{shown} is a database in memory, which is gone when the command ends: {hint}")
        return optuna.storages.RDBStorage(url)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise UsageError(f"{shown!r} is no database that can be opened ({hint}): {error}") from error
    except ImportError as error:
        driver = getattr(error.__cause__, "name", None) or getattr(error.__context__, "name", None) or "its driver"
        raise UsageError(
            f"{shown} needs a Python package that isn't there ({driver}): install it, or {hint}"
        ) from error
    except SQLAlchemyError as error:
        raise StoreError(f"{shown} can't be opened as a database: {str(error).splitlines()[0]}") from error


def _trial(
    record: TrialRecord, parameters: Sequence[Parameter], space: Mapping[str, BaseDistribution],
    objectives: Sequence[Objective],
) -> FrozenTrial:  # fmt: skip
    state, values = told_as(record, objectives)
    chosen = _chosen(record, parameters, space)
    trial = optuna.trial.create_trial(
        state=state,
        values=values,
        params=chosen,
        distributions={name: space[name] for name in chosen},
        user_attrs=_attributes(record),
        intermediate_values=_passes(record, objectives[0]) if len(objectives) == 1 else None,
        constraints=(constraints_of(record) or None) if state == TrialState.COMPLETE else None,
    )
    start = _local(record.started_at)
    if start is not None:
        trial.datetime_start = start
        trial.datetime_complete = start + timedelta(seconds=record.duration_s or 0.0)
    return trial


def _space(records: Sequence[TrialRecord], parameters: Sequence[Parameter]) -> dict[str, BaseDistribution]:
    """The distribution of each parameter at any depth: the file's, made wider where a baseline lies outside it; of one
    that the file no longer tells, the values that were tried."""
    found: dict[str, BaseDistribution] = {}

    def look(path: str, domain: Domain) -> None:
        found[path] = distribution_of(domain)
        for option in domain.options if isinstance(domain, Choice) else ():
            for name, setting in option.settings.items():
                if not isinstance(setting, (str, int, float, type(None), list, dict)):
                    look(f"{path}.{option.label}.{name}", setting)

    for parameter in parameters:
        look(parameter.name, parameter.domain)
    tried: dict[str, dict[str, Scalar]] = {}
    for record in records:
        for name, value in record.parameters.items():
            if isinstance(value, (str, int, float, type(None))):
                tried.setdefault(name, {})[label_of(value)] = value
    for name, values in tried.items():
        if name not in found:
            found[name] = CategoricalDistribution(list(values))
    return found


def _chosen(
    record: TrialRecord, parameters: Sequence[Parameter], space: Mapping[str, BaseDistribution]
) -> dict[str, Scalar]:
    """What the record chose, as Optuna holds it. What lies outside its range (a baseline may) is left out here, and
    stands in the user attribute `parameters`."""
    chosen: dict[str, Scalar] = {}
    known = {parameter.name for parameter in parameters}

    def choose(name: str, domain: Domain) -> Scalar:
        value = record.parameters[name]
        if isinstance(domain, Choice):
            chosen[name] = domain.label_of(value)
            return chosen[name]
        if domain.contains(value):
            chosen[name] = float(value) if isinstance(space[name], FloatDistribution) else value
        return value  # type: ignore[no-any-return]

    for parameter in parameters:
        try:
            walk([parameter] if parameter.name in record.parameters else [], choose)
        except KeyError:
            continue  # not of this space, or recorded in part
    for name, value in record.parameters.items():
        if name.partition(".")[0] not in known and name not in known and name in space:
            chosen[name] = label_of(value)
    return chosen


def _attributes(record: TrialRecord) -> dict[str, Any]:
    """What a study has no field for."""
    peak = value_of(record.measurements, "peak_memory_bytes")
    known = {
        "trial": record.trial,
        "outcome": record.outcome.value,
        "origin": record.origin,
        "failure_class": None if record.failure is None else record.failure.failure_class,
        "duration_s": record.duration_s,
        "peak_memory_mib": None if peak is None else round(peak / MIB, 1),
        "repeat_of": record.repeat_of,
        "stopped_bound": None if record.stopped is None else record.stopped.bound,
        "parameters": dict(record.parameters),
    }
    return {name: value for name, value in known.items() if value is not None}


def _passes(record: TrialRecord, objective: Objective) -> dict[int, float]:
    """The objective of each timed pass by itself, by the pass's index."""
    timed = [one for one in record.passes if one.kind == "timed"]
    goodput = record.config.get("goodput")
    values = {one.index: value_of(measure([one], [], goodput), objective.metric) for one in timed}
    return {index: value for index, value in values.items() if value is not None}


def _local(started_at: str) -> datetime | None:
    """As Optuna keeps times: local, without a zone."""
    try:
        when = datetime.fromisoformat(started_at)
    except ValueError:
        return None
    return when.replace(tzinfo=when.tzinfo or UTC).astimezone().replace(tzinfo=None)
