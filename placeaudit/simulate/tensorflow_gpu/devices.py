"""The lists in which TensorFlow shows its devices, with the simulated GPUs in them.

What a program does with them before TensorFlow starts — hiding devices, memory growth, splitting a
GPU into logical ones — is TensorFlow's own code: only its first source, the list of physical
devices, and the last step, the logical devices that really get made, are changed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import device_lib, session
from tensorflow.python.eager import context as eager_context
from tensorflow.python.framework import device_spec
from tensorflow.python.training import server_lib

if TYPE_CHECKING:
    from placeaudit.simulate.hardware import DeviceModel
    from placeaudit.simulate.tensorflow_gpu.names import Names
    from placeaudit.simulate.tensorflow_gpu.patches import Patches

__all__ = ["add_devices", "forget_parsed_names", "started"]

_GPU = b"/physical_device:GPU:"


def started() -> bool:
    """Whether TensorFlow's runtime has started: its devices can no longer be chosen."""
    running: Any = eager_context.context_safe()
    return running is not None and running._context_handle is not None


def forget_parsed_names() -> None:
    """TensorFlow remembers what device names mean."""
    device_spec._STRING_TO_COMPONENTS_CACHE.clear()
    eager_context._device_parsing_cache.clear()


def add_devices(patches: Patches, names: Names, count: int, model: DeviceModel) -> None:
    """Show ``count`` GPUs of ``model``."""
    _add_names(patches, names)
    _add_physical(patches, count, model)
    _add_logical(patches, names)
    _add_sessions(patches, names)
    _add_local(patches, count, model)


def _add_names(patches: Patches, names: Names) -> None:
    """``GPU:i`` in a device string means the logical device that stands for it."""
    spec_type: Any = device_spec.DeviceSpecV2
    parse: Callable[..., tuple[Any, ...]] = spec_type._string_to_components

    def string_to_components(spec: str | None = None) -> tuple[Any, ...]:
        job, replica, task, kind, index = parse(spec)
        return (job, replica, task, *names.to_real(kind, index))

    patches.replace(spec_type, "_string_to_components", staticmethod(string_to_components))
    forget_parsed_names()
    patches.on_undo(forget_parsed_names)


def _add_physical(patches: Patches, count: int, model: DeviceModel) -> None:
    native: Any = eager_context.pywrap_tfe
    listed: Callable[[], list[bytes]] = native.TF_ListPhysicalDevices
    details: Callable[[int], dict[str, str]] = native.TF_GetDeviceDetails

    def list_physical_devices() -> list[bytes]:
        return [*listed(), *(_GPU + str(index).encode() for index in range(count))]

    def get_device_details(index: int) -> dict[str, str]:
        if index < len(listed()):
            return details(index)
        major, minor = model.capability
        return {"device_name": model.product, "compute_capability": f"{major}.{minor}"}

    # Asked for first, done last: once the list is TensorFlow's own again.
    patches.on_undo(_look_again)
    patches.replace(native, "TF_ListPhysicalDevices", list_physical_devices)
    patches.replace(native, "TF_GetDeviceDetails", get_device_details)
    _look_again()


def _look_again() -> None:
    """A context that has listed its physical devices, but not started, lists them again."""
    running: Any = eager_context.context_safe()
    if running is not None and running._physical_devices is not None and not started():
        running.reinitialize_physical_devices()


def _add_logical(patches: Patches, names: Names) -> None:
    """Each visible GPU, or each part that the program splits it into, is one more CPU device."""
    context_type: Any = eager_context.Context
    get_config: Callable[[Any], Any] = context_type.config.fget
    initialize: Callable[[Any], None] = context_type._initialize_logical_devices

    def config(self: Any) -> Any:
        found = get_config(self)
        names.first, names.gpus = found.device_count["CPU"], found.device_count["GPU"]
        found.device_count["CPU"] = names.first + names.gpus
        found.device_count["GPU"] = 0
        found.ClearField("gpu_options")
        return found

    def initialize_logical_devices(self: Any) -> None:
        initialize(self)
        shown = []
        for device in self._logical_devices:
            full = names.to_full(device.name)
            if full != device.name:
                device = eager_context.LogicalDevice(name=full, device_type="GPU")  # noqa: PLW2901
            shown.append(device)
        self._logical_devices = shown
        self._num_gpus = names.gpus
        forget_parsed_names()

    patches.replace(context_type, "config", property(config))
    patches.replace(context_type, "_initialize_logical_devices", initialize_logical_devices)


def _add_sessions(patches: Patches, names: Names) -> None:
    """Sessions and servers with a configuration of their own have the devices of the process."""
    initialize: Callable[..., None] = session.BaseSession.__init__
    make: Callable[..., Any] = server_lib._make_server_def

    def with_devices(given: Any) -> Any:
        eager_context.context().ensure_initialized()  # only now the GPUs are counted
        config = config_pb2.ConfigProto()
        if given is not None:
            config.CopyFrom(given)
        config.device_count["CPU"] = names.first + names.gpus
        config.device_count["GPU"] = 0
        config.ClearField("gpu_options")
        return config

    @functools.wraps(initialize)
    def __init__(self: Any, target: Any = "", graph: Any = None, config: Any = None) -> None:  # noqa: N807
        if isinstance(config, config_pb2.ConfigProto):
            config = with_devices(config)
        initialize(self, target, graph, config)

    def make_server_def(
        cluster: Any, job_name: Any, task_index: Any, protocol: Any, config: Any
    ) -> Any:
        return make(cluster, job_name, task_index, protocol, with_devices(config))

    patches.replace(session.BaseSession, "__init__", __init__)
    patches.replace(server_lib, "_make_server_def", make_server_def)


def _add_local(patches: Patches, count: int, model: DeviceModel) -> None:
    """``device_lib.list_local_devices``, which ``tf.test.gpu_device_name`` asks."""
    listed: Callable[..., list[Any]] = device_lib.list_local_devices

    def list_local_devices(session_config: Any = None) -> list[Any]:
        found = listed(session_config)
        major, minor = model.capability
        for index in range(count):
            gpu = type(found[0])()
            gpu.name, gpu.device_type = f"/device:GPU:{index}", "GPU"
            gpu.memory_limit = model.memory_bytes
            gpu.physical_device_desc = (
                f"device: {index}, name: {model.product}, pci bus id: 0000:00:{index:02x}.0, "
                f"compute capability: {major}.{minor}"
            )
            found.append(gpu)
        return found

    patches.replace(device_lib, "list_local_devices", list_local_devices)
