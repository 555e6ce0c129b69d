"""A sweep that this machine can run: everything asked and checked, nothing started or written yet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vbench.errors import Problem, SpecError
from vbench.execution.arguments import check_arguments
from vbench.execution.interpreters import Interpreter, describe_engine, find_interpreter
from vbench.execution.named_interpreters import NamedInterpreter, ask_each, merged
from vbench.planner.dummy_model import check_shape, is_shape
from vbench.prompts.prompt_set import PromptSet, load_prompt_set
from vbench.records.record import EngineFacts, PromptSetFacts
from vbench.spec.config import displayed_path
from vbench.spec.digest import spec_digest
from vbench.spec.types import SweepSpec
from vbench.sweep.planning import SweepPlanner, abilities_of
from vbench.sweep.target import Target, resolve_target


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The sweep, its prompts, the engine that was found and what it accepts, the profile that trials run under."""

    spec: SweepSpec
    prompt_set: PromptSet
    interpreter: Interpreter
    description: dict[str, Any]
    target: Target
    others: Mapping[str, NamedInterpreter] = field(default_factory=dict)
    """The interpreters that options name, by path as the sweep has it."""

    @property
    def hardware(self) -> str:
        """The name that trials are judged by."""
        return self.target.name

    @property
    def digest(self) -> str:
        """What makes two runs the same: the sweep, its prompts and the engine's version."""
        versions = [one.interpreter.engine_version for one in self.others.values() if one.interpreter is not None]
        parts = (spec_digest(self.spec), self.prompt_set.sha256, self.interpreter.engine_version, *versions)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def engine_facts(self, python: object) -> EngineFacts:
        """Which engine would run, for the record of a trial that wasn't started; `python` as for `engine_version`."""
        found = self._interpreter(python)
        return EngineFacts(name=self.spec.engine, version=found.engine_version, python=found.python_version)

    @property
    def prompt_facts(self) -> PromptSetFacts:
        """The prompts, for the record of a trial that wasn't started."""
        prompts = self.prompt_set
        return PromptSetFacts(
            sha256=prompts.sha256,
            num_prompts=prompts.num_prompts,
            output_tokens=prompts.output_tokens,
            source=displayed_path(prompts.source),
        )

    def engine_version(self, python: object) -> str:
        """Of the engine that runs a configuration; `python` is the interpreter that its option names, if any."""
        return self._interpreter(python).engine_version

    def _interpreter(self, python: object) -> Interpreter:
        named = self.others.get(str(python))
        found = named.interpreter if named is not None else None
        return found or self.interpreter

    def planner(self) -> SweepPlanner:
        """The planner of this sweep on its target, with what each installed engine says of itself."""
        engine = abilities_of(self.spec.engine, self.interpreter.engine_version, self.description)
        others = {
            python: None if named.interpreter is None
            else abilities_of(self.spec.engine, named.interpreter.engine_version, named.description)
            for python, named in self.others.items()
        }  # fmt: skip
        return SweepPlanner(self.spec, self.target.budget, engine, others)


def prepare(spec: SweepSpec) -> Prepared:
    """Check the sweep against its prompts, this machine and the installed engine. Raises SpecError, MachineError."""
    prompt_set = load_prompt_set(spec.prompts, spec.model)
    _check_shape(spec, prompt_set)
    interpreter = find_interpreter(spec.python, spec.engine)
    description = describe_engine(interpreter, spec.engine)
    others = ask_each(spec.interpreters(), spec.engine)
    target = resolve_target(spec, description.get("platform"))
    check_arguments(spec, merged([description, *(one.description for one in others.values() if one.description)]))
    return Prepared(
        spec=spec, prompt_set=prompt_set, interpreter=interpreter, description=description, target=target,
        others=others,
    )  # fmt: skip


def _check_shape(spec: SweepSpec, prompt_set: PromptSet) -> None:
    """A shape has neither weights nor a tokenizer: what it is asked must be token ids."""
    if not is_shape(spec.model):
        return
    check_shape(spec.model, str(spec.source), spec.lines.get("model.shape", spec.lines.get("model")))
    if "prompt_token_ids" not in prompt_set.items[0]:
        hint = "use synthetic prompts, or a file of prompt_token_ids"
        raise SpecError(str(spec.source), [Problem(message="a shape has no tokenizer", key="prompts", hint=hint)])
