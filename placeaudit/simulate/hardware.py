"""Device and link models: what a copy or wait would cost on hardware that is not there.

A copy is modelled as latency plus bytes over bandwidth.  Every figure of such a model is shown as
"modelled on <name>", never as measured.  Sources of the constants:

* compute capability, multiprocessors, clocks, memory bus, cache, link generation: NVIDIA's data
  sheets and architecture white papers of the product named (B200, H200, H100 SXM, A100 80GB SXM,
  A10, L4, T4, V100 SXM2, GeForce RTX 4090 and 3090; Amazon's G5 instances for the A10G).  Bus width
  times twice the memory clock is the bandwidth that the sheet gives.
* memory size: what ``torch.cuda.get_device_properties`` prints of the product in public logs, less
  than the sheet's figure by what driver and error correction keep.
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
    cache_bytes: int
    clock_hz: float
    memory_clock_hz: float
    memory_bus_bits: int
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


_MIB: Final = 1 << 20
_MHZ: Final = 1e6


def _model(
    name: str,
    product: str,
    *,
    mib: int,
    capability: tuple[int, int],
    multiprocessors: int,
    cache_mib: int,
    mhz: tuple[int, int],
    bus: int,
    pcie: int,
    peer: float,
) -> DeviceModel:
    """``mhz`` are the clocks of the multiprocessors and of the memory, ``peer`` GB/s."""
    return DeviceModel(
        name, product, mib * _MIB, capability, multiprocessors, cache_mib * _MIB,
        mhz[0] * _MHZ, mhz[1] * _MHZ, bus, pcie, peer * 1e9,
    )  # fmt: skip


DEVICES: Final[dict[str, DeviceModel]] = {
    model.name: model
    for model in (
        _model("b200", "NVIDIA B200", mib=182642, capability=(10, 0), multiprocessors=148,
               cache_mib=126, mhz=(1965, 3996), bus=8192, pcie=5, peer=900),
        _model("h200", "NVIDIA H200", mib=143156, capability=(9, 0), multiprocessors=132,
               cache_mib=60, mhz=(1980, 3201), bus=6144, pcie=5, peer=450),
        _model("h100", "NVIDIA H100 80GB HBM3", mib=81089, capability=(9, 0), multiprocessors=132,
               cache_mib=50, mhz=(1980, 2619), bus=5120, pcie=5, peer=450),
        _model("a100", "NVIDIA A100-SXM4-80GB", mib=81222, capability=(8, 0), multiprocessors=108,
               cache_mib=40, mhz=(1410, 1593), bus=5120, pcie=4, peer=300),
        _model("l4", "NVIDIA L4", mib=22563, capability=(8, 9), multiprocessors=58,
               cache_mib=48, mhz=(2040, 6251), bus=192, pcie=4, peer=25),
        _model("a10", "NVIDIA A10", mib=22515, capability=(8, 6), multiprocessors=72,
               cache_mib=6, mhz=(1695, 6251), bus=384, pcie=4, peer=25),
        _model("a10g", "NVIDIA A10G", mib=22587, capability=(8, 6), multiprocessors=80,
               cache_mib=6, mhz=(1710, 6251), bus=384, pcie=4, peer=25),
        _model("rtx4090", "NVIDIA GeForce RTX 4090", mib=24209, capability=(8, 9),
               multiprocessors=128, cache_mib=72, mhz=(2520, 10501), bus=384, pcie=4, peer=25),
        _model("rtx3090", "NVIDIA GeForce RTX 3090", mib=24268, capability=(8, 6),
               multiprocessors=82, cache_mib=6, mhz=(1695, 9751), bus=384, pcie=4, peer=25),
        _model("v100", "Tesla V100-SXM2-32GB", mib=32501, capability=(7, 0), multiprocessors=80,
               cache_mib=6, mhz=(1530, 877), bus=4096, pcie=3, peer=150),
        _model("t4", "Tesla T4", mib=15102, capability=(7, 5), multiprocessors=40,
               cache_mib=4, mhz=(1590, 5001), bus=256, pcie=3, peer=12),
    )
}  # fmt: skip
