"""The line of every table here that says what it was measured with."""

from __future__ import annotations

from datetime import UTC, datetime

from vbench.execution.interpreters import describe_engine, find_interpreter
from vbench.execution.machine import machine_facts


def measured_with(engine: str, command: str) -> str:
    """Command, day, engine, Python, processor, cores, load average now."""
    interpreter = find_interpreter(None, engine)
    facts = machine_facts(interpreter, engine, describe_engine(interpreter, engine))
    named = f"vLLM {facts['engine_version']} (CPU)" if engine == "vllm" else "fake engine"
    return (
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d}; {named}, Python {facts['python_version']}, {facts['cpu']}, "
        f"{facts['cpus_allowed']} cores, load average {facts['load_average']} at the end."
    )
