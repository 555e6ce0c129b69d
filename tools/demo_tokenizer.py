"""An ASCII-only BPE tokenizer, trained on text that ships with the project, so that it is the same everywhere.

ASCII only: with a byte vocabulary most of what a random model says isn't valid UTF-8, and servers hold such text back.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

ROOT = Path(__file__).resolve().parent.parent
SPECIAL_TOKENS = ("<unk>", "<s>", "</s>")
# Every printable ASCII character, and what the byte-level pre-tokenizer writes for space, newline and tab.
ALPHABET = [chr(code) for code in range(33, 127)] + ["\u0120", "\u010a", "\u0109"]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def training_text() -> list[str]:
    """The licence and the demo prompts: enough words for a few thousand merges, and they hardly ever change."""
    lines = (ROOT / "LICENSE").read_text(encoding="ascii").splitlines()
    prompts = (ROOT / "sweeps" / "prompts" / "demo.jsonl").read_text(encoding="ascii").splitlines()
    for line in prompts:
        lines += json.loads(line)["prompt"].splitlines()
    return lines


def train(vocab_size: int) -> Tokenizer:
    """A tokenizer of exactly `vocab_size` tokens: an id that no token has would decode to nothing."""
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL_TOKENS[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=ALPHABET,
        limit_alphabet=len(ALPHABET),
        show_progress=False,
    )
    tokenizer.train_from_iterator(training_text(), trainer)
    if tokenizer.get_vocab_size() != vocab_size:
        raise ValueError(f"the text gives {tokenizer.get_vocab_size()} tokens, not {vocab_size}: ask for fewer")
    return tokenizer


def tokenizer_config(max_length: int) -> dict[str, Any]:
    """What Transformers needs beside `tokenizer.json`; `PreTrainedTokenizerFast` is known to releases 4 and 5 alike."""
    unk, bos, eos = SPECIAL_TOKENS
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": unk,
        "bos_token": bos,
        "eos_token": eos,
        "model_max_length": max_length,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
