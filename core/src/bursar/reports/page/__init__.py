"""The report as a page of HTML that needs nothing from anywhere."""

from __future__ import annotations

from .page import report_page

__all__ = ["report_page"]
