"""Covers a process that `bursar run` started, or one of its children, before its first line runs.

Python imports `sitecustomize` as it starts, and finds this one because its folder is on PYTHONPATH. Any
Python may come by, also an old one, and one without bursar: what is here runs on all of them.
"""

import json
import os
import sys


def _run_the_users_own() -> None:
    """The module of this name that would have been imported; there need not be one."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    spec = PathFinder.find_spec("sitecustomize")
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def _cover() -> None:
    try:
        from bursar.cli.run.child import cover
    except Exception as error:
        _uncovered("%s: %s" % (type(error).__name__, error))
    else:
        cover()


def _uncovered(why: str) -> None:
    """As `notes.py` does it, without bursar."""
    run = json.loads(os.environ["BURSAR_RUN"])
    line = "%s cannot be covered (%s)" % (sys.executable, " ".join(why.split())[:200])
    with open(os.path.join(run["folder"], "uncovered"), "a", encoding="utf-8") as notes:
        notes.write(json.dumps(line) + "\n")
    sys.stderr.write("bursar: " + line + "\n")
    if run["strict"]:
        sys.stderr.flush()
        os._exit(126)


_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [path for path in sys.path if os.path.abspath(path) != _here]
try:
    _run_the_users_own()
finally:
    if os.environ.get("BURSAR_RUN"):
        _cover()
