"""The one logger of this library. No record holds a key, a password or a prompt."""

from __future__ import annotations

import logging

logger = logging.getLogger("bursar")
logger.addHandler(logging.NullHandler())
