"""Scenarios run as real processes, as in ``tests/integration/``."""

from __future__ import annotations

from tests.integration.conftest import sandbox

__all__ = ["sandbox"]
