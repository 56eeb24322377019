"""What every client of an SDK does under a budget, as a suite of tests: one file a subject.

To put another SDK under it: describe it (`sdk.ClientSdk`) in a folder beside this one, name the
description in the `conftest.py` there, and subclass each suite in a file of its name. What is
special to the SDK stands below the subclass.
"""

from pkgutil import iter_modules

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in iter_modules(__path__)))
