"""What the CUDA build of this very torch says of itself, version by version.

Read from the wheels that PyPI has of each version for Linux (their metadata, ``libtorch_cuda.so``,
``libtorch_python.so`` and ``libc10_cuda.so``): programs log and compare it, nothing loads it.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import torch

__all__ = ["CudaBuild", "cuda_build"]

_ASYNCHRONOUS: Final = (
    "\nCUDA kernel errors might be asynchronously reported at some other API call, so the "
    "stacktrace below might be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1"
)
_NO_ASSERTIONS: Final = "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
_ARCHS: Final = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")


@dataclass(frozen=True, slots=True)
class CudaBuild:
    """Versions and wordings of one build."""

    cuda: str = "13.0"
    cudnn: int = 92000
    nccl: tuple[int, int, int] = (2, 29, 7)
    cusparselt: int = 801
    archs: tuple[str, ...] = _ARCHS
    #: What follows the name of a CUDA error.
    error_suffix: str = _ASYNCHRONOUS + "\n" + _NO_ASSERTIONS
    #: The same for errors that kernels make.
    kernel_error_suffix: str = _ASYNCHRONOUS + "\n" + _NO_ASSERTIONS
    #: How the advice of an out-of-memory error sets the allocator, and where it is documented.
    allocator_variable: str = "PYTORCH_CUDA_ALLOC_CONF"
    allocator_anchor: str = "optimizing-memory-usage-with-pytorch-cuda-alloc-conf"

    @property
    def summary(self) -> str:
        """What ``torch.__config__.show()`` says of CUDA."""
        codes = ";".join(f"-gencode;arch=compute_{arch[3:]},code={arch}" for arch in self.archs)
        major, rest = divmod(self.cudnn, 10000)
        return (
            f"  - CUDA Runtime {self.cuda}\n  - NVCC architecture flags: {codes}\n"
            f"  - CuDNN {major}.{rest // 100}.{rest % 100}\n  - Magma 2.6.1\n"
        )


_BUILDS: Final = {
    (2, 10): CudaBuild(
        cuda="12.8",
        cudnn=91002,
        nccl=(2, 27, 5),
        cusparselt=701,
        archs=("sm_70", *_ARCHS),
        allocator_variable="PYTORCH_ALLOC_CONF",
        allocator_anchor="environment-variables",
    ),
    (2, 11): CudaBuild(cudnn=91900, nccl=(2, 28, 9), cusparselt=800),
    (2, 12): CudaBuild(),
}
#: The newest known stands for what is newer.
_NEWEST: Final = CudaBuild(
    error_suffix="\nFor more detailed error information, run with CUDA_LOG_FILE=stderr\n",
    kernel_error_suffix=_ASYNCHRONOUS + "\n",
)


@functools.cache
def cuda_build() -> CudaBuild:
    """The build of the torch that is running."""
    major, minor = torch.__version__.split("+")[0].split(".")[:2]
    return _BUILDS.get((int(major), int(minor)), _NEWEST)
