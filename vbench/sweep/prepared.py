"""A sweep that this machine can run: everything asked and checked, nothing started or written yet."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from vbench.execution.arguments import check_arguments
from vbench.execution.interpreters import Interpreter, describe_engine, find_interpreter
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

    @property
    def hardware(self) -> str:
        """The name that trials are judged by."""
        return self.target.name

    @property
    def digest(self) -> str:
        """What makes two runs the same: the sweep, its prompts and the engine's version."""
        parts = (spec_digest(self.spec), self.prompt_set.sha256, self.interpreter.engine_version)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def engine_facts(self) -> EngineFacts:
        """Which engine would run, for the record of a trial that wasn't started."""
        found = self.interpreter
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

    def planner(self) -> SweepPlanner:
        """The planner of this sweep on its target, with what the installed engine says of itself."""
        engine = abilities_of(self.spec.engine, self.interpreter.engine_version, self.description)
        return SweepPlanner(self.spec, self.target.budget, engine)


def prepare(spec: SweepSpec) -> Prepared:
    """Check the sweep against its prompts, this machine and the installed engine. Raises SpecError, MachineError."""
    prompt_set = load_prompt_set(spec.prompts, spec.model)
    interpreter = find_interpreter(spec.python, spec.engine)
    description = describe_engine(interpreter, spec.engine)
    target = resolve_target(spec, description.get("platform"))
    check_arguments(spec, description)
    return Prepared(spec=spec, prompt_set=prompt_set, interpreter=interpreter, description=description, target=target)
