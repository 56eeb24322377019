"""Balances in a file of SQLite, for the processes of one machine."""

from .store import SqliteStore, open_sqlite

__all__ = ["SqliteStore", "open_sqlite"]
