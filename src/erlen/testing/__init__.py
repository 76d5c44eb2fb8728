"""Requests and commands without a server: the test client, its requests, and the command runner.

Source: Flask, "Testing Flask Applications".
"""

from __future__ import annotations

from .builder import EnvironBuilder
from .client import FlaskClient
from .runner import FlaskCliRunner

__all__ = ["EnvironBuilder", "FlaskCliRunner", "FlaskClient"]
