"""Sweep files with one fault each, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VALID = """\
model: {shape: qwen2.5-0.5b}
hardware: t4
prompts: {synthetic: {count: 2, input_tokens: 4}, output_tokens: 8}
"""
_NAMED = "it is refused, with its line and what to write"
_BOMB = "it is refused before it takes memory or time"
_LIMIT = "it is refused: more than any machine or model has"


@dataclass(frozen=True, slots=True)
class Sick:
    """A file, and words of the error that it must end in."""

    name: str
    promise: str
    content: bytes
    said: str


def _sick(name: str, promise: str, *cases: tuple[str | bytes, str]) -> list[Sick]:
    """Lines added to a valid file, or a whole file as bytes."""
    return [
        Sick(
            name,
            promise,
            added if isinstance(added, bytes) else f"{VALID}{added}\n".encode("utf-8", "surrogatepass"),
            said,
        )
        for added, said in cases
    ]


def _nest(depth: int) -> str:
    """Each level ten times the one before."""
    levels = [f"  l{n}: &l{n} [{', '.join([f'*l{n - 1}' if n else 'x'] * 10)}]" for n in range(depth)]
    return "engine_args:\n" + "\n".join(levels)


_MANY = "more than 20,000 keys and values"
_UNFOLD = "aliases that unfold into more than a file can hold"
_LONG = "a" * 300
_X = "x" * 90_000
_KEYS = ", ".join(f"parameter_{n}: [1, 2]" for n in range(3000))
_WRONG_KEYS = ", ".join(f"paramter_{n}: 1" for n in range(3000))
REFUSED: tuple[Sick, ...] = (
    *_sick("a YAML bomb of aliases", _BOMB,
           (_nest(12), _UNFOLD),
           (f"engine_args: {{a: &a {'x' * 500_000}, b: [{'*a, ' * 9000}]}}", _UNFOLD),
           (f"engine_args: {{a: &a [{'x, ' * 900}], b: [{'*a, ' * 900}]}}", _UNFOLD),
           ("engine_args: {a: &a [*a]}", _UNFOLD),
           ("engine_args: {a: *nowhere}", "sweep.yaml:4: not YAML: found undefined alias")),
    *_sick("a file of nothing but values, keys or levels", _BOMB,
           (f"engine_args: {{a: [{'a, ' * 300_000}]}}", _MANY),
           (f"parameters:\n{''.join(f'  p{n}: {{low: 0, high: 999999}}' + chr(10) for n in range(14000))}", _MANY),
           (f"engine_args: {{a: {'[' * 100_000}", "nested more than 40 levels deep"),
           (f"engine_args: {'? ' * 50_000}", "mapping keys are not allowed"),
           (f"engine_args: {{{'a: 1, ' * 9000}}}", "problems more"),
           (f"? {'k' * 700_000}\n: [{'1, ' * 9000}]", "characters; the most is 500"),
           (f"{'k' * 990}: 1", "a key of 990 characters"),
           (f"engine_args: {'{%s: ' % ('k' * 499) * 30}[{'1,' * 9000}]{'}' * 30}", _UNFOLD)),
    *_sick("mistakes by the thousand", "the first are told with what was meant, the others counted",
           ("\n".join(f"modell{n}: 1" for n in range(5000)), "unknown key 'modell0'"),
           ("constraints:\n" + "\n".join(f"- throughput_{n} <= 1" for n in range(15000)), "throughput_0 is neither"),
           (f"parameters: {{{_KEYS}}}\nbaseline: {{{_WRONG_KEYS}}}", "paramter_0 is neither a parameter nor"),
           (f"lora_modules: {{{', '.join(f'a{n}: ./x' for n in range(9000))}}}", "no such folder")),
    *_sick("a number that is none", _NAMED,
           ("engine_args: {a: 1e999}", "sweep.yaml:4: engine_args.a: 1e999 is too large for a number"),
           ("engine_args: {a: .inf}", "is not a finite number"),
           ("engine_args: {a: .NaN}", "is not a finite number"),
           ("engine_args: {a: 010}", "010 starts with 0: octal, or a mistake?"),
           (f"engine_args: {{a: {'9' * 5000}}}", "is too large for a whole number"),
           ("search: {timeout: 1e999}", "is too large"),
           ("search: {trials: '4'}", "search.trials: expected a whole number, got '4'"),
           ("quality: {max_nll_increase: nan%}", "a share is above 0")),
    *_sick("a constraint that is none", _NAMED,
           ("constraints: [peak_memory_gib <= 1e308]", "constraints.0: 'peak_memory_gib <= 1e308': too large"),
           ("constraints: [startup_s <= 1__0]", "constraints.0: 'startup_s <= 1__0' is not a constraint"),
           (f"constraints: ['startup_s <= {'1' * 300_000}x']", "is not a constraint"),
           ("constraints: [\"__import__('os').system('true') < 1\"]", "is not a constraint")),
    *_sick("YAML tags (`!!python/object`)", "refused by name: nothing is made or run by a file",
           ("engine_args: {a: !!python/object/apply:os.system [true]}", "sweep.yaml:4: tags such as"),
           ("engine_args: !!python/name:os.system ''", "tags such as"),
           ("engine_args: {a: !!binary aGk=}", "tags such as"),
           ("engine_args: {a: !env HOME}", "tags such as")),
    *_sick("merge keys (`<<`), keys that are no words", _NAMED,
           ("environment: &e {A: 1}\nengine_args:\n  <<: *e", "sweep.yaml:6: engine_args: merge keys (<<)"),
           ("engine_args: {'<<': {a: 1}}", "'<<' is not an argument's name"),
           ("? [a, b]\n: 1", "a key must be a word"),
           ("? {a: b}\n: 1", "a key must be a word"),
           ("'': 1", "a key without a name"),
           ('"a\\nb": 1', "a key with unprintable characters")),
    *_sick("a key written twice", "both lines are named",
           ("name: a\nname: b", "sweep.yaml:5: name: written twice: on line 4 and on line 5 (keep one)"),
           ("engine_args: {a: 1, a: 2}", "engine_args.a: written twice")),
    *_sick("tabs, NUL, odd line breaks, half characters", "refused with the line, and how to write it",
           ("engine_args:\n\ta: 1", "sweep.yaml:5: a tab in the indentation (YAML wants spaces)"),
           ("description: a\0b", "sweep.yaml:4: a NUL byte"),
           ('description: "a\\0b"', "sweep.yaml:4: description: holds a NUL or half a character"),
           ('description: "\\ud800"', "sweep.yaml:4: description: holds a NUL or half a character"),
           ("description: 'a\u2028b'", "sweep.yaml:4: a line break that editors don't show (U+2028)"),
           ("description: 'a\x85b'", "sweep.yaml:4: a line break that editors don't show (U+0085)"),
           ("description: a\x07b", "a character that isn't text (U+0007)"),
           (VALID.replace("\n", "\r").encode() + b"foo: 1\r", "sweep.yaml:4: foo: unknown key 'foo'")),
    *_sick("what is no sweep file", "it is said to be none, in one line",
           (b"", "sweep.yaml:1: the file is empty"),
           (b"\x7fELF\x02\x01\x01" + bytes(500), "sweep.yaml"),
           (b"\xff\xfe" + VALID.encode("utf-16-le"), "not UTF-8 text"),
           (b"\x80" * 100, "sweep.yaml:1: not UTF-8 text"),
           (b"# \n" * 400_000, "larger than 1 MiB"),
           (b"- a\n- b\n", "expected keys and values at the top"),
           (b"{" * 500_000, "nested more than 40 levels deep"),
           ("---\nmodel: b", "a second document begins here"),
           ("'" + "a\n" * 200_000, "a quote or bracket is never closed")),
    *_sick("a name that is a path", _NAMED,
           ("name: ../../etc", "'../../etc' can't name a folder"),
           ("name: /tmp/x", "can't name a folder"),
           (f"name: {_LONG}", "can't name a folder")),
    *_sick("a path too long for the disk", "the file is missed by name",
           (f"quality: {{texts: {_LONG}}}\nbaseline: {{}}", "quality.texts: no such file"),
           (f"lora_modules: {{a: ./{_LONG}}}", "no such folder"),
           (VALID.replace("{shape: qwen2.5-0.5b}", f"./{_LONG}").encode(), "no such folder"),
           (VALID.replace("synthetic: {count: 2, input_tokens: 4}", f"file: {_LONG}").encode(), "no such file")),
    *_sick("numbers too large for any machine", _LIMIT,
           (VALID.replace("count: 2", "count: 50000000").encode(), "must be 1,000,000 or less, got 50000000"),
           (VALID.replace("input_tokens: 4", f"input_tokens: 1, num_prefixes: {2**62}").encode(),
            "num_prefixes: must be 1,000,000 or less"),
           (VALID.replace("output_tokens: 8", f"output_tokens: {2**62}").encode(), "must be 50,000,000 or less"),
           (f"measure: {{passes: {2**62}}}", "measure.passes: must be 100,000 or less"),
           (f"measure: {{warmup_passes: {2**62}}}", "measure.warmup_passes: must be 100,000 or less"),
           ("replicas: 1000000", "replicas: must be 1,024 or less"),
           ("parameters: {replicas: [1, 1000000]}", "must be 1,024 or less, got 1000000"),
           ("search: {gpu_hours: 1e300}", "search.gpu_hours: must be 1e+06 or less"),
           (f"environment: {{A: {'x' * 200_000}}}", "environment.A: longer than 100,000 bytes"),
           (f"environment: {{{', '.join(f'A{n}: {_X}' for n in range(6))}}}", "more than 500,000 bytes in all")),
    *_sick("a range that is none", _NAMED,
           ("parameters: {a: {low: -1e308, high: 1e308}}", "is wider than a number can say"),
           ("parameters: {a: {low: 0.0, high: 1.0, step: 1e-320}}", "more than a million values"),
           ("parameters: {a: {low: 2, high: 1}}", "low (2) must be below high (1)"),
           ("search: {method: grid}\nparameters: {a: {low: 0.5, high: 1}}", "a grid can't walk a continuous range")),
    *_sick("names that would be mistaken for one another", "refused: no record could tell them apart",
           ("parameters: {a: [{x: {load.seed: [1, 2]}}, {x.load: {seed: [3, 4]}}]}", "two settings go by this name"),
           ("environment: {VBENCH_RUN: x}", "VBENCH_RUN is what vbench knows its own processes by"),
           ("parameters: {environment.VBENCH_KEEPER: [a, b]}", "VBENCH_KEEPER is what vbench knows"),
           ("parameters: {a: [1, '1']}", "option '1' is there twice")),
)  # fmt: skip
ODD_VALUES: list[tuple[str, Any]] = [
    ("2026-11-22", "2026-11-22"),
    ("0.32.0", "0.32.0"),
    ("no", "no"),
    ("1:30", "1:30"),
    ("'010'", "010"),
]
