"""Balances in Redis or Valkey, for processes on many machines. Needs ``bursar[redis]``."""

from .store import RedisStore, open_redis

__all__ = ["RedisStore", "open_redis"]
