"""The promises of a store, as a test suite to subclass."""

from __future__ import annotations

from .promises.accounts import Declared
from .promises.admission import Admission
from .promises.alerts import Alerts
from .promises.breaker import Breaking
from .promises.contention import Contention
from .promises.history import History
from .promises.outcomes import Outcomes
from .promises.reading import Reading
from .promises.windows import Windows


class StoreContract(Admission, Contention, Outcomes, Declared, Windows, Breaking, Reading, History, Alerts):
    """Subclass it, and return an empty store of yours from `open_store`.

    Every method is one promise; pytest finds them by itself::

        class TestMyStore(StoreContract):
            def open_store(self, clock):
                return MyStore(clock=clock)

    Attributes:
        many_calls: how many finished calls one of the tests leaves behind, a day before it looks
            at their accounts again: more than your store keeps whole at a time. A store that
            forgets by age alone may take fewer.
    """
