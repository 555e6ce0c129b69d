"""A sweep file to a SweepSpec: reads, applies `--set`, checks everything, and raises once with all that is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vbench.records.redaction import learn_settings
from vbench.spec.baseline import read_baseline
from vbench.spec.calling import OWN_WORDS, SHAPE_PREFIX, load_problem, sampling_problem
from vbench.spec.constraints import parse_constraint
from vbench.spec.digest import spec_digest
from vbench.spec.model import SweepFile, json_schema
from vbench.spec.model_folder import resolve_adapter, resolve_model
from vbench.spec.overrides import apply_overrides
from vbench.spec.parameters import ParameterReader, check_argument_name, check_paths, domains, is_none
from vbench.spec.problems import Problems, add_pydantic_errors, shown
from vbench.spec.prompt_reading import read_prompts_section
from vbench.spec.quality_section import read_quality
from vbench.spec.search_reading import Written, objectives_apart, read_deadlines, read_objectives, read_search
from vbench.spec.sweep_text import read_sweep_text
from vbench.spec.types import (
    Choice,
    Constraint,
    Emulation,
    MeasureSpec,
    Parameter,
    SweepSpec,
    is_nested_argument,
)
from vbench.spec.yaml_lines import read_yaml

__all__ = ["json_schema", "load_spec", "parse_spec", "spec_digest"]

# What faulty sections become while the rest of a file is checked; a file with a fault never becomes a spec.
_STAND_INS: dict[str, Any] = {
    "model": "stand/in",
    "prompts": {"synthetic": {"count": 1, "input_tokens": 1}, "output_tokens": 1},
}


def load_spec(path: Path, overrides: Sequence[str] = ()) -> SweepSpec:
    """Read and check a sweep file. Raises SpecError with every problem found, UsageError where the file isn't there."""
    return parse_spec(read_sweep_text(path), path, overrides)


def parse_spec(text: str, source: Path, overrides: Sequence[str] = ()) -> SweepSpec:
    """Check a sweep file's text. Relative paths count from the folder of `source`. Raises SpecError."""
    document = read_yaml(text, str(source))
    problems = Problems(document.lines, source=str(source))
    problems.add_unread(document.problems)
    raw = apply_overrides(document.value, overrides, SweepFile.model_fields, problems)
    learn_settings(raw)  # before anything is said of it
    raw, written = objectives_apart(raw)
    # A section whose every line is commented out reads as null, and is meant as absent.
    raw = {key: value for key, value in raw.items() if value is not None}
    reading = _Reading(_validate(raw, written, problems), Path(os.path.abspath(source)), problems)
    # A later check that looks up the line of a value must not be sent to the one that `--set` replaced.
    lines = {path: line for path, line in document.lines.items() if problems.typed(path) is None}
    spec = reading.spec(text, lines, written)
    problems.raise_if_any(str(source))
    return spec


def _validate(raw: dict[str, Any], written: Written, problems: Problems) -> SweepFile:
    try:
        return SweepFile.model_validate(raw)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        add_pydantic_errors(problems, errors, SweepFile, written)
        faulty = {one["loc"][0] for one in errors}
        sound = {key: value for key, value in raw.items() if key not in faulty}
        return SweepFile.model_validate({**_STAND_INS, **sound})


class _Reading:
    """One file on its way to a spec: its sections, where it lies, and what is wrong so far."""

    def __init__(self, file: SweepFile, source: Path, problems: Problems) -> None:
        self.file = file
        self.source = source
        self.problems = problems

    def spec(self, text: str, lines: Mapping[str, int], written: Written) -> SweepSpec:
        """The spec; worth something only if no problem was noted."""
        file = self.file
        prompts = read_prompts_section(file.prompts, self.source.parent, self.problems)
        objective, more_objectives = read_objectives(file, written, self.problems)
        engine_args = self._engine_args()
        reader = ParameterReader(
            problems=self.problems, resolve_model=self._model, resolve_python=self._python,
            is_grid=file.search.method == "grid",
        )  # fmt: skip
        parameters = reader.read(file.parameters, file.engine_args)
        check_paths(parameters, self.problems)
        search = read_search(file, prompts, more_objectives, self.problems)
        return SweepSpec(
            name=file.name or re.sub(r"[^A-Za-z0-9._-]+", "-", self.source.stem).lstrip(".-") or "sweep",
            description=file.description,
            model=self._model("model", file.model),
            engine=file.engine,
            python=None if file.python is None else self._python(file.python),
            hardware=file.hardware,
            emulate=None if file.emulate is None else Emulation(**file.emulate.model_dump()),
            prompts=prompts,
            mode=file.mode,
            replicas=file.replicas,
            sampling=self._sampling(),
            load=self._load(parameters),
            goodput={name: value for name, value in file.goodput.model_dump().items() if value is not None},
            lora_modules={name: self._model(f"lora_modules.{name}", at) for name, at in file.lora_modules.items()},
            engine_args=engine_args,
            environment=file.environment,
            parameters=parameters,
            search=search,
            objective=objective,
            more_objectives=more_objectives,
            constraints=self._constraints(parameters),
            measure=MeasureSpec(**file.measure.model_dump()),
            quality=read_quality(
                file.quality,
                self.source.parent,
                baseline=file.baseline,
                constraints=file.constraints,
                has_finals=bool(parameters and search.num_finalists),
                objectives=(objective, *more_objectives),
                problems=self.problems,
            ),
            deadlines=read_deadlines(file),
            worker_start=file.worker_start,
            baseline=self._baseline(parameters),
            source=self.source,
            text=text,
            lines=lines,
        )

    def _model(self, path: str, text: str) -> str:
        if text.startswith(SHAPE_PREFIX):
            return text  # which shapes there are the planner knows
        try:
            resolve = resolve_adapter if "lora_modules." in path else resolve_model
            return resolve(text, self.source.parent)
        except ValueError as error:
            self.problems.add(path, *error.args)
            return text

    def _python(self, text: str) -> str:
        # Not resolved: a virtual environment's interpreter is a link, and works only under its own path.
        return os.path.abspath(self.source.parent / os.path.expanduser(text)) if "/" in text else text

    def _engine_args(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for name, value in self.file.engine_args.items():
            path = f"engine_args.{name}"
            if name in OWN_WORDS or "." in name:
                self.problems.add(
                    path, f"{name.partition('.')[0]} is a key of its own, at the top", "or a parameter, to try several"
                )
            elif not check_argument_name(name, path, self.problems):
                continue
            elif isinstance(value, dict) and {"low", "high"} <= value.keys():
                self.problems.add(path, "a range is searched, not fixed", "put it under parameters")
            elif is_nested_argument(name) and isinstance(value, str) and not is_none(value):
                self.problems.add(path, f"{name} takes keys and values, got {shown(value)}")
            elif value is None or not is_none(value):
                # A null is passed on as None; `none` leaves the argument out, as it does under parameters.
                arguments[name] = value
        speculative = arguments.get("speculative_config")
        if isinstance(speculative, dict) and isinstance(speculative.get("model"), str):
            draft = self._model("engine_args.speculative_config.model", speculative["model"])
            arguments["speculative_config"] = {**speculative, "model": draft}
        return arguments

    def _sampling(self) -> dict[str, Any]:
        for name in self.file.sampling:
            problem = sampling_problem(name)
            if problem is not None:
                self.problems.add(f"sampling.{name}", problem)
        return self.file.sampling

    def _load(self, parameters: Sequence[Parameter]) -> dict[str, Any]:
        load = self.file.load.model_dump()
        problem = load_problem(load)
        # Where keys of it are searched too, what doesn't go together shows in the trials.
        if problem is not None and not any(path.rpartition("load.")[1] for path, _ in domains(parameters)):
            self.problems.add("load", *problem)
        return {name: value for name, value in load.items() if value is not None}

    def _constraints(self, parameters: Sequence[Parameter]) -> tuple[Constraint, ...]:
        names = {*self.file.engine_args, *self.file.parameters}
        for path, domain in domains(parameters):
            if isinstance(domain, Choice) and not is_nested_argument(path.rpartition(".")[2]):
                names.update(name for option in domain.options for name in option.settings)
        constraints = []
        for index, text in enumerate(self.file.constraints):
            try:
                constraints.append(parse_constraint(text, names))
            except ValueError as error:
                self.problems.add(f"constraints.{index}", *error.args)
        return tuple(constraints)

    def _baseline(self, parameters: Sequence[Parameter]) -> dict[str, Any] | None:
        if self.file.baseline is None:
            return None
        sound = {parameter.name for parameter in parameters}
        unsound = [name for name in self.file.parameters if name not in sound]
        # What is said about a parameter that couldn't be read is left unsaid: its own problem comes first.
        written = {
            key: value for key, value in self.file.baseline.items()
            if not any(f"{key}.".startswith(f"{name}.") for name in unsound)
        }  # fmt: skip
        return read_baseline(written, parameters, self.file.engine_args, self.problems)
