"""Files that nobody should write: sweep files changed by bytes, characters, words, lines and values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from tests.faults.fuzz_made import VALUES, WORDS, Draw, bomb, from_scratch, written
from vbench.errors import SpecError
from vbench.spec.yaml_lines import read_yaml

_TOKEN = re.compile(r"[A-Za-z0-9_.%/-]+")
Change = Callable[[Draw, bytes], bytes]


def mutated(draw: Draw, sound: Sequence[str], values: Sequence[Any]) -> bytes:
    """One file, of sound texts or of their values; the same for the same numbers drawn."""
    kind = draw.random()
    if kind < 0.001:
        return bomb(draw).encode("utf-8", "surrogatepass")
    if kind < 0.35:
        content = from_scratch(draw)
    elif kind < 0.6:
        content = _tree(draw, draw.choice(values))
    else:
        content = draw.choice(sound).encode()
    if kind < 0.15 or 0.35 <= kind < 0.5:
        return content  # sound YAML, whatever it says
    changes: tuple[Change, ...] = (_bytes, _characters, _tokens, _lines)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        content = draw.choice(changes)(draw, content)
    return content


def option(draw: Draw, keys: Sequence[str]) -> str:
    """What might be given with `--set`."""
    value = draw.choice((draw.choice(WORDS), json.dumps(draw.choice(VALUES)), draw.choice(keys)))
    return f"{draw.choice(keys)}{draw.choice(('=', '=', '=', '', '.x='))}{value}"


def keys_of(value: Any, path: str = "") -> list[str]:
    """Every dotted key of a nested value."""
    if not isinstance(value, dict):
        return [path] if path else []
    found = [path] if path else []
    for key, inner in value.items():
        found += keys_of(inner, f"{path}.{key}" if path else key)
    return found


def _bytes(draw: Draw, content: bytes) -> bytes:
    at = draw.randrange(len(content) + 1)
    length = min(draw.choice((1, 1, 2, 4, 16, 200)), len(content) - at)
    match draw.randrange(5):
        case 0 if length:
            return content[:at] + bytes([content[at] ^ (1 << draw.randrange(8))]) + content[at + 1 :]
        case 1:
            return content[:at] + draw.randbytes(draw.choice((1, 2, 8))) + content[at:]
        case 2:
            return content[:at] + content[at + length :]
        case 3:
            return content[:at] + content[at : at + length] * draw.choice((2, 3, 50)) + content[at + length :]
    return content[:at]


def _characters(draw: Draw, content: bytes) -> bytes:
    at = draw.randrange(len(content) + 1)
    word = draw.choice((draw.choice(WORDS), chr(draw.choice((draw.randrange(128), draw.randrange(0x110000))))))
    return content[:at] + word.encode("utf-8", "surrogatepass") + content[at + draw.choice((0, 0, 1)) :]


def _tokens(draw: Draw, content: bytes) -> bytes:
    text = content.decode("utf-8", "replace")
    found = list(_TOKEN.finditer(text))
    if not found:
        return content
    one = draw.choice(found)
    instead = draw.choice((draw.choice(WORDS), draw.choice(found)[0], one[0][:-1], one[0] * 2, f"- {one[0]}"))
    return f"{text[: one.start()]}{instead}{text[one.end() :]}".encode("utf-8", "surrogatepass")


def _lines(draw: Draw, content: bytes) -> bytes:
    lines = content.split(b"\n")
    at, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    match draw.randrange(5):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[other])
        case 2:
            lines[at] = draw.choice((b" ", b"  ", b"\t", b"- ", b"#")) + lines[at]
        case 3:
            lines[at] = lines[at].lstrip()
        case _:
            lines[at], lines[other] = lines[other], lines[at]
    return b"\n".join(lines)


def _tree(draw: Draw, sound: Any) -> bytes:
    value = json.loads(json.dumps(sound))
    for _ in range(draw.choice((1, 1, 2, 4))):
        places = _places(value)
        if not places:
            break
        container, key = draw.choice(places)
        match draw.randrange(5):
            case 0:
                del container[key]
            case 1 if isinstance(container, dict):
                container[draw.choice(WORDS)] = container.pop(key)
            case 2:
                other, at = draw.choice(places)
                container[key] = json.loads(json.dumps(other[at])) if _is_there(other, at) else None
            case _:
                container[key] = json.loads(json.dumps(draw.choice(VALUES)))
    return written(draw, value)


def _is_there(container: Any, key: Any) -> bool:
    return key in container if isinstance(container, dict) else key < len(container)


def _places(value: Any) -> list[tuple[Any, Any]]:
    inside = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    return [(value, key) for key, _ in inside] + [place for _, inner in inside for place in _places(inner)]


def sound_values(texts: Sequence[str]) -> list[dict[str, Any]]:
    """The values of files that can be read."""
    found = []
    for text in texts:
        try:
            found.append(read_yaml(text, "sound").value)
        except SpecError:
            continue
    return found
