"""Device and link models: what a copy or wait would cost on hardware that is not there.

A copy is modelled as latency plus bytes over bandwidth.  Every figure of such a model is shown as
"modelled on <name>", never as measured.  Sources of the constants:

* memory size, compute capability, multiprocessors, link generation: NVIDIA's data sheets of the
  product named (H200, H100 SXM, A100 80GB SXM, L4, T4, V100 SXM2, GeForce RTX 4090).
* link peak per direction, x16: PCIe 3.0 15.75, 4.0 31.5, 5.0 63.0 GB/s (PCI-SIG, after 128b/130b
  encoding).  Pinned copies reach about 80 % of that (NVIDIA's bandwidthTest and nvbandwidth samples
  report 12-13, 25-26 and 52-55 GB/s).
* pageable copies are staged through a pinned buffer by one host thread, so they are bound by a
  host memcpy: NVIDIA's "How to Optimize Data Transfers in CUDA C/C++" measures about half of the
  pinned figure on PCIe 2 and 3; on faster links the host copy stays the bound.
* latency: about 10 microseconds for a blocking cudaMemcpy of a few bytes including the
  synchronisation; about 5 for the call alone (NVIDIA forum measurements and "Understanding the
  Visualization of Overhead and Latency in NVIDIA Nsight Systems").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["DEVICES", "DeviceModel"]

_GIB: Final = 1 << 30
_PINNED_SHARE: Final = 0.8
_PAGEABLE_BYTES_PER_S: Final = {3: 6.0e9, 4: 10.0e9, 5: 12.0e9}
_LINK_PEAK_BYTES_PER_S: Final = {3: 15.75e9, 4: 31.5e9, 5: 63.0e9}


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """One kind of device and its link to the host.

    Bandwidths are bytes a second in one direction, latencies seconds a call.
    """

    name: str
    #: As ``torch.cuda.get_device_name`` prints it.
    product: str
    memory_bytes: int
    capability: tuple[int, int]
    multiprocessors: int
    #: PCI Express generation of the x16 link to the host.
    pcie: int
    #: Peer-to-peer bandwidth: NVLink where the product has it, else the host link.
    peer_bytes_per_s: float
    wait_latency_s: float = 10e-6
    call_latency_s: float = 5e-6

    @property
    def pinned_bytes_per_s(self) -> float:
        """Bandwidth between page-locked host memory and the device."""
        return _LINK_PEAK_BYTES_PER_S[self.pcie] * _PINNED_SHARE

    @property
    def pageable_bytes_per_s(self) -> float:
        """Bandwidth between pageable host memory and the device, staged by the driver."""
        return _PAGEABLE_BYTES_PER_S[self.pcie]

    def _host_link_s(self, size_bytes: int, *, pinned: bool) -> float:
        rate = self.pinned_bytes_per_s if pinned else self.pageable_bytes_per_s
        return self.wait_latency_s + size_bytes / rate

    def h2d_s(self, size_bytes: int, *, pinned: bool) -> float:
        """Seconds of a blocking upload of ``size_bytes``."""
        return self._host_link_s(size_bytes, pinned=pinned)

    def d2h_s(self, size_bytes: int, *, pinned: bool) -> float:
        """Seconds of a blocking download of ``size_bytes``, once the device is idle."""
        return self._host_link_s(size_bytes, pinned=pinned)

    def d2d_s(self, size_bytes: int) -> float:
        """Seconds of a copy to a peer device."""
        return self.call_latency_s + size_bytes / self.peer_bytes_per_s


DEVICES: Final[dict[str, DeviceModel]] = {
    model.name: model
    for model in (
        DeviceModel("h200", "NVIDIA H200", 141 * 10**9, (9, 0), 132, 5, 450e9),
        DeviceModel("h100", "NVIDIA H100 80GB HBM3", 80 * _GIB, (9, 0), 132, 5, 450e9),
        DeviceModel("a100", "NVIDIA A100-SXM4-80GB", 80 * _GIB, (8, 0), 108, 4, 300e9),
        DeviceModel("l4", "NVIDIA L4", 24 * _GIB, (8, 9), 58, 4, 25e9),
        DeviceModel("rtx4090", "NVIDIA GeForce RTX 4090", 24 * _GIB, (8, 9), 128, 4, 25e9),
        DeviceModel("v100", "Tesla V100-SXM2-32GB", 32 * _GIB, (7, 0), 80, 3, 150e9),
        DeviceModel("t4", "Tesla T4", 16 * _GIB, (7, 5), 40, 3, 12e9),
    )
}
