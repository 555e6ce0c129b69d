"""Make a small Llama that has learned something, plain and rounded to 4 bits: what the check of answers is tried on.

usage: python tools/learned_model.py [--out models/learned]

It is trained, on one core and in about a minute, on the texts that vbench ships for its check of quality, and so knows
by heart what it is scored on later. That is the point: it has a likelihood to lose, as a random model hasn't, and what
it learns in a minute of other text wouldn't be enough. Nothing is downloaded. The same machine makes the same weights
again; on another CPU they may differ in their last digits. The folder appears whole or not at all, and one that is
already there from the same recipe is left alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo_model import RECIPE_FILE, new_folder, write_json  # before torch: it decides how torch sums

if TYPE_CHECKING:
    from demo_weights import Shape, Tensors
    from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ROOT / "vbench" / "quality" / "texts.jsonl"
RECIPE_VERSION = 1  # raise it when what the recipe writes changes
FORMS = (None, "awq", "gptq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """How it is trained. The rate rises over `warmup` steps and then falls in a line to a tenth."""

    shape: dict[str, int] = field(
        default_factory=lambda: {
            "hidden": 256, "layers": 2, "heads": 4, "kv_heads": 2, "intermediate": 512, "vocab": 512
        }
    )  # fmt: skip
    num_texts: int = 32
    """The first so many, which are those that a sweep scores by default."""
    steps: int = 800
    batch: int = 4
    window: int = 128
    """Tokens of each sequence in a batch."""
    rate: float = 3e-3
    warmup: int = 50
    weight_decay: float = 0.1
    seed: int = 0


def read_texts(count: int) -> list[str]:
    """The first of the shipped texts."""
    lines = TEXTS.read_text(encoding="utf-8").splitlines()
    return [str(json.loads(line)["text"]) for line in lines[:count]]


def stamp(learning: Learning) -> dict[str, Any]:
    """What the folder remembers of how it was made."""
    digest = hashlib.sha256("\n".join(read_texts(learning.num_texts)).encode()).hexdigest()
    return {"version": RECIPE_VERSION, "text_sha256": digest, **asdict(learning)}


def is_made(folder: Path, learning: Learning) -> bool:
    """Whether the folder holds what this recipe makes."""
    try:
        return bool(json.loads((folder / RECIPE_FILE).read_text(encoding="utf-8")) == stamp(learning))
    except (OSError, ValueError):
        return False


def make(folder: Path, learning: Learning) -> None:
    """Write `base`, `awq` and `gptq`, each a whole checkpoint, where they aren't there already."""
    if is_made(folder, learning):
        return
    from demo_weights import Shape

    texts, shape = read_texts(learning.num_texts), Shape(**learning.shape, seed=learning.seed)
    tokenizer = byte_tokenizer(texts, shape.vocab)
    weights = learned_weights([tokenizer.encode(text).ids for text in texts], shape, learning)
    with new_folder(folder) as new:
        for form in FORMS:
            write_form(new / (form or "base"), shape, weights, form, tokenizer)
        write_json(new / RECIPE_FILE, stamp(learning))


def byte_tokenizer(texts: Sequence[str], vocab_size: int) -> Tokenizer:
    """BPE over bytes: the texts are in several scripts, and none of their characters may be unknown."""
    from demo_tokenizer import SPECIAL_TOKENS
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=list(SPECIAL_TOKENS), show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def learned_weights(texts: Sequence[Sequence[int]], shape: Shape, learning: Learning) -> Tensors:
    """The weights after training on windows of the texts, one after the other with an end token between; bfloat16."""
    import torch
    from demo_weights import llama_config, random_weights
    from transformers import LlamaConfig, LlamaForCausalLM

    spelled_twice = ("architectures", "dtype", "torch_dtype", "rope_theta")
    config = {name: value for name, value in llama_config(shape).items() if name not in spelled_twice}
    model = LlamaForCausalLM(LlamaConfig(**config)).float()
    model.load_state_dict({name: tensor.float() for name, tensor in random_weights(shape).items()})
    tokens = torch.tensor([token for text in texts for token in (*text, config["eos_token_id"])])
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=learning.rate, betas=(0.9, 0.95), weight_decay=learning.weight_decay
    )
    generator = torch.Generator().manual_seed(learning.seed)
    for step in range(learning.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning.rate * min(1, (step + 1) / learning.warmup) * (1 - 0.9 * step / learning.steps)
        starts = torch.randint(0, len(tokens) - learning.window, (learning.batch, 1), generator=generator)
        windows = tokens[starts + torch.arange(learning.window + 1)]
        logits = model(input_ids=windows[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return {name: tensor.detach().bfloat16().contiguous() for name, tensor in model.state_dict().items()}


def write_form(folder: Path, shape: Shape, weights: Tensors, form: str | None, tokenizer: Tokenizer) -> None:
    """One checkpoint: the weights as they are, or rounded to nearest in that layout."""
    import demo_quantize
    from demo_tokenizer import tokenizer_config
    from demo_weights import llama_config
    from safetensors.torch import save_file

    config = llama_config(shape)
    if form is not None:  # float16 is the activation type of both formats
        weights, about = getattr(demo_quantize, form)(weights)
        config = {**llama_config(shape, dtype="float16"), "quantization_config": about}
    folder.mkdir()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", config)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", tokenizer_config(shape.max_positions))


def main() -> None:
    """Make it if it is missing and say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "learned", help="the folder to make it in")
    parser.add_argument("--steps", type=int, default=Learning().steps, help="steps of training")
    given = parser.parse_args()
    learning = Learning(steps=given.steps)
    if not is_made(given.out, learning):
        start = time.monotonic()
        make(given.out, learning)
        print(f"{given.out}: trained in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
