"""Derive the kernel table of a TensorFlow version from a GPU build of it.

The GPU wheel tells its whole registry without a GPU, so any machine will do::

    pip install --no-deps --target gpu tensorflow==2.21.0      # beside an installed tensorflow-cpu
    PYTHONPATH=gpu python -m placeaudit.simulate.tensorflow_gpu.derive kernel_tables/

writes ``kernel_tables/tf_2_21.json.xz``.
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path

from placeaudit.simulate.tensorflow_gpu.kernels import KernelTable, table_name

__all__ = ["main"]


def main(folder: str) -> int:
    """Write the table of the TensorFlow that is imported here into ``folder``; the exit code."""
    import tensorflow as tf
    from tensorflow.python.framework import kernels

    if not tf.test.is_built_with_cuda():
        sys.stderr.write("this TensorFlow is a CPU build: its registry has no GPU kernels\n")
        return 2
    table = KernelTable.from_registry(kernels.get_all_registered_kernels().kernel)
    text = json.dumps(table.to_json(), separators=(",", ":"), sort_keys=True)
    target = Path(folder, f"{table_name(tf.__version__)}.json.xz")
    target.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    sys.stdout.write(f"{target}: {target.stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or ["."]))
