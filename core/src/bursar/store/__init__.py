"""Stores: where balances live."""
