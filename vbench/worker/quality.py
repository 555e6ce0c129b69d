"""How good the engine's answers are: the likelihood of fixed texts, and greedy answers to a few prompts.

Comes after the timed passes and is never timed. What fails here costs the trial this alone.
"""

from __future__ import annotations

import json
import time
from typing import Any, Dict, List

from .engines.base import Engine, Work

NUM_ALONE = 2
"""So many prompts are answered once more by themselves, where that is asked for."""


def quality_event(engine: Engine, request: Dict[str, Any], items: List[Dict[str, Any]]) -> Dict[str, Any]:
    """The event of one trial. `request["quality"]` says what of:

    `texts_file` (JSON lines with `text`), `most_tokens` of each, `greedy_prompts` of the prompt items answered with
    `greedy_tokens` tokens each, and `alone`: whether a few of them are answered by themselves too, to see whether the
    engine's answers depend on what else is in the batch.
    """
    asked = request["quality"]
    start = time.monotonic()
    engine.reset_prefix_cache()  # whatever the passes left there: a cached block may be rounded otherwise
    with open(asked["texts_file"], encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file if line.strip()]
    scores = engine.score(texts, asked["most_tokens"])
    prompts = [_bare(item) for item in items[: asked["greedy_prompts"]]]
    work = {"output_tokens": asked["greedy_tokens"], "lora_modules": request.get("lora_modules")}
    greedy = engine.greedy(prompts, Work(work)) if prompts else []
    alone = None
    if asked.get("alone") and not work["lora_modules"]:  # by itself a prompt would get the first adapter
        alone = [engine.greedy([item], Work(work))[0] for item in prompts[:NUM_ALONE]]
    return {
        "event": "quality",
        "nll": [round(nll, 6) for nll in scores.nll],
        "tokens": scores.tokens,
        "num_cut": scores.num_cut,
        "greedy": greedy,
        "alone": alone,
        "duration_s": round(time.monotonic() - start, 6),
    }


def _bare(item: Dict[str, Any]) -> Dict[str, Any]:
    return {name: value for name, value in item.items() if name != "output_tokens"}
