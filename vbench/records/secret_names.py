"""Which settings hold a secret, by their names, and which texts look like one by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

# Parts of names that only secrets have.
_STRONG = re.compile(
    r"SECRET|PASSW(OR)?D|PASSPHRASE|[_\-](PASS|PWD)$|AUTHORIZATION|CREDENTIAL|COOKIE|WEBHOOK"
    r"|(API|ACCESS|PRIVATE|SIGNING|ENCRYPTION|AUTH|MASTER|ACCOUNT|LICEN[CS]E|SSH)[_\-. ]?KEY"
    r"|CONNECTION[_\-. ]?STRING|(?<![A-Z])(DSN|JWT|BEARER)(?![A-Z])",
    re.IGNORECASE,
)
# Parts that are often something else: a model's tokens, a switch. A variable's name says more than a setting's.
_SEVERAL = r"(?<![A-Z])(HF|HUB|AUTH|ACCESS|API|GITHUB|GITLAB|BEARER|REFRESH|USER)[_-]?TOKENS$"
_VARIABLE = re.compile(rf"TOKEN(?!S|IZ)|(?<![A-Z])(AUTH|PAT)(?![A-Z])|_KEY$|{_SEVERAL}")
_WEAK = re.compile(
    rf"^(TOKEN|AUTH|PAT)$|[_\-.](TOKEN|AUTH|PAT)$|(ACCESS|AUTH|API|HUB|FACE|REFRESH|SESSION|BEARER)TOKEN$|{_SEVERAL}",
    re.IGNORECASE,
)
_OF_TEXT = re.compile(
    r"TOKEN[_-](ID|INDEX|COUNT|BUDGET|LIMIT|TYPE|EMBED|PARALLEL|BATCH|DROP|THRESHOLD|LENGTH)"
    r"|(BOS|EOS|PAD|UNK|MASK|SEP|CLS|IMAGE|VIDEO|AUDIO|SPECIAL|STOP|START|END|THINK|NEW|MAX|MIN|NUM|PER|BAD)_TOKEN",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"([_\-]|KEY)(PATH|FILE|FILENAME|DIR|SOCK|HELPER|METHOD|TYPE|BACKEND|PROVIDER|TIMEOUT|TTL)$", re.IGNORECASE
)
_LONGEST_NAME = 200
_PATH_LIKE = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})+")
_SHORTEST_KEY, _LONGEST_PATH = 16, 64
_NO_SECRET = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY"})
_NUMBER = re.compile(r"[-+]?[\d.,_]+(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)
_SWITCHES = frozenset({"", "true", "false", "yes", "no", "on", "off", "none", "null", "auto", "0", "1"})


def is_secret(name: str, value: Any = "x") -> bool:
    """Whether a setting of that name is a secret. A switch isn't one, nor is the place of a file, nor a number of
    tokens. `value` None, or a switch, is no secret under any name.

    >>> is_secret("HF_TOKEN"), is_secret("hf_token", True), is_secret("max_num_batched_tokens", 8192)
    (True, False, False)
    >>> is_secret("GITHUB_PAT"), is_secret("eos_token"), is_secret("TOKENIZERS_PARALLELISM"), is_secret("PATH")
    (True, False, False, False)
    """
    if value is None or isinstance(value, bool):
        return False
    kind = _kind(name[-_LONGEST_NAME:])
    if kind is None:
        return False
    text = str(value)
    if kind == "strong":
        return text.lower() not in _SWITCHES
    return text.lower() not in _SWITCHES and not _NUMBER.fullmatch(text) and not text.startswith(("<", "["))


def is_telling_under(name: str, value: Any) -> bool:
    """Whether such a value is a secret wherever else it stands: under a name that holds other things as often (a key of
    a storage, of a cache), one that reads as a model's name or a path isn't.

    >>> is_telling_under("S3_KEY", "models/Llama-3.1-8B"), is_telling_under("MODEL_KEY", "qwen2.5-0.5b")
    (False, False)
    >>> is_telling_under("MISTRAL_KEY", "aZ81kd93HHs02lqPq72m"), is_telling_under("DB_PASSWORD", "qwen2.5-0.5b")
    (True, True)
    """
    if not isinstance(value, str) or _kind(name[-_LONGEST_NAME:]) != "weak":
        return True
    if len(value) <= _LONGEST_PATH and _PATH_LIKE.fullmatch(value):
        return False
    return not name.endswith("_KEY") or (len(value) >= _SHORTEST_KEY and _DIGIT.search(value) is not None)


@lru_cache(maxsize=4096)
def _kind(name: str) -> Literal["strong", "weak"] | None:
    if name.upper() in _NO_SECRET or _PLACE.search(name):
        return None
    if _STRONG.search(name):
        return "strong"
    pattern = _VARIABLE if name.rpartition(".")[2].isupper() else _WEAK
    return "weak" if pattern.search(name) and not _OF_TEXT.search(name) else None


_DIGIT_WITHIN = r"(?=[\w.~+/=-]*[\d])"
# Each with a text that stands in every match, so that a long text without it isn't searched. What is hidden is the
# last group, else the whole.
_KINDS = tuple(
    (hint, re.compile(pattern))
    for hint, pattern in (
        ("hf_", r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{16,}"),
        ("sk-", r"(?<![\w-])sk-(?=[\w-]{0,200}\d)[\w-]{16,}"),
        ("gh", r"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{20,}"),
        ("github_pat_", r"github_pat_\w{20,}"),
        ("glpat-", r"glpat-[\w-]{16,}"),
        ("nvapi-", r"nvapi-[\w-]{20,}"),
        ("xox", r"xox[abeoprs]-[\w-]{10,}"),
        ("AKIA", r"AKIA[0-9A-Z]{16}"),
        ("ASIA", r"ASIA[0-9A-Z]{16}"),
        ("AIza", r"AIza[\w-]{30,}"),
        ("eyJ", r"(?<![\w-])eyJ[\w-]{8,4000}\.[\w-]{8,4000}(?:\.[\w-]{1,4000})?"),
        ("vbench-key-", r"vbench-key-[0-9a-f]{32}"),
        ("PRIVATE KEY-----", r"PRIVATE KEY-----[\sA-Za-z0-9+/=\\]{16,20000}"),
        ("earer", r"\b[Bb]earer[ \t]+(" + _DIGIT_WITHIN + r"[\w.~+/=-]{8,})"),
        ("uthorization", r"uthorization\\?[\"']?\s{0,3}[:=]\s{0,3}\\?[\"']?[A-Z][a-z]+[ \t]+([^\s\"',}\\]{4,})"),
        ("uthorization", r"uthorization\\?[\"']?\s{0,3}[:=]\s{0,3}\\?[\"']?((?![A-Z][a-z]+[ \t])[^\s\"',}\\]{4,})"),
        ("://", r"://[^\s/@:\"'<>\\]{0,200}:([^\s/@\"'<>\\]{1,500})@"),
        ("://", r"://((?=[\w-]*\d)[\w-]{16,500})@"),
    )
)
_KEYWORDS = (
    "token", "secret", "passw", "passphrase", "api_key", "api-key", "apikey", "access_key", "private_key", "credential",
    "cookie", "signature", "_pass", "dsn", "authorization", "sig=",
)  # fmt: skip
_ASSIGNED = re.compile(
    r"""(?P<rest>[\w.-]{0,40})\\?["']?[ \t]{0,3}(?:=|:(?!/))[ \t]{0,3}(?P<list>\[[ \t]{0,3})?\\?(?P<quote>["'])?"""
    r"""(?P<value>(?(quote)[^"'\\\n]{4,500}|[^\s"',;&)}\]\\<>(\[{]{6,500}))"""
)
_NAME_BEGIN, _DIGIT = re.compile(r"[\w.-]+\Z"), re.compile(r"\d")
_QUANTITY = re.compile(r"\d+\.\d+|\d+(\.\d+)?(ns|us|µs|\xc2\xb5s|ms|s|min|h|%|x|(tok|it)?/s|[KMGT]i?B)[.:]?")
"""What follows `time per token:` or `forward_pass:` is a measurement. In logs a letter may be two bytes."""
_QUERY = re.compile(r"(?:signature|credential|token|sig|password|secret|key)", re.IGNORECASE)


def secrets_by_look(text: str) -> Iterator[tuple[int, int]]:
    """Where in a text something stands that is a secret by its own look (`hf_…`, `Bearer …`, a URL's password), or by
    the name before it (`password=…`)."""
    for hint, pattern in _KINDS:
        if hint in text:
            yield from (found.span(found.lastindex or 0) for found in pattern.finditer(text))
    yield from _assigned(text)


def _assigned(text: str) -> Iterator[tuple[int, int]]:
    """Values with a digit in them, or quoted, after a secret's name."""
    lower = text.lower()
    if len(lower) != len(text):
        lower = text  # a letter whose small form is longer: then only names in small letters are found
    for keyword in _KEYWORDS:
        at = lower.find(keyword)
        while at != -1:
            end = at + len(keyword)
            found = _ASSIGNED.match(text, end)
            if found is not None and _is_assigned(text, at, keyword, found):
                yield found.span("value")
                end = found.end("value")
            at = lower.find(keyword, end)


def _is_assigned(text: str, at: int, keyword: str, found: re.Match[str]) -> bool:
    value, before = found["value"], text[max(0, at - 40) : at]
    start = _NAME_BEGIN.search(before)
    name = f"{start[0] if start else ''}{text[at : at + len(keyword)]}{found['rest']}"
    rest = before[: len(before) - (len(start[0]) if start else 0)]
    if rest.endswith(("?", "&")) and _QUERY.search(name):
        return True  # of a URL's query
    return _DIGIT.search(value) is not None and is_secret(name, value) and not _QUANTITY.fullmatch(value)
