"""`count-tokens`: how long prompts are by a model's tokenizer, counted in the interpreter that holds the engine.

The request is on stdin: `tokenizer` (a folder, or a hub id that is in this machine's cache) and `file` (canonical JSON
Lines). Nothing is fetched, and no code of a model's is run.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List

_BATCH = 256


def count_tokens(request: Dict[str, Any]) -> List[int]:
    """Tokens of each prompt; raises whatever the tokenizer does."""
    os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    from transformers import AutoTokenizer  # here: other verbs must not pay for it, and it may not be there

    tokenizer = AutoTokenizer.from_pretrained(request["tokenizer"], trust_remote_code=False, local_files_only=True)
    with open(request["file"], encoding="utf-8") as file:
        return _counts([json.loads(line) for line in file if line.strip()], tokenizer)


def _counts(items: List[Dict[str, Any]], tokenizer: Any) -> List[int]:
    counts: List[int] = []
    for start in range(0, len(items), _BATCH):
        batch = items[start : start + _BATCH]
        if "prompt_token_ids" in batch[0]:
            counts += [len(item["prompt_token_ids"]) for item in batch]
        elif "prompt" in batch[0]:
            counts += [len(ids) for ids in tokenizer([item["prompt"] for item in batch])["input_ids"]]
        else:
            texts = [
                tokenizer.apply_chat_template(item["messages"], tokenize=False, add_generation_prompt=True)
                for item in batch
            ]
            # The template has written the special tokens already.
            counts += [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    return counts
