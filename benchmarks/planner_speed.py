"""How long the planner takes for a thousand configurations.

    .venv/bin/python benchmarks/planner_speed.py [--rounds 5]

Half of them don't fit, so that looking for remedies is timed too. Every configuration differs, so that nothing is
answered from a cache but what a sweep would share as well (one model's parameter list). Prints one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from typing import Any

from vbench.planner.budget import Budget
from vbench.planner.parameters import matrices
from vbench.planner.shipped import shape_names, shipped_shape
from vbench.planner.verdict import plan
from vbench.planner.weights import weights_by_stage

T4S = Budget(visible_bytes=15_636_037_632, num_gpus=2, compute_capability=(7, 5), name="T4")


def configurations() -> list[tuple[str, dict[str, Any]]]:
    """A thousand, over every shipped shape."""
    product = itertools.product(
        (0.8, 0.85, 0.9, 0.95), (1024, 2048, 4096), (1, 2), (None, "awq"), (True, False), shape_names()
    )
    found = [
        (
            shape,
            {
                "dtype": "float16", "gpu_memory_utilization": utilization, "max_model_len": length,
                "tensor_parallel_size": ranks, "quantization": quantization, "enforce_eager": eager,
            },
        )
        for utilization, length, ranks, quantization, eager, shape in product
    ]  # fmt: skip
    return found[:1000]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    cases = [(shipped_shape(shape), config) for shape, config in configurations()]
    seconds = []
    verdicts: dict[str, int] = {}
    for _ in range(rounds):
        matrices.cache_clear()
        weights_by_stage.cache_clear()
        start = time.perf_counter()
        found = [plan(config, shape, T4S) for shape, config in cases]
        seconds.append(round(time.perf_counter() - start, 4))
        verdicts = {
            verdict: sum(1 for one in found if one.verdict == verdict) for verdict in {x.verdict for x in found}
        }
    print(json.dumps({"configurations": len(cases), "seconds": seconds, "verdicts": dict(sorted(verdicts.items()))}))


if __name__ == "__main__":
    main()
