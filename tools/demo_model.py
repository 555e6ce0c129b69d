"""Make the small models that the demo and the tests run: a random Llama plain and quantized, a draft and an adapter.

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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo_weights import Shape, Tensors

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterRecipe(Recipe):
    """One LoRA adapter for a model of that shape."""

    rank: int


DEMO = {"hidden": 512, "layers": 4, "heads": 8, "kv_heads": 4, "intermediate": 1408, "vocab": 1536}
TINY = {"hidden": 256, "layers": 4, "heads": 4, "kv_heads": 2, "intermediate": 768, "vocab": 1024}
# Its tokens are those of `tiny`, its weights are not: a draft whose guesses are never right.
DRAFT = {**TINY, "hidden": 64, "layers": 1, "heads": 2, "kv_heads": 1, "intermediate": 128, "seed": 3}
# The first layers of `demo/base` between its own embedding and head. After a prompt of mixed tokens one guess in eight
# is right (with one layer one in a hundred); after long English, where the base repeats one token, hardly any is.
DEMO_DRAFT = {**DEMO, "layers": 3, "drawn_layers": DEMO["layers"]}
SETS: dict[str, list[Recipe]] = {
    "demo": [
        Recipe(path="demo/base", shape=DEMO),
        Recipe(path="demo/awq", shape=DEMO, quantization="awq"),
        Recipe(path="demo/gptq", shape=DEMO, quantization="gptq"),
        Recipe(path="demo/w8a8", shape=DEMO, quantization="w8a8"),
        Recipe(path="demo/w4a16", shape=DEMO, quantization="w4a16"),
        Recipe(path="demo/draft", shape=DEMO_DRAFT),
        AdapterRecipe(path="demo/lora", shape=DEMO, rank=8),
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
    from demo_tokenizer import tokenizer_config, train
    from demo_weights import Shape
    from safetensors.torch import save_file

    shape = Shape(**recipe.shape)
    tensors, config = checkpoint(shape, recipe.quantization)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", config)
    train(shape.vocab).save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", tokenizer_config(shape.max_positions))


def checkpoint(shape: Shape, quantization: str | None) -> tuple[Tensors, dict[str, Any]]:
    """The tensors of a model and its `config.json`."""
    import demo_compressed
    import demo_quantize
    from demo_weights import llama_config, random_weights

    tensors = random_weights(shape)
    match quantization:
        case None:
            return tensors, llama_config(shape)
        case "awq" | "gptq":  # float16 is the activation type of both formats
            tensors, about = getattr(demo_quantize, quantization)(tensors)
            return tensors, {**llama_config(shape, dtype="float16"), "quantization_config": about}
        case _:
            tensors, about = getattr(demo_compressed, quantization)(tensors)
            return tensors, {**llama_config(shape), "quantization_config": about}


def write_adapter(folder: Path, recipe: AdapterRecipe) -> None:
    """Write a PEFT adapter into `folder`; it comes without a tokenizer, as most do."""
    from demo_lora import adapter_config, adapter_weights
    from demo_weights import Shape
    from safetensors.torch import save_file

    tensors = adapter_weights(Shape(**recipe.shape), recipe.rank)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    write_json(folder / "adapter_config.json", adapter_config(recipe.rank))


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
            if isinstance(recipe, AdapterRecipe):
                write_adapter(folder, recipe)
            else:
                write_model(folder, recipe)
            write_json(folder / RECIPE_FILE, stamp(recipe))
        print(f"{target}: made in {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    main()
