"""A checkpoint's exact bytes from its safetensors headers: a few kilobytes read of each file, no weight among them.

Format: 8 bytes of little-endian length, then that much JSON: `{name: {"dtype", "shape", "data_offsets": [a, b]}}`.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from vbench.errors import Problem, SpecError

_MAX_HEADER_BYTES = 100 * 1024**2  # the format's own limit


def tensor_bytes(folder: Path) -> dict[str, int]:
    """Bytes by tensor name over all `*.safetensors` of the folder; empty when there are none.

    Raises SpecError for a file that isn't what its name says (a Git LFS pointer, a torn download).
    """
    sizes: dict[str, int] = {}
    for path in sorted(folder.glob("*.safetensors")):
        for name, entry in _header(path).items():
            if name != "__metadata__":
                start, end = entry["data_offsets"]
                sizes[name] = end - start
    return sizes


def total_bytes(folder: Path) -> int | None:
    """All tensors together; None without safetensors files. Tied weights are stored once, as a rule."""
    return sum(tensor_bytes(folder).values()) or None


def _header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            if not 2 <= length <= _MAX_HEADER_BYTES:
                raise _broken(path, "doesn't start with a safetensors header")
            header = json.loads(file.read(length))
    except OSError as error:
        raise _broken(path, f"can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise _broken(path, "has a torn header") from error
    if not isinstance(header, dict) or not all(_is_entry(name, entry) for name, entry in header.items()):
        raise _broken(path, "has a header without offsets")
    return header


def _is_entry(name: str, entry: object) -> bool:
    if name == "__metadata__":
        return True
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    return isinstance(offsets, list) and len(offsets) == 2 and all(type(one) is int and one >= 0 for one in offsets)


def _broken(path: Path, what: str) -> SpecError:
    hint = "fetch it again (a Git LFS pointer has no weights)"
    return SpecError(str(path), [Problem(message=what, hint=hint)])
