"""Generators of devices: which device they name, what they draw, what keeps their state."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch

from placeaudit.simulate.torch_cuda.philox import as_cuda_state

pytestmark = pytest.mark.usefixtures("cuda")

DRAWS: dict[str, Callable[[str, torch.Generator], torch.Tensor]] = {
    "rand": lambda device, g: torch.rand(3, device=device, generator=g),
    "randn": lambda device, g: torch.randn(3, device=device, generator=g),
    "randint": lambda device, g: torch.randint(9, (3,), device=device, generator=g),
    "randperm": lambda device, g: torch.randperm(5, device=device, generator=g),
    "normal": lambda device, g: torch.normal(0.0, 1.0, (3,), device=device, generator=g),
    "bernoulli": lambda device, g: torch.bernoulli(
        torch.full((4,), 0.5, device=device), generator=g
    ),
    "multinomial": lambda device, g: torch.multinomial(
        torch.ones(4, device=device), 2, generator=g
    ),
    "poisson": lambda device, g: torch.poisson(torch.ones(3, device=device), generator=g),
    "exponential": lambda device, g: torch.empty(3, device=device).exponential_(generator=g),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_generator_of_a_device_draws_what_one_of_the_host_does(
    draw: Callable[[str, torch.Generator], torch.Tensor],
) -> None:
    ours = torch.Generator("cuda").manual_seed(3)
    theirs = torch.Generator().manual_seed(3)
    for _ in range(2):
        assert torch.equal(draw("cuda", ours).cpu(), draw("cpu", theirs))
    assert ours.device == torch.device("cuda", 0)
    with pytest.raises(RuntimeError, match="but found 'cpu'"):
        draw("cuda", theirs)


def test_generators_name_the_device_they_were_made_for() -> None:
    assert torch.Generator("cuda:1").device == torch.device("cuda", 1)
    with torch.cuda.device(1):
        assert torch.Generator("cuda").device == torch.device("cuda", 1)
    assert torch.Generator().device == torch.device("cpu")


def test_their_state_is_kept() -> None:
    generator = torch.Generator("cuda").manual_seed(5)
    state = generator.get_state()
    first = torch.rand(2, device="cuda", generator=generator)
    generator.set_state(state)
    assert torch.equal(torch.rand(2, device="cuda", generator=generator), first)
    twin = pickle.loads(pickle.dumps(generator))
    assert twin.device == generator.device
    drawn, again = (torch.rand(2, device="cuda", generator=g) for g in (generator, twin))
    assert torch.equal(drawn, again)
    assert copy.deepcopy(generator).device == generator.device


def test_the_default_generators_are_the_hosts() -> None:
    torch.manual_seed(4)
    drawn = torch.rand(2, device="cuda", generator=torch.cuda.default_generators[0])
    torch.manual_seed(4)
    assert torch.equal(drawn.cpu(), torch.rand(2))
    torch.cuda.manual_seed_all(6)
    assert torch.cuda.initial_seed() == torch.initial_seed() == 6
    generators: Any = torch.cuda.default_generators
    assert generators[1].device == torch.device("cuda", 1)


def test_forked_random_state_comes_back() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2, device="cuda")
    torch.manual_seed(1)
    with torch.random.fork_rng(devices=[0, 1]):
        torch.rand(5, device="cuda:1")
    assert torch.equal(torch.rand(2, device="cuda"), expected)


def test_a_state_saved_on_a_real_device_seeds() -> None:
    """Sixteen bytes: seed and offset.  A checkpoint made on a GPU can be resumed here."""
    state = torch.tensor([9, 4], dtype=torch.int64).view(torch.uint8)
    torch.cuda.set_rng_state(state)
    assert torch.cuda.initial_seed() == 9
    first = torch.rand(3, device="cuda")
    torch.rand(7, device="cuda")
    torch.cuda.set_rng_state(state)
    assert torch.equal(torch.rand(3, device="cuda"), first)
    # At another place of the row other numbers, at its beginning those of the seed.
    torch.cuda.set_rng_state(torch.tensor([9, 8], dtype=torch.int64).view(torch.uint8))
    assert not torch.equal(torch.rand(3, device="cuda"), first)
    torch.cuda.set_rng_state(torch.tensor([9, 0], dtype=torch.int64).view(torch.uint8))
    begun = torch.rand(3, device="cuda")
    torch.cuda.manual_seed(9)
    assert torch.equal(torch.rand(3, device="cuda"), begun)


def test_a_state_as_seed_and_offset_keeps_both() -> None:
    torch.manual_seed(-3)
    shown = as_cuda_state(torch.cuda.get_rng_state())
    assert shown.view(torch.int64).tolist() == [-3, 0]
    there = torch.tensor([-3, 1 << 40], dtype=torch.int64).view(torch.uint8)
    torch.cuda.set_rng_state(there)
    assert torch.equal(as_cuda_state(torch.cuda.get_rng_state()), there)
    torch.rand(2, device="cuda")
    seed, offset = as_cuda_state(torch.cuda.get_rng_state()).view(torch.int64).tolist()
    assert seed == -3
    assert offset not in {0, 1 << 40}
    assert offset % 4 == 0
