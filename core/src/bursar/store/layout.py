"""What a store says to a program that is older than what it keeps."""

from __future__ import annotations


def newer(layout: int, known: int) -> str:
    """Why nothing is done with data of a newer layout than this program knows."""
    return f"was written by a newer bursar (layout {layout}; this one knows {known}); upgrade here"
