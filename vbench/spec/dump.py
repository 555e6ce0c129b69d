"""Plain values to YAML that the sweep-file reader reads back."""

from __future__ import annotations

from typing import Any

import yaml

from vbench.spec.scalars import plain_scalar


class _Dumper(yaml.SafeDumper):
    """SafeDumper that also quotes text which `yaml_lines` takes for a number (`1e5`), and writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    try:
        is_text = plain_scalar(text) == text
    except ValueError:
        is_text = False
    style = None if is_text else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump_yaml(obj: Any) -> str:
    """Block-style YAML, keys in their own order. Raises `yaml.YAMLError` for anything but plain values."""
    text: str = yaml.dump(obj, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text
