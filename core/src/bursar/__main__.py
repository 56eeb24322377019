"""`python -m bursar` and `bursar`: the command line, or one line that says how to install it."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command of this process. Returns: its exit status."""
    try:
        from .cli.app import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("rich", "typer"):
            raise
        sys.stderr.write("bursar: the command line needs typer and rich: pip install 'bursar[cli]'\n")
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
