"""Ways to break the contract of what spends: missed parts, false reports, checks that look away."""

from variants import by_test

import skfusiondp.audit._risk as _risk
from skfusiondp._spender import Spender
from skfusiondp.accounting import _composite_report
from skfusiondp.accounting._enclosing import Surroundings
from skfusiondp.accounting._parts import Part, private_parts, spends
from skfusiondp.exceptions import InvalidInputError
from skfusiondp.model_selection import _private_random_search_cv, _trials

_CONTRACT = "test_contract.py"


def only_direct_steps(patch):
    def steps(estimator):
        found = [step for _, step in getattr(estimator, "steps", [("", estimator)])]
        return tuple(Part("", step) for step in found if spends(step))

    patch.setattr(_trials, "private_parts", steps)


def only_the_last_step(patch):
    plain = _risk.account_of

    def last(fitted):
        return plain(fitted[-1] if hasattr(fitted, "steps") else fitted)

    patch.setattr(_risk, "account_of", last)


def lost_parts_are_nothing(patch):
    def forgiving(fitted):
        try:
            return private_parts(fitted)
        except InvalidInputError:
            return ()

    patch.setattr(_composite_report, "private_parts", forgiving)


def a_fit_that_does_not_look_around(patch):
    patch.setattr("skfusiondp._spender.check_enclosing", lambda *a: Surroundings("", (), ""))


def a_search_that_does_not_look_around(patch):
    patch.setattr(_private_random_search_cv, "check_enclosing", lambda *a: Surroundings("", (), ""))
    a_fit_that_does_not_look_around(patch)


def a_step_that_speaks_for_all(patch):
    patch.setattr(Spender, "_in_context", lambda self: "")


VARIANTS_CONTRACT = [
    by_test(
        "search: paid steps inside other steps not counted",
        only_direct_steps,
        _CONTRACT,
        "test_a_search_covers_a_paid_step_wherever_it_is",
        True,
    ),
    by_test(
        "risk of a pipeline's last step alone",
        only_the_last_step,
        _CONTRACT,
        "test_the_risk_of_a_pipeline_counts_every_step",
    ),
    by_test(
        "a part whose ledger is lost costs nothing",
        lost_parts_are_nothing,
        _CONTRACT,
        "test_a_part_that_cannot_be_found_is_refused",
    ),
    by_test(
        "a fit that does not look at its pipeline",
        a_fit_that_does_not_look_around,
        _CONTRACT,
        "test_a_step_behind_a_leak_says_so_first",
    ),
    by_test(
        "a private search that does not look at its pipeline",
        a_search_that_does_not_look_around,
        _CONTRACT,
        "test_a_private_search_checks_its_pipeline",
    ),
    by_test(
        "a step's report that speaks for its pipeline",
        a_step_that_speaks_for_all,
        _CONTRACT,
        "test_a_step_says_that_it_speaks_of_itself_alone",
    ),
]
