"""What bursar calls when the SDKs are covered. Nothing of LangChain is imported before a program does."""

from __future__ import annotations

import sys

from bursar import BursarError, hookimpl
from bursar.integration import convert_refusals, stop_converting


@hookimpl
def bursar_patch() -> None:
    """Called when all clients are covered: a refusal below LangChain is one that LangChain lets through."""
    convert_refusals(as_refusal_of_langchain)


@hookimpl
def bursar_unpatch() -> None:
    """Called to undo `bursar_patch`."""
    stop_converting(as_refusal_of_langchain)


def as_refusal_of_langchain(error: BursarError) -> BursarError:
    """The error in a class that LangChain lets through, where one of its models made the call."""
    frame = sys._getframe() if "langchain_core" in sys.modules else None
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith("langchain_core."):
            from ._refusal import as_refusal

            return as_refusal(error)
        frame = frame.f_back
    return error
