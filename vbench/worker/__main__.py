"""Entry by path: `python …/vbench/worker/__main__.py VERB`, in any interpreter, with vbench not installed in it.

The folder is loaded as a package of its own name, and taken off `sys.path`, so that none of our module names can shadow
an engine's import.
"""

from __future__ import annotations

import importlib.util
import os
import sys


def _load_house() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != here]
    spec = importlib.util.spec_from_file_location(
        "vbench_worker", os.path.join(here, "__init__.py"), submodule_search_locations=[here]
    )
    if spec is None or spec.loader is None:
        raise ImportError("vbench's worker folder is incomplete: " + here)
    module = importlib.util.module_from_spec(spec)
    sys.modules["vbench_worker"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":  # engines that spawn children import this file again under another name
    _load_house()
    from vbench_worker.main import main  # type: ignore[import-not-found]

    sys.exit(main(sys.argv[1:]))
