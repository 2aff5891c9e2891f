"""``torch._foreach_*`` on device tensors: the host's numbers, the device's rules."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytestmark = pytest.mark.usefixtures("cuda")

#: Their Python functions are made at run time.
foreach: Any = torch


def _tensors(device: str) -> list[torch.Tensor]:
    return [torch.arange(1.0, 4.0).to(device), torch.ones(2, 2).to(device)]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("_foreach_add", ([torch.ones(3), torch.ones(2, 2)],)),
        ("_foreach_mul", (2.0,)),
        ("_foreach_mul", ([2.0, 3.0],)),
        ("_foreach_mul", (torch.tensor(3.0),)),
        ("_foreach_norm", (2,)),
        ("_foreach_sqrt", ()),
    ],
)
def test_results_are_those_of_the_host(name: str, arguments: tuple[Any, ...]) -> None:
    def moved(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.cuda()
        if isinstance(value, list):
            return [moved(item) for item in value]
        return value

    expected = getattr(foreach, name)(_tensors("cpu"), *arguments)
    found = getattr(foreach, name)(_tensors("cuda"), *map(moved, arguments))
    assert all(item.is_cuda for item in found)
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one, other.cpu())


def test_in_place_changes_what_was_given_and_its_version() -> None:
    tensors = _tensors("cuda")
    versions = [tensor._version for tensor in tensors]
    foreach._foreach_add_(tensors, _tensors("cuda"))
    assert tensors[0].tolist() == [2.0, 4.0, 6.0]
    assert [tensor._version for tensor in tensors] == [version + 1 for version in versions]


def test_tensors_of_another_device_are_refused() -> None:
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        foreach._foreach_add_(_tensors("cuda"), _tensors("cpu"))
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        foreach._foreach_add_(_tensors("cuda"), _tensors("cuda:1"))


def test_a_host_scalar_may_join_as_on_a_device() -> None:
    tensors = _tensors("cuda")
    foreach._foreach_mul_(tensors, torch.tensor(2.0))
    assert tensors[0].tolist() == [2.0, 4.0, 6.0]


def test_no_tensors_at_all_is_an_error_of_pytorchs() -> None:
    with pytest.raises(RuntimeError, match="at least one tensor"):
        foreach._foreach_add_([], 1.0)
