"""Hard dollar budgets for tests that call models: an option, a marker and a fixture of pytest.

Nothing of it is imported by name: pytest finds `bursar_pytest.hooks` by its entry point.
"""

__all__: list[str] = []
