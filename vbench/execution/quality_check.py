"""The check of the answers' quality: what a worker is asked for it, and what is made of what it says."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vbench.analysis.quality import greedy_agreement
from vbench.execution.runner import RawTrial
from vbench.quality.texts import MAX_TOKENS, TextSet, load_texts, text_lines
from vbench.records.record import Quality
from vbench.records.redaction import clean
from vbench.records.runs import RunFolder, write_bytes_atomic
from vbench.spec.parameters import domains
from vbench.spec.types import Choice, SweepSpec

PHASE = "quality"
_TEXTS_FILE = "quality-texts.jsonl"
_freezing = threading.Lock()
_WITHOUT = "the quality of its answers could not be checked"


def frozen_texts(spec: SweepSpec, run: RunFolder) -> tuple[TextSet, Path]:
    """The run's texts: fixed at its first check, whatever becomes of their file. Raises SpecError, StoreError."""
    path = run.path / _TEXTS_FILE
    with _freezing:  # trials side by side are threads of one process
        if path.is_file():
            return load_texts(path, spec.quality.num_texts), path
        texts = load_texts(spec.quality.texts, spec.quality.num_texts)
        write_bytes_atomic(path, text_lines(texts.texts))
    return texts, path


def quality_request(spec: SweepSpec, texts_file: Path, *, is_reference: bool) -> dict[str, Any]:
    """What the worker is asked. Only the reference answers by itself too: it shows what a batch may change."""
    return {
        "texts_file": str(texts_file.resolve()),
        "most_tokens": most_tokens(spec),
        "greedy_prompts": spec.quality.greedy_prompts,
        "greedy_tokens": spec.quality.greedy_tokens,
        "alone": is_reference,
    }


def most_tokens(spec: SweepSpec) -> int:
    """So many tokens of a text are scored, the same in all of the sweep's configurations: what fits the shortest
    `max_model_len` that the file names, with one place left, and 512 at most."""
    return max(2, min(MAX_TOKENS, *(length - 1 for length in _context_lengths(spec)), MAX_TOKENS))


def _context_lengths(spec: SweepSpec) -> Iterator[int]:
    values: list[Any] = [spec.engine_args.get("max_model_len")]
    for name, domain in domains(spec.parameters):
        is_own = name.rpartition(".")[2] == "max_model_len"
        if not isinstance(domain, Choice):
            values += [domain.low] if is_own else []
            continue
        for option in domain.options:
            values += [option.value] if is_own else []
            values.append(option.settings.get("max_model_len"))
    yield from (value for value in values if isinstance(value, int) and not isinstance(value, bool) and value > 0)


def quality_of(raw: RawTrial, texts_sha256: str | None) -> tuple[Quality | None, list[str]]:
    """What was found, and warnings. `texts_sha256` None: it wasn't asked for."""
    if texts_sha256 is None:
        return None, []
    said = raw.of("quality")
    if not said:
        has_begun = any(message.get("name") == PHASE for message in raw.of("phase"))
        return None, [f"{_WITHOUT}: {_end_of(raw)}"] if has_begun else []
    event = said[-1]
    if "problem" in event:
        return None, [f"{_WITHOUT}: {_line(str(event['problem']))}"]
    try:
        quality = _quality(event, texts_sha256)
    except (KeyError, TypeError, ValueError) as error:
        return None, [f"{_WITHOUT}: what came of it is malformed: {_line(str(error))}"]
    cut = event.get("num_cut") or 0
    return quality, [f"{cut} of {len(quality.nll)} texts were longer than what was scored of them"] if cut else []


def _quality(event: dict[str, Any], texts_sha256: str) -> Quality:
    fields = {name: event[name] for name in ("nll", "tokens", "greedy", "duration_s")}
    if len(fields["nll"]) != len(fields["tokens"]):
        raise ValueError("not one likelihood for each text")
    if event.get("alone") is not None:
        agreement, _ = greedy_agreement(event["alone"], fields["greedy"])
        fields["self_agreement"] = agreement
    quality = Quality.model_validate({"texts_sha256": texts_sha256, **fields})
    if not all(math.isfinite(nll) for nll in quality.nll):
        raise ValueError("a likelihood that isn't finite")
    return quality


def _end_of(raw: RawTrial) -> str:
    if raw.timed_out is not None:
        return f"it took longer than a pass may (`deadlines: {{pass: …}}`, {raw.timed_out})"
    errors = raw.of("error")
    if errors:
        return _line(f"{errors[-1].get('type', 'Error')}: {errors[-1].get('message', '')}")
    return f"the worker ended in it, {raw.exit.describe()}" if raw.exit is not None else "the worker ended in it"


def _line(text: str) -> str:
    return clean(" ".join(text.split()))[:300]
