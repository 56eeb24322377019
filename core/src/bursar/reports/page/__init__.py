"""The report as a page of HTML that needs nothing from anywhere, and as a small table for a notebook."""

from __future__ import annotations

from .page import Page, document
from .small import small_report

__all__ = ["Page", "document", "small_report"]
