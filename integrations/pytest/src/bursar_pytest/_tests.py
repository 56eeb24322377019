"""`Tests`: a session pays for each test that has a budget; a test of which a call was refused fails."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from shutil import rmtree
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

import pytest

from ._marks import has_budget, terms_of
from ._summary import costs, lines, properties, shown

if TYPE_CHECKING:
    from bursar import Session

    from ._run import Run, Test

_Phase: TypeAlias = "Generator[None, Any, Any]"

_STORE = "bursar_store"  # in what xdist hands to its workers
_SECTION = "refused by the budget"
_test: pytest.StashKey[Test] = pytest.StashKey()
_at_end: pytest.StashKey[ExitStack] = pytest.StashKey()
_refused: pytest.StashKey[list[str]] = pytest.StashKey()


class Tests:
    """What pytest calls around tests, in each of its processes.

    Args:
        config: of the process.

    Raises:
        pytest.UsageError: a limit of ``--budget`` is none.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._limits: list[str] = config.getoption("budget")
        self._worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        self._at_end = ExitStack()
        self._store: str | None = None
        self._run: Run | None = None
        config.add_cleanup(self._at_end.close)
        if self._limits:
            self._store = self._worker[_STORE] if self._worker else self._new_store()
            self._pay_for_all()

    # -- the whole run ------------------------------------------------------------------------

    def _the_run(self) -> Run:
        """What the tests of this process spend from; bursar is imported when it is first asked for.

        No property: an older pytest reads those of every plugin.
        """
        if self._run is None:
            from ._run import Run

            self._run = Run(self._limits, self._store)
        return self._run

    def _new_store(self) -> str:
        """The URL of a ledger that the processes of this run share, and that is gone with it."""
        folder = mkdtemp(prefix="bursar-pytest-")
        self._at_end.callback(rmtree, folder, ignore_errors=True)
        return f"sqlite:///{quote(folder)}/ledger.db?synchronous=normal&timeout=20"

    def _pay_for_all(self) -> None:
        """Let the run pay for what is sent outside of tests, such as by a module that is imported."""
        from bursar import BursarError
        from bursar.integration import pays_otherwise

        try:
            self._at_end.enter_context(pays_otherwise(self._the_run().session))
        except BursarError as error:
            raise pytest.UsageError(f"--budget: {error}") from None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """A process of xdist is about to start: it spends from the same ledger."""
        node.workerinput[_STORE] = self._store

    def pytest_report_header(self) -> str | None:
        """Say what the run may spend."""
        return f"bursar: {' and '.join(self._limits)} for all tests together" if self._limits else None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """See that each marker can be read; a process of xdist cannot say so, and fails its test instead."""
        for item in items if self._worker is None else ():
            try:
                if limits := terms_of(item).limits:
                    self._the_run().check(limits)
            except ValueError as error:
                raise pytest.UsageError(f"{item.nodeid}: @pytest.mark.budget: {error}") from None

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """A line for each test that has spent something, and what all of them have."""
        reports = (report for found in terminalreporter.stats.values() for report in found)
        costly = costs(report for report in reports if getattr(report, "when", None) == "teardown")
        if not costly and not self._limits:
            return
        terminalreporter.section("bursar")
        for line in lines(costly):
            terminalreporter.write_line(line)
        if self._limits:
            spent = shown(self._the_run().session.spent)
            terminalreporter.write_line(f"{spent} spent of {' and '.join(self._limits)}")

    # -- each test: inside of the wrappers of other plugins, which may not be left out ---------

    def pay_for(self, item: pytest.Item) -> Session:
        """The session that pays for a test from here on, until it is over."""
        if _test not in item.stash:
            from bursar import BursarError

            try:
                test, at_end = self._the_run().test(terms_of(item)), ExitStack()
                at_end.enter_context(test.paying())
            except (BursarError, ValueError) as error:
                failed = pytest.fail.Exception(f"no budget can pay for this test: {error}", pytrace=False)
                raise failed from None
            item.stash[_test], item.stash[_at_end] = test, at_end
        return item.stash[_test].session

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> _Phase:
        """Let a session pay for a test that has a budget."""
        if self._limits or has_budget(item):
            self.pay_for(item)
        return (yield from self._phase(item))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> _Phase:
        """See that nothing is refused."""
        return (yield from self._phase(item))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> _Phase:
        """Note what the test has spent, and pay for it no longer."""
        try:
            return (yield from self._phase(item))
        finally:
            if (test := item.stash.get(_test, None)) is not None:
                with item.stash[_at_end]:
                    del item.stash[_test]
                    report = test.report()
                    item.user_properties += properties(report) if report is not None else ()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Show what was refused in a test that failed by something else."""
        report = yield
        unsaid = [text for text in item.stash.get(_refused, ()) if text not in report.longreprtext]
        if report.failed and unsaid:
            report.sections.append((_SECTION, "\n".join(unsaid)))
        return report

    def _phase(self, item: pytest.Item) -> _Phase:
        """The test fails where a call was refused, also where the code under test swallowed that."""
        try:
            result, skipped = (yield), None
        except pytest.skip.Exception as outcome:
            result, skipped = None, outcome
        except BaseException as error:
            self._take_refusals(item)
            if (test := item.stash.get(_test, None)) is not None:
                test.shorten(error)
            raise
        if texts := self._take_refusals(item):
            pytest.fail(f"{_SECTION}: {texts[0]}", pytrace=False)
        if skipped is not None:
            raise skipped
        return result

    def _take_refusals(self, item: pytest.Item) -> list[str]:
        """Those of the phase that has ended."""
        test = item.stash.get(_test, None)
        item.stash[_refused] = [] if test is None else test.take_refusals()
        return item.stash[_refused]
