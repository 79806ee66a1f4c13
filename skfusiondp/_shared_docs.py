"""The documentation of what several classes have in common, written once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_SHARED = """
support : table of shape (n_support, at least n_columns), default=None (the imputer's, if it has one)
    Public rows with true sensitive cells: of other people, or of people who agreed to publish them, none
    of them a training row. Training rows that are found among them are a leak.
epsilon : float, default=None (1.0, unless `noise_multiplier` is given)
    Budget, met by calibrating the noise. Budgets that protect are about 0.5 to 8.
noise_multiplier : float, default=None (what meets `epsilon`)
    Noise standard deviation over the clipping norm, in place of `epsilon`.
delta : float, default=None (1 / (10 n_rows))
    Probability with which nothing is promised; well below one over the number of rows.
budget : PrivacyBudget or str, default=None (this fit alone)
    What this fit and others may spend together, or the path of such a budget's file. A fit that
    would overdraw it is refused before it reads a sensitive cell.
adjacency : {"replace", "zero-out"}, default="replace"
    Neighbouring relation: one row's sensitive cells change to any other values, or are erased, so that
    the row adds nothing. A missing cell is a value, and not erased. The same noise gives a larger
    epsilon under "replace".
groups : str, default=None (each row is somebody else's)
    Public column of X that says whose row it is, where a person (or any other unit) has several; nothing
    is learnt from it, and it may be absent afterwards. `epsilon` is then that of a unit: all of its
    sensitive cells may change at once. Or give ``groups=array`` to ``fit``.
max_rows_per_unit : int, default=None (all)
    Rows of a unit whose sensitive cells are read: its first ones. Where all are read, a fit pays for as many
    as the largest unit has.
on_leak : {"warn", "raise", "ignore"}, default="warn"
    What happens where something would read sensitive cells without paying, such as a domain that nobody
    has declared.
random_state : int, RandomState or Generator, default=None (the operating system's entropy)
    Makes a fit repeatable, noise included; the report says that this voids the promise against
    whoever knows it. A model for release needs None.
epsilon_ : float
    Epsilon of everything in `ledger_`, at `delta_`, under the relation of the last fit.
delta_ : float
    The delta that `epsilon_` goes with.
ledger_ : PrivacyLedger
    Every mechanism that read sensitive cells, over all fits of this object. A fit that began to read them
    has paid for all that it planned, also if it failed or was interrupted.
schema_ : SensitiveSchema
    Columns that went in, and the domain of each sensitive one.
imputer_ : FoundationImputer or None
    The fitted imputer.
unit_ : str
    What says whose row it is; empty where each row is a unit.
rows_per_unit_ : int
    The most rows of one unit that were read privately: whose epsilon `epsilon_` is.
n_rows_ : int
    Number of training rows.
n_features_in_ : int
    Number of columns seen in ``fit``.
feature_names_in_ : ndarray of shape (n_columns,)
    Names of the columns seen in ``fit``, if they have any.
"""
_PRIVACY = """
{epsilon}
{noise_multiplier}
{delta}
{adjacency}
{groups}
{max_rows_per_unit}
{budget}
{on_leak}
{random_state}
"""
_PLACE = re.compile(r"^( *)\{(\w+)\}$", re.M)


def entries(text: str) -> dict[str, str]:
    """The entries of a numpydoc section, by name."""
    found = re.findall(r"^(\w+)( : .*(?:\n    .*)*)", text, re.M)
    return {name: name + rest for name, rest in found}


def documented(own: str = "", **blocks: str) -> Callable[[type], type]:
    """A decorator that fills the lines ``{name}`` of a docstring, and those of what it fills in.

    Parameters
    ----------
    own : str
        Entries in place of the shared ones.
    **blocks : str
        Longer texts by name.
    """
    texts = {"privacy": _PRIVACY, **entries(_SHARED), **entries(own), **blocks}

    def fill(cls: type) -> type:
        cls.__doc__ = _filled(cls.__doc__ or "", texts)
        return cls

    return fill


def _filled(text: str, texts: Mapping[str, str]) -> str:
    def place(match: re.Match[str]) -> str:
        indent, name = match.groups()
        lines = _filled(texts[name].strip(), texts).splitlines()
        return "\n".join(indent + line if line else "" for line in lines)

    return _PLACE.sub(place, text)
