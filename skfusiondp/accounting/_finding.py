"""One finding of ``check_pipeline``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One step, and what it does with sensitive training cells.

    Parameters
    ----------
    path : str
        Where the step is, as in ``get_params``: ``"prep__scale"``; empty for the object itself.
    estimator : str
        Name of the step's class.
    columns : tuple of str
        Sensitive columns of the first table whose cells it reads.
    severity : {"leak", "uncovered", "note"}
        "leak" voids the guarantee; "uncovered" is a choice among fits that pay; "note" is something
        that cannot be seen.
    why : str
        What the step does, as the end of a sentence.
    remedy : str
        What to do about it; may be empty.
    """

    path: str
    estimator: str
    columns: tuple[str, ...]
    severity: str
    why: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.path} ({self.estimator})" if self.path else self.estimator
        text = f"{where} {self.why}; sensitive: {', '.join(self.columns)}."
        return f"{text} {self.remedy}" if self.remedy else text
