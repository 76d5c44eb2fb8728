"""The alias: existing code that imports ``flask`` gets Erlen, in this process.

``install()`` does it; ``python -m erlen.compat script.py`` (or ``-m module``) and the command
``erlen`` do it first; ``ERLEN_AS_FLASK=1`` does it in every Python process with Erlen installed.
"""

from __future__ import annotations

from .finder import install

__all__ = ["install"]
