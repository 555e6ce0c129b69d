"""Make the small models that the demo and the tests run: random Llamas with a tokenizer, plain, AWQ and GPTQ.

usage: python tools/demo_model.py [--out models] [demo|tiny|all]

Nothing is downloaded. Every file is the same wherever it is made. A folder appears whole or not at all, and one that is
already there from the same recipe is left alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Before torch is imported: the order of a parallel sum must not depend on how many cores a machine has.
os.environ.setdefault("OMP_NUM_THREADS", "1")

RECIPE_VERSION = 1  # raise it when what a recipe writes changes; folders made by another version are made again
RECIPE_FILE = "recipe.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One checkpoint folder."""

    path: str
    shape: dict[str, int]
    quantization: str | None = None


DEMO = {"hidden": 512, "layers": 4, "heads": 8, "kv_heads": 4, "intermediate": 1408, "vocab": 1536}
TINY = {"hidden": 256, "layers": 4, "heads": 4, "kv_heads": 2, "intermediate": 768, "vocab": 1024}
# Its tokens are those of `tiny`, its weights are not: a draft whose guesses are never right.
DRAFT = {**TINY, "hidden": 64, "layers": 1, "heads": 2, "kv_heads": 1, "intermediate": 128, "seed": 3}
SETS = {
    "demo": [
        Recipe(path="demo/base", shape=DEMO),
        Recipe(path="demo/awq", shape=DEMO, quantization="awq"),
        Recipe(path="demo/gptq", shape=DEMO, quantization="gptq"),
    ],
    "tiny": [
        Recipe(path="tiny/base", shape=TINY),
        Recipe(path="tiny/awq", shape=TINY, quantization="awq"),
        Recipe(path="tiny/gptq", shape=TINY, quantization="gptq"),
        Recipe(path="tiny/draft", shape=DRAFT),
    ],
}


def stamp(recipe: Recipe) -> dict[str, Any]:
    """What the folder remembers of how it was made."""
    from demo_tokenizer import training_text

    text = "\n".join(training_text())
    return {"version": RECIPE_VERSION, "text_sha256": hashlib.sha256(text.encode()).hexdigest(), **asdict(recipe)}


def is_made(folder: Path, recipe: Recipe) -> bool:
    """Whether the folder holds what this recipe makes."""
    try:
        made = json.loads((folder / RECIPE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(made == stamp(recipe))


def write_model(folder: Path, recipe: Recipe) -> None:
    """Write config, tokenizer and weights into `folder`."""
    from demo_quantize import awq, gptq
    from demo_tokenizer import tokenizer_config, train
    from demo_weights import Shape, llama_config, random_weights
    from safetensors.torch import save_file

    shape = Shape(**recipe.shape)
    tensors = random_weights(shape)
    config = llama_config(shape)
    if recipe.quantization is not None:
        tensors, quantization_config = {"awq": awq, "gptq": gptq}[recipe.quantization](tensors)
        config = {**llama_config(shape, dtype="float16"), "quantization_config": quantization_config}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", config)
    train(shape.vocab).save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", tokenizer_config(shape.max_positions))
    write_json(folder / RECIPE_FILE, stamp(recipe))


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Readable JSON, as people open these files."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill that then takes `target`'s place: a reader sees the old one, none, or the whole new one."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as temporary:
        new = Path(temporary, "new")
        new.mkdir()
        yield new
        if target.exists():
            target.rename(Path(temporary, "old"))
        new.rename(target)


def main() -> None:
    """Make what is missing and say what was made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="?", choices=[*SETS, "all"], default="all")
    parser.add_argument("--out", type=Path, default=Path("models"), help="the folder to make them in")
    options = parser.parse_args()
    recipes = [recipe for name in SETS if options.which in (name, "all") for recipe in SETS[name]]
    for recipe in recipes:
        target = options.out / recipe.path
        if is_made(target, recipe):
            continue
        start = time.monotonic()
        with new_folder(target) as folder:
            write_model(folder, recipe)
        print(f"{target}: made in {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    main()
