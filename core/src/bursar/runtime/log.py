"""The one logger of this library. No record holds a key, a password or a prompt."""

from __future__ import annotations

import logging

from ..redaction import redacted

_text = logging.Formatter()


def _clean(record: logging.LogRecord) -> bool:
    """Take secrets out of a record, also out of the traceback of somebody else's exception."""
    record.msg, record.args = redacted(record.getMessage()), ()
    if record.exc_info:
        record.exc_text, record.exc_info = redacted(_text.formatException(record.exc_info)), None
    return True


logger = logging.getLogger("bursar")
logger.addHandler(logging.NullHandler())
logger.addFilter(_clean)
