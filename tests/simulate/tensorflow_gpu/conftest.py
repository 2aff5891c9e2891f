"""Where TensorFlow is not installed there is nothing to simulate in."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("tensorflow") is None:
    collect_ignore_glob = ["test_*.py"]
