"""`erlen check`: whether an application for Flask behaves on Erlen as it does on Flask.

The application runs in processes of its own, one with the real Flask and one with Erlen; what they
say is compared here. Nothing is changed, and nothing is sent to other machines.
"""

from __future__ import annotations

from .findings import Finding, NothingToCompare, Part, Report
from .run import Options, run

__all__ = ["Finding", "NothingToCompare", "Options", "Part", "Report", "run"]
