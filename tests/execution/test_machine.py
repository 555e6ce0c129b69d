from __future__ import annotations

import json

from vbench.execution.interpreters import find_interpreter
from vbench.execution.machine import machine_facts


def test_facts_can_be_stored_and_name_nobody() -> None:
    facts = machine_facts(find_interpreter(None, "fake"), "fake", {"version": "1", "platform": "cpu"})

    assert json.loads(json.dumps(facts)) == facts
    assert facts["cpus_allowed"] <= facts["cpu_count"]
    assert facts["memory_bytes"] > 2**20
    assert (facts["engine"], facts["engine_version"], facts["engine_platform"]) == ("fake", "1", "cpu")
    assert not {"hostname", "host", "user", "username"} & set(facts)
