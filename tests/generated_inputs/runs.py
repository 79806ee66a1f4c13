"""How many inputs a test is given: a few in a default run, many in the slow one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings

# Examples of each test: a default run, and the long one, which together has 10,000.
FEW = {"cheap": 60, "table": 25, "fit": 8, "judged": 6}
MANY = {"cheap": 1000, "table": 350, "fit": 250, "judged": 60}


# Inputs are of named kinds, of which a failure says the names: smaller ones would say no more.
PHASES = [Phase.explicit, Phase.generate]


def generated(kind: str, *strategies) -> Callable:
    """Run a test on a few generated inputs by default, and on many in the slow run."""

    def decorate(test):
        def sized(count):
            run = given(*strategies)(test)
            quiet = {"suppress_health_check": list(HealthCheck), "report_multiple_bugs": False}
            return settings(max_examples=count, phases=PHASES, **quiet)(run)

        def sized_test(run):
            run()

        many = pytest.param(sized(MANY[kind]), id="many", marks=pytest.mark.slow)
        return pytest.mark.parametrize("run", [pytest.param(sized(FEW[kind]), id="few"), many])(sized_test)

    return decorate
