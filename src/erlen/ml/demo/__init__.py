"""Pages to try predictors on."""

from __future__ import annotations

from .page import Page as Page
from .page import add_page as add_page
