from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace

import torch


@dataclass
class Sample:
    frames: list
    target: torch.Tensor
    extra: dict = field(default_factory=dict)


def to_device(item, device):
    """Moves whatever holds tensors."""
    if torch.is_tensor(item):
        return item.to(device)  # expect: PA106
    if isinstance(item, Mapping):
        return {key: to_device(value, device) for key, value in item.items()}
    if isinstance(item, (list, tuple)):
        return type(item)(to_device(value, device) for value in item)
    if is_dataclass(item):
        moved = {f.name: to_device(getattr(item, f.name), device) for f in fields(item)}
        return replace(item, **moved)
    return item
