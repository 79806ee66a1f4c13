"""A released table as files: drawn tables, and a card that says what they are and what they promise."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..._html import card, page
from ..._parameters import OneOf
from ...exceptions import InvalidInputError
from ...tables._frames import as_frame

FILE_FORMAT = OneOf(("csv", "parquet"))
_WARNING = (
    "Cells of the columns named here as drawn are guesses from the rest of a row. "
    "Never read one as a fact about a person."
)


def save_tables(
    synthesizer: Any,
    tables: Sequence[Any],
    label: Any,
    label_name: str,
    folder: Any,
    file_format: str,
) -> list[Path]:
    """Write drawn tables, their card and the privacy report to a new folder.

    Parameters
    ----------
    synthesizer : PrivateSynthesizer
        Fitted.
    tables : sequence of tables
        One a draw.
    label : ndarray of shape (n_rows,) or None
        The last column of each file, where there is one.
    label_name : str
    folder : str or Path
        Made, with its parents; refused where it holds files.
    file_format : {"csv", "parquet"}

    Returns
    -------
    list of Path
        The tables' files, then ``card.html`` and ``report.json``.

    Raises
    ------
    InvalidInputError
        If the folder holds files, or parquet is asked for and pyarrow is missing.
    """
    FILE_FORMAT.check("file_format", file_format)
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError(f"folder={str(folder)!r} holds files; name a new or empty one.")
    if file_format == "parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise InvalidInputError(
                "file_format='parquet' needs pyarrow: pip install pyarrow, or file_format='csv'."
            ) from None
    folder.mkdir(parents=True, exist_ok=True)
    frames = [_with_label(as_frame(table), label, label_name) for table in tables]
    paths = []
    for k, frame in enumerate(frames, 1):
        paths.append(folder / f"draw_{k}.{file_format}")
        if file_format == "csv":
            frame.to_csv(paths[-1], index=False)
        else:
            frame.to_parquet(paths[-1], index=False)
    report = synthesizer.privacy_report()
    known = folder / "card.html", folder / "report.json"
    names = [path.name for path in paths]
    body = card(_what_it_is(synthesizer, frames[0], names)) + report.to_html()
    known[0].write_text(page("A table with drawn sensitive cells", body), encoding="utf-8")
    known[1].write_text(json.dumps(report.to_dict(), indent=1), encoding="utf-8")
    return [*paths, *known]


def _with_label(frame: pd.DataFrame, label: Any, name: str) -> pd.DataFrame:
    frame = frame.set_axis([str(c) for c in frame.columns], axis=1).reset_index(drop=True)
    if label is None:
        return frame
    while name in frame.columns:
        name += "_"
    return frame.assign(**{name: label})


def _what_it_is(synthesizer: Any, frame: pd.DataFrame, names: Sequence[str]) -> str:
    schema = synthesizer.schema_
    drawn = ", ".join(html.escape(str(c)) for c in schema.sensitive) or "none"
    true = ", ".join(html.escape(str(c)) for c in frame.columns if c not in schema.sensitive) or "none"
    return (
        f"<h3>{len(names)} draw(s) of {len(frame):,} rows: {', '.join(names)}</h3>"
        f"<p class='warn'><b>{_WARNING}</b></p>"
        f"<table><tr><th>drawn</th><td>{drawn}</td></tr><tr><th>true</th><td>{true}</td></tr></table>"
        "<p>Whatever is done with these files costs no privacy beyond what the report below states. Rows "
        "come in the order of the true table, and each draw has all of them: the same row of different draws "
        "is of one person.</p>"
    )
