"""Hard dollar budgets for AI agents: a call that may not fit is never sent."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .budget import Budget
    from .clients import unwrap_client, wrap_client
    from .dropin import bind, budgeted, get_session, init, remaining, report, spent, teardown, track
    from .errors import (
        BudgetExceeded,
        BursarError,
        CallVetoed,
        HoldClosed,
        InvalidAmount,
        LedgerRolledBack,
        LimitConflict,
        LoopDetected,
        StoreError,
        StoreUnavailable,
        Tripped,
        UnknownModel,
        UnpriceableCall,
        UsageMissing,
        VelocityExceeded,
    )
    from .hookspecs import hookimpl
    from .ledger.hold import Hold
    from .ledger.hook_call import PluginInfo
    from .ledger.refusals import Refusal
    from .plugins import list_plugins
    from .pricing.book import register_model, register_models
    from .pricing.input_bound import Estimate
    from .pricing.price import Price
    from .reports.alert import Alert, AlertKind, AlertLevel
    from .reports.text import report_text
    from .session import Session
    from .values.call import Call
    from .values.charge import Charge
    from .values.limits import Limit
    from .values.usage import Usage
    from .webhooks.signature import verify_webhook

    __version__: str
else:

    def __getattr__(name: str) -> Any:
        """A public name when it is first used; for others an error that knows those of other libraries."""
        if name in _HOMES:
            found = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
            return found
        if name in _MODULES:
            return import_module(f".{name}", __name__)
        if name == "__version__":
            from importlib.metadata import version  # to read metadata takes longer than all the rest

            return version("bursar")
        from .values.peer_names import OURS, unknown_name

        message = unknown_name(f"module {__name__!r}", name, __all__)
        if name in OURS and sys._getframe(1).f_code.co_name == "_handle_fromlist":
            raise ImportError(message)  # `from bursar import name` would say nothing of ours
        raise AttributeError(message)


__all__ = [
    # Budgets and the sessions that spend from them
    "Budget",
    "Limit",
    "Session",
    # Two lines, no changes to the code
    "bind",
    "budgeted",
    "get_session",
    "init",
    "remaining",
    "report",
    "spent",
    "teardown",
    "track",
    "unwrap_client",
    "wrap_client",
    # The life of one paid call
    "Call",
    "Charge",
    "Hold",
    "Usage",
    # What people read
    "report_text",
    # What listeners are told
    "Alert",
    "AlertKind",
    "AlertLevel",
    "verify_webhook",
    # Prices
    "Price",
    "register_model",
    "register_models",
    # Plugins
    "Estimate",
    "PluginInfo",
    "Refusal",
    "hookimpl",
    "list_plugins",
    # Errors
    "BudgetExceeded",
    "BursarError",
    "CallVetoed",
    "HoldClosed",
    "InvalidAmount",
    "LedgerRolledBack",
    "LimitConflict",
    "LoopDetected",
    "StoreError",
    "StoreUnavailable",
    "Tripped",
    "UnknownModel",
    "UnpriceableCall",
    "UsageMissing",
    "VelocityExceeded",
]

# Where they are: a module is imported when one of its names is first used.
_NAMES = {
    "budget": "Budget",
    "clients": "unwrap_client wrap_client",
    "dropin": "bind budgeted get_session init remaining report spent teardown track",
    "errors": "BudgetExceeded BursarError CallVetoed HoldClosed InvalidAmount LedgerRolledBack LimitConflict"
    " LoopDetected StoreError StoreUnavailable Tripped UnknownModel UnpriceableCall UsageMissing"
    " VelocityExceeded",
    "hookspecs": "hookimpl",
    "ledger.hold": "Hold",
    "ledger.hook_call": "PluginInfo",
    "ledger.refusals": "Refusal",
    "plugins": "list_plugins",
    "pricing.book": "register_model register_models",
    "pricing.input_bound": "Estimate",
    "pricing.price": "Price",
    "reports.alert": "Alert AlertKind AlertLevel",
    "reports.text": "report_text",
    "session": "Session",
    "values.call": "Call",
    "values.charge": "Charge",
    "values.limits": "Limit",
    "values.usage": "Usage",
    "webhooks.signature": "verify_webhook",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}
_MODULES = {"store", *(home.partition(".")[0] for home in _NAMES)}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
