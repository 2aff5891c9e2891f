"""Operators on the simulated device: results, devices, views, ``out=`` and PyTorch's errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

pytestmark = pytest.mark.usefixtures("cuda")


#: What only makes sense on the simulated device (tests/gpu runs the rest on a real one).
SIMULATION_ONLY = frozenset({"test_an_operator_without_a_stand_in_says_so"})


def test_tensors_are_real_device_tensors() -> None:
    x = torch.arange(6.0, device="cuda").view(2, 3)
    assert type(x) is torch.Tensor
    assert x.device == torch.device("cuda", 0)
    assert x.is_cuda
    assert x.type() == "torch.cuda.FloatTensor"
    assert (x @ x.T).cpu().tolist() == [[5.0, 14.0], [14.0, 50.0]]


def test_views_share_memory_and_versions() -> None:
    x = torch.zeros(4, device="cuda")
    view = x[1:3]
    before = x._version
    view.fill_(7)
    assert x.tolist() == [0, 7, 7, 0]
    assert x._version == view._version == before + 1
    assert view._base is x


def test_results_stay_on_the_device_of_their_operands() -> None:
    x = torch.ones(3, device="cuda:1")
    values, indices = x.sort()
    assert values.device == indices.device == torch.device("cuda", 1)
    assert [part.device.index for part in x.split(1)] == [1, 1, 1]


def test_the_current_device_is_where_factories_make_tensors() -> None:
    with torch.cuda.device(1):
        assert torch.zeros(1, device="cuda").device.index == 1
    assert torch.zeros(1, device="cuda").device.index == 0


def test_numbers_join_with_the_promotion_of_wrapped_numbers() -> None:
    whole = torch.arange(1, 4, device="cuda")
    assert (whole % 2).dtype == torch.int64
    assert (whole * 2.5).dtype == torch.float32
    assert torch.fmod(whole.half(), 1.5).dtype == torch.float16
    assert torch.where(whole > 1, whole, 0.5).tolist() == [0.5, 2, 3]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_numbers_keep_their_precision_beside_short_floats(dtype: torch.dtype) -> None:
    """Rounded to half first, 1e5 would be infinite."""
    host = torch.tensor([1e-3, 0.7, -3.3], dtype=dtype)
    x = host.cuda()
    assert (x * 1e5).tolist() == (host * 1e5).tolist()
    assert (x.sum() * 1e5).item() == (host.sum() * 1e5).item()
    assert (x / 0.3).tolist() == (host / 0.3).tolist()
    assert x.mul_(0.1).tolist() == host.mul_(0.1).tolist()


def test_out_of_the_wrong_size_is_resized() -> None:
    x = torch.ones(2, 3, device="cuda")
    empty = torch.empty(0, device="cuda")
    assert torch.add(x, 1, out=empty) is empty
    assert empty.tolist() == [[2, 2, 2], [2, 2, 2]]
    values, indices = (
        torch.empty(0, device="cuda"),
        torch.empty(0, dtype=torch.int64, device="cuda"),
    )
    torch.sort(x, out=(values, indices))
    assert values.shape == indices.shape == (2, 3)


def test_out_of_the_right_size_keeps_its_memory() -> None:
    out = torch.empty(3, device="cuda")
    address = out.data_ptr()
    torch.mul(torch.ones(3, device="cuda"), 2, out=out)
    assert out.data_ptr() == address
    assert out.tolist() == [2, 2, 2]


def test_resizing_within_a_storage_keeps_it_shared() -> None:
    base = torch.arange(6.0, device="cuda")
    part = base[:2]
    part.resize_(3)
    assert part.tolist() == [0, 1, 2]
    part.fill_(9)
    assert base.tolist() == [9, 9, 9, 3, 4, 5]
    out = base[:2]
    with pytest.warns(UserWarning, match="resized"):
        torch.add(torch.ones(4, device="cuda"), 1, out=out)
    assert base.tolist() == [2, 2, 2, 2, 4, 5]


def test_conjugates_and_negatives_are_carried() -> None:
    x = torch.tensor([1 + 2j, 3 - 1j], device="cuda")
    assert torch.dot(x.conj(), x).item() == torch.dot(x.cpu().conj(), x.cpu()).item()
    assert x.conj().imag.cpu().tolist() == [-2, 1]


def test_results_that_are_lazily_conjugate_stay_so() -> None:
    torch.manual_seed(0)
    a, b = (torch.randn(3, 3, dtype=torch.complex64) for _ in range(2))
    results = []
    for device in ("cpu", "cuda"):
        factors, pivots = torch.linalg.lu_factor(a.to(device))
        for left in (True, False):
            for adjoint in (True, False):
                options = {"left": left, "adjoint": adjoint}
                results.append(torch.linalg.lu_solve(factors, pivots, b.to(device), **options))
    for ours, theirs in zip(results[4:], results[:4], strict=True):
        torch.testing.assert_close(ours.cpu(), theirs)


def test_numpy_refuses_in_pytorchs_words() -> None:
    with pytest.raises(TypeError) as caught:
        torch.ones(1, device="cuda").numpy()
    assert str(caught.value) == (
        "can't convert cuda:0 device type tensor to numpy. "
        "Use Tensor.cpu() to copy the tensor to host memory first."
    )


class TestMixedDevices:
    """Texts of aten's TensorIterator.cpp and of torchgen's generated device checks."""

    def test_pointwise_operators_name_both_devices(self) -> None:
        with pytest.raises(RuntimeError) as caught:
            torch.ones(2, device="cuda") + torch.ones(2)
        assert str(caught.value) == (
            "Expected all tensors to be on the same device, "
            "but found at least two devices, cuda:0 and cpu!"
        )

    def test_other_operators_name_the_argument(self) -> None:
        with pytest.raises(RuntimeError) as caught:
            torch.ones(2, 2, device="cuda") @ torch.ones(2, 2)
        assert str(caught.value) == (
            "Expected all tensors to be on the same device, but got mat2 is on cpu, different from "
            "other tensors on cuda:0 (when checking argument in method wrapper_CUDA_mm)"
        )

    def test_an_unstructured_operator_has_its_own_method_name(self) -> None:
        table = torch.ones(4, 2, device="cuda")
        with pytest.raises(RuntimeError, match="method wrapper_CUDA__index_select"):
            torch.nn.functional.embedding(torch.tensor([1, 2]), table)

    def test_two_devices_do_not_mix_either(self) -> None:
        with pytest.raises(RuntimeError, match="two devices, cuda:0 and cuda:1!"):
            torch.ones(2, device="cuda:0").add_(torch.ones(2, device="cuda:1"))

    def test_convolution_has_words_of_its_own(self) -> None:
        with pytest.raises(RuntimeError) as caught:
            torch.nn.Conv2d(1, 1, 3).cuda()(torch.ones(1, 1, 5, 5))
        assert str(caught.value) == (
            "Input type (torch.FloatTensor) and weight type (torch.cuda.FloatTensor) "
            "should be the same"
        )

    def test_the_device_comes_first_whichever_operand_is_on_it(self) -> None:
        x, host = torch.ones(2, device="cuda"), torch.ones(2)
        mixes: tuple[Callable[[], torch.Tensor], ...] = (
            lambda: host + x,
            lambda: host.add_(x),
            lambda: torch.add(x, 1, out=host),
            lambda: torch.where(host > 0, x, x),
        )
        for mix in mixes:
            with pytest.raises(RuntimeError, match="two devices, cuda:0 and cpu!"):
                mix()

    def test_a_host_scalar_cannot_be_written_to(self) -> None:
        total = torch.tensor(1.0)
        with pytest.raises(RuntimeError, match="two devices, cuda:0 and cpu!"):
            total += torch.tensor(2.0, device="cuda")
        assert total.item() == 1

    def test_only_one_host_scalar_may_join(self) -> None:
        x, scalar = torch.ones(2, device="cuda"), torch.tensor(1.0)
        with pytest.raises(RuntimeError, match="too many CPU scalars"):
            torch.addcmul(x, scalar, scalar)
        assert torch.where(x > 0, scalar, scalar).tolist() == [1, 1]

    def test_structured_operators_name_their_overload(self) -> None:
        x = torch.ones(3, device="cuda")
        with pytest.raises(RuntimeError, match=r"got min is on cpu.*wrapper_CUDA_clamp_Tensor\)"):
            x.clamp(min=torch.tensor(2.0))
        with pytest.raises(RuntimeError, match=r"wrapper_CUDA_isin_Tensor_Tensor\)"):
            torch.isin(x, torch.ones(1))

    def test_masks_have_words_of_their_own(self) -> None:
        with pytest.raises(RuntimeError) as caught:
            torch.ones(2, device="cuda").masked_fill(torch.tensor([True, False]), 0)
        assert str(caught.value) == (
            "expected self and mask to be on the same device, "
            "but got mask on cpu and self on cuda:0"
        )

    def test_the_host_takes_one_number_from_a_device(self) -> None:
        number = torch.tensor(3.0, device="cuda")
        host = torch.zeros(3)
        host[torch.tensor([0, 1])] = number
        assert host.tolist() == [3, 3, 0]
        assert host.fill_(number).tolist() == [3, 3, 3]
        with pytest.raises(RuntimeError, match="two devices, cuda:0 and cpu!"):
            host[torch.tensor([0, 1])] = torch.ones(2, device="cuda")

    def test_a_host_scalar_may_join(self) -> None:
        x = torch.ones(2, device="cuda")
        assert (x * torch.tensor(3.0)).tolist() == [3, 3]
        assert torch.tensor(3.0).mul(x).device.type == "cuda"


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(torch.AcceleratorError, match="invalid device ordinal"):
        torch.zeros(1, device="cuda:2")
    with pytest.raises(torch.AcceleratorError, match="invalid device ordinal"):
        torch.cuda.set_device(5)


def test_an_operator_without_a_stand_in_says_so() -> None:
    with pytest.raises(NotImplementedError, match="cudnn_grid_sampler"):
        torch.cudnn_grid_sampler(
            torch.ones(1, 1, 2, 2, device="cuda"), torch.ones(1, 2, 2, 2, device="cuda")
        )
