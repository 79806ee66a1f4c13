"""Pipelines as a whole: which steps read sensitive cells without paying, and what all steps have spent.

Users find these names in `skfusiondp.accounting`.
"""

from ._check import Finding, PipelineCheck, check_pipeline
from ._report import privacy_report

__all__ = ["Finding", "PipelineCheck", "check_pipeline", "privacy_report"]
