"""Puts our kernels before those of the accelerator, and takes them away again."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from placeaudit.crossing import READ, WAITING
from placeaudit.record.torch.copies import PassOn, copy_kernel
from placeaudit.record.torch.waits import scalar_kernel, wait_kernel

if TYPE_CHECKING:
    from placeaudit.record.torch.interception import Interception

__all__ = ["Kernels"]


class Kernels:
    """The kernels on one dispatch key, for guards and for recording.

    ``simulated`` tells whether that key belongs to a simulated device.  On a real one a kernel
    called through ``call_boxed`` keeps the GIL while the device works, which stops every Python
    thread and can deadlock collectives; so there ``copy_`` is passed on by redispatching (the
    same composite function stands behind the CPU key, and redispatching releases the GIL) and
    before any other wait the stream is waited for through the public API, which releases it too.
    """

    def __init__(self, hub: Interception, key: str, *, simulated: bool) -> None:
        self._hub = hub
        self._key = key
        self._simulated = simulated
        self._library: Any = None
        #: Operators that could not be observed, with the reason.
        self.missing: dict[str, str] = {}

    def arm(self) -> None:
        """Register the kernels."""
        hub = self._hub
        self._library = torch.library.Library("aten", "IMPL")
        self._put("copy_", self._copy_pass_on, functools.partial(copy_kernel, hub))
        scalar = functools.partial(scalar_kernel, hub)
        self._put(READ, self._pass_on, scalar)
        for name in WAITING:
            self._put(name, self._pass_on, functools.partial(wait_kernel, hub, name))

    def disarm(self) -> None:
        """Take the kernels away: the ones before them serve again."""
        if self._library is not None:
            self._library._destroy()
            self._library = None

    def _put(
        self,
        name: str,
        pass_on: Callable[[Any], PassOn],
        make: Callable[[PassOn], Callable[..., Any]],
    ) -> None:
        try:
            kernel = torch.library.get_kernel(f"aten::{name}", self._key)
            with warnings.catch_warnings():
                # torch warns once that an operator is overridden: that is the point, and the
                # program's stderr stays as it was.
                warnings.simplefilter("ignore")
                self._library.impl(
                    name, make(pass_on(kernel)), self._key, with_keyset=True, allow_override=True
                )
        except (RuntimeError, ValueError) as error:
            self.missing[name] = str(error).partition("\n")[0]

    def _pass_on(self, kernel: Any) -> PassOn:
        if self._simulated:
            call: PassOn = kernel.call_boxed
            return call
        wait = self._hub.wait_for_stream

        def pass_on(keyset: Any, *args: Any, **kwargs: Any) -> Any:
            wait(args[0].device)
            return kernel.call_boxed(keyset, *args, **kwargs)

        return pass_on

    def _copy_pass_on(self, kernel: Any) -> PassOn:
        if self._simulated:
            call: PassOn = kernel.call_boxed
            return call
        redispatch = torch.ops.aten.copy_.default.redispatch
        cpu = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)

        def pass_on(_keyset: Any, dst: Any, src: Any, non_blocking: bool) -> Any:
            return redispatch(cpu, dst, src, non_blocking)

        return pass_on
