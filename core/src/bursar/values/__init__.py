"""Immutable values: money, tokens, names, limits, calls and charges."""
