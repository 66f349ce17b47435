"""What holds for every test: tiers, the distribution over worker processes, and what a run reports at its end."""

from __future__ import annotations

import gc

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.aws_twin.fixture import aws_twin, aws_twin_real
from tests.breadth import NIGHTLY, examples
from tests.commands import fork, fork_with_networks, prefect_home, prefect_server, restock, start
from tests.serving import end_served, served
from tests.workers import fork_workers

__all__ = [
    "aws_twin",
    "aws_twin_real",
    "fork",
    "fork_with_networks",
    "prefect_home",
    "prefect_server",
    "restock",
    "served",
    "start",
]

# A busy machine is slow by chance: how long an example takes says nothing about the code.
settings.register_profile("restock", deadline=None, max_examples=examples(25))
settings.load_profile("restock")

# Files whose tests share one twin of AWS run in one worker, so that it starts once.
WITH_TWIN = ("tests/aws_twin/", "tests/deepar/test_sagemaker")
# The same for `make serve`.
SERVED = ("tests/browser/test_ui", "tests/flows/test_serving")
# Their worker process imports torch.
WITH_NETWORKS = ("tests/deepar/test_container_training", "tests/deepar/test_edge", "tests/forecasting/pretrained/")
# The longest files start first: a worker that gets one of them last would keep the others waiting. While one worker
# starts the processes that all share, the others compute what needs none of them.
LONGEST = (
    *WITH_TWIN,
    *SERVED,
    *WITH_NETWORKS,
    "tests/golden/test_accuracy_guard",
    "tests/flows/test_deepar_sagemaker",
    "tests/flows/test_automations",
    "tests/flows/test_backfill",
    "tests/flows/test_approval",
    "tests/flows/test_weekly",
    "tests/flows/test_deepar",
)
TIERS = ("system", "flow", "slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what runs at night, mark the tests that use the twin of AWS, and start with what takes longest."""
    if not NIGHTLY:
        by_night = [item for item in items if item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=by_night)
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]
    for item in items:
        if item.nodeid.startswith(WITH_TWIN):
            item.add_marker(pytest.mark.system)
    items.sort(key=_turn)


def pytest_collection() -> None:
    """Collect no garbage while test files are imported: little of it is garbage, and it is walked again and again."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Spare garbage collections what was imported and collected: it stays until the end."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _turn(item: pytest.Item) -> tuple[int, int]:
    """When a test starts: the longest files, then the tiers in their order."""
    file = next((turn for turn, name in enumerate(LONGEST) if item.nodeid.startswith(name)), len(LONGEST))
    return file, next((turn for turn, tier in enumerate(TIERS) if item.get_closest_marker(tier)), len(TIERS))


class ByFile(LoadScopeScheduling):
    """A file's tests go to one worker, as with ``--dist loadfile``; so do files that share a server or torch."""

    def _split_scope(self, nodeid: str) -> str:
        shared = next((files for files in (WITH_TWIN, SERVED, WITH_NETWORKS) if nodeid.startswith(files)), None)
        return shared[0] if shared else nodeid.split("::", 1)[0]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop `make serve` after the last test that uses it: other tests follow for minutes."""
    if item.nodeid.startswith(SERVED) and (nextitem is None or not nextitem.nodeid.startswith(SERVED)):
        end_served()


def pytest_xdist_setupnodes(config: pytest.Config, specs: list[object]) -> None:
    """Import the tests once for all worker processes."""
    fork_workers(config, len(specs))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    """Distribute by file, in the order of the collection."""
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly that tests on real data did not run."""
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if "shared_data" in getattr(report, "keywords", ())
    ]
    if skipped:
        terminalreporter.write_sep("!", f"{len(skipped)} tests on real data did not run", red=True, bold=True)
        terminalreporter.write_line(
            "The folder ../shared next to the checkout is missing. What these tests protect was not tested:"
        )
        for report in skipped:
            terminalreporter.write_line(f"  {report.nodeid}")
