"""Hard dollar budgets for the Anthropic SDK: what `bursar.wrap_client` and `bursar.init` cover it with."""

__all__: list[str] = []
