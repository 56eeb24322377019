"""The command `bursar`: which commands there are, and what becomes of an error."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from .. import __version__
from ..errors import BursarError
from .demo import demo
from .export import export
from .history import history
from .holds import app as holds
from .mistake import Mistake
from .operate import acknowledge, audit, doctor, reset, set_limit, trip, untrip
from .plugins import plugins
from .prices import estimate, models
from .read import status, tree, who
from .report import report
from .run.command import Launcher, run
from .screen import harmless
from .serve.command import serve
from .top import top
from .watch import watch

# Of the errors of the command line typer exports the most special one only.
_WrongUse: Any = typer.BadParameter.__mro__[2]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"bursar {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="bursar",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _bursar(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Hard dollar budgets for AI agents: a call that may not fit is never sent.

    \b
    bursar run --budget '$5' agent.py
    bursar status --store sqlite:///budget.db
    bursar reset --yes --store redis://localhost:6379 --account default/alice
    bursar models 'claude-*'

    BURSAR_STORE stands for --store. Each command has --help with examples, and --json.
    """


# Its program may have options that look like ours.
app.command(cls=Launcher, context_settings={"allow_interspersed_args": False})(run)
for command in (
    *(status, who, top, watch, tree, history, set_limit, reset, trip, untrip, acknowledge),
    *(audit, doctor, export, report, serve, models, estimate, plugins, demo),
):
    app.command()(command)
app.add_typer(holds, name="holds")


def main(arguments: list[str] | None = None) -> int:
    """Run one command line; that of the process by default.

    Returns:
        The exit status: 0, what the command says, or 2 for a mistake, which is told in one line.
    """
    try:
        status: Any = typer.main.get_command(app)(arguments, prog_name="bursar", standalone_mode=False)
        sys.stdout.flush()
    except (BursarError, Mistake) as error:
        return _told(str(error))
    except _WrongUse as error:
        return _told(error.format_message())
    except typer.Abort:
        return _told("nothing was changed")
    except BrokenPipeError:  # pragma: no cover - the reader, another process, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status if isinstance(status, int) else 0


def _told(text: str) -> int:
    """One line on standard error."""
    line = harmless(" ".join(text.split())).removesuffix("; make no call")
    sys.stderr.write(f"bursar: {line}\n")
    return 2
