"""What is kept back of secrets: results are made to be shown to others.

A secret is known by its setting's name (`secret_names`), by its look, and by its value: what once stood under a
secret's name, in the environment, the sweep file, `--set` or the Hugging Face token file, is hidden wherever it turns
up later: in an engine's log, an exception, a command to paste.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vbench.records.secret_names import is_secret, is_telling_under, secrets_by_look

HIDDEN = "***"
_SHORTEST, _SHORT = 6, 200
_LONGEST_WORD = 20
_MOST = 2_000
_WORD = re.compile(r"[a-z_]+|[A-Z_]+|[A-Z]?[a-z]+")
_NUMBER = re.compile(r"[-+]?[\d.,:_]+(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)
_USER_INFO = re.compile(r"://([^\s/@:]*):(\S+)@")
_LARGEST_FILE = 64 * 1024


class Secrets:
    """The values that are known to be secrets. Too short ones, plain words and numbers are hidden under their names
    alone: in other texts they would hide what is none."""

    def __init__(self) -> None:
        self._values: dict[str, None] = {}
        self._is_complete = False

    def learn(self, value: Any) -> None:
        """A value that stands under a secret's name, or all that are in it."""
        if isinstance(value, Mapping):
            value = [*value.values()]
        if isinstance(value, (list, tuple)):
            for one in value:
                self.learn(one)
            return
        if not isinstance(value, str):
            return
        for line in dict.fromkeys([value.strip(), *map(str.strip, value.splitlines())]):
            if _is_telling(line):
                self._values.update(dict.fromkeys(_written(line)))
                _clean_short.cache_clear()
        while len(self._values) > _MOST:  # of a file made to have many
            del self._values[next(iter(self._values))]

    def learn_settings(self, settings: Any) -> None:
        """Every secret in settings, at any depth; passwords in URLs too."""
        for name, value in _settings(settings):
            whole = name.rpartition(".")[2] if "." in name else name
            if any(is_secret(one, value) for one in (name, whole)):
                if is_telling_under(whole, value):
                    self.learn(value)
            elif isinstance(value, str):
                for _, password in _USER_INFO.findall(value):
                    self.learn(password)

    @property
    def values(self) -> Iterable[str]:
        """The longest first, each in every way that it may be written. Looks at this process's environment once."""
        if not self._is_complete:
            self._is_complete = True
            self.learn_settings(dict(os.environ))
            for path in _token_files(os.environ):
                self.learn(_content(path))
            self._values = dict.fromkeys(sorted(self._values, key=len, reverse=True))
        return self._values

    def forget(self) -> None:
        """Everything (for tests)."""
        self.__init__()  # type: ignore[misc]
        _clean_short.cache_clear()


KNOWN = Secrets()
"""Of this process: it has one environment, and reads few sweep files."""


def learn_settings(settings: Any) -> None:
    """Remember the secrets of a sweep file, or of anything like it, for as long as this process lives."""
    _ = KNOWN.values
    KNOWN.learn_settings(settings)


def _is_telling(value: str) -> bool:
    if len(value) < _SHORTEST or _NUMBER.fullmatch(value):
        return False
    if _WORD.fullmatch(value) and len(value) < _LONGEST_WORD:
        return False
    if value in _own_names():
        return False
    return not (value.startswith(("/", "~", ".")) and os.path.lexists(os.path.expanduser(value)))


def _own_names() -> set[str]:
    """The user's, and those of the folders that work is done in: a password that is one of them would hide paths."""
    places = (os.environ.get("HOME", ""), os.environ.get("PWD", ""))
    return {
        os.environ.get("USER", ""),
        os.environ.get("LOGNAME", ""),
        *(part for one in places for part in Path(one).parts),
    }


def _written(value: str) -> Iterator[str]:
    """As it is, and as JSON, a URL or Python writes it."""
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(value, safe="", errors="replace")
    yield repr(value)[1:-1]


def _settings(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name), inner
            yield from _settings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            if isinstance(inner, str):
                yield "", inner
            yield from _settings(inner)


def _token_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where huggingface_hub keeps its tokens."""
    home = environment.get("HOME", "")
    cache = environment.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else "")
    folder = environment.get("HF_HOME") or (f"{cache}/huggingface" if cache else "")
    if environment.get("HF_TOKEN_PATH"):
        yield Path(environment["HF_TOKEN_PATH"])
    if folder:
        yield from (Path(folder) / name for name in ("token", "stored_tokens"))


def _content(path: Path) -> list[str]:
    """What a token file holds: a token, or lines of `name = token`."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_FILE:
            return []
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line.rpartition("=")[2].strip() for line in lines if not line.startswith("[")]


def secret_spans(text: str, values: Iterable[str] | None = None) -> list[tuple[int, int]]:
    """Where secrets stand in a text, in order, none within another. `values`: the known ones as they are written
    there."""
    found = list(secrets_by_look(text))
    for value in KNOWN.values if values is None else values:
        at = text.find(value)
        while at != -1:
            found.append((at, at + len(value)))
            at = text.find(value, at + len(value))
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(found):
        if joined and begin < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif end > begin:
            joined.append((begin, end))
    return joined


def clean(text: str) -> str:
    """A text with its secrets hidden.

    >>> clean("GET https://me:pa55@host/x with Bearer abc123def")
    'GET https://me:***@host/x with Bearer ***'
    """
    return _clean_short(text) if len(text) <= _SHORT else _clean(text)


def clean_unseen(text: str) -> str:
    """The same of a text that won't come again, as what is printed: nothing of it is kept."""
    return _clean(text)


def _clean(text: str, values: Iterable[str] | None = None) -> str:
    spans = secret_spans(text, values)
    if not spans:
        return text
    parts, last = [], 0
    for begin, end in spans:
        parts += [text[last:begin], HIDDEN]
        last = end
    return "".join([*parts, text[last:]])


_clean_short = lru_cache(maxsize=1024)(_clean)
"""Records are full of the same short texts, trial after trial."""


def clean_data(value: Any, name: str = "", hide: Callable[[str], str] = clean) -> Any:
    """The same with the secrets in it hidden: texts, and all that stands under a secret's name, at any depth.

    >>> clean_data({"hf_token": "hf_abc", "load": {"api_key": ["k"]}, "max_num_seqs": 4})
    {'hf_token': '***', 'load': {'api_key': ['***']}, 'max_num_seqs': 4}
    """
    if isinstance(value, Mapping):
        whole = name if name and is_secret(name) else ""
        return {_hidden(key, hide): clean_data(inner, whole or str(key), hide) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean_data(inner, name, hide) for inner in value]
    return HIDDEN if name and is_secret(name, value) else _hidden(value, hide)


def _hidden(value: Any, hide: Callable[[str], str]) -> Any:
    return hide(value) if isinstance(value, str) else value


def clean_anywhere(value: Any) -> Any:
    """The same by names and looks alone, so that it is the same in every environment.

    >>> clean_anywhere({"hf_token": "hf_abc", "served_model_name": "acme"})
    {'hf_token': '***', 'served_model_name': 'acme'}
    """
    return clean_data(value, hide=partial(_clean, values=()))


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables by name; the value of one that is a secret is `***`.

    >>> without_secrets({"HF_TOKEN": "hf_abc", "OMP_NUM_THREADS": "1"})
    {'HF_TOKEN': '***', 'OMP_NUM_THREADS': '1'}
    >>> without_secrets({"TOKENIZERS_PARALLELISM": "false"})
    {'TOKENIZERS_PARALLELISM': 'false'}
    """
    hidden: dict[str, str] = clean_data(environment)
    return hidden
