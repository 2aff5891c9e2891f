from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from placeaudit.record.torch.calls import SYNCHRONIZING, Patch


def doubled(original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: original(*args) * 2


def test_a_patch_and_its_undo() -> None:
    owner = SimpleNamespace(f=lambda x: x + 1)
    original = owner.f
    patch = Patch(owner, "f", doubled)
    assert owner.f(1) == 4
    patch.undo()
    assert owner.f is original


def test_an_inherited_attribute_is_not_copied() -> None:
    class Base:
        def f(self) -> int:
            return 1

    class Derived(Base):
        pass

    patch = Patch(Derived, "f", doubled)
    assert Derived().f() == 2
    patch.undo()
    assert "f" not in vars(Derived)
    assert Derived().f() == 1


def test_a_later_patch_of_somebody_else_stays() -> None:
    owner = SimpleNamespace(f=lambda x: x + 1)
    patch = Patch(owner, "f", doubled)
    ours = owner.f
    owner.f = theirs = lambda x: ours(x) * 10
    patch.undo()
    assert owner.f is theirs


@pytest.mark.usefixtures("cuda")
def test_a_function_kept_from_a_session_records_nothing_later(record: Any) -> None:
    kept: list[Callable[..., Any]] = []
    done = record(lambda: kept.extend([torch.zeros, torch.cuda.synchronize, torch.save]))
    later = record(lambda: (kept[0](3), kept[1]()))
    assert done.waits == []
    # The kept function belongs to the first session; the second sees its own patch inside or not
    # at all, but never twice.
    assert len(later.waits) <= 1


@pytest.mark.usefixtures("cuda")
def test_patches_look_like_what_they_replace(record: Any) -> None:
    names = [("torch.cuda", "synchronize"), ("torch.nn.Module", "_apply"), ("torch", "load")]

    def look() -> list[tuple[str, str | None]]:
        found = []
        for path, name in names:
            owner: Any = torch
            for part in path.split(".")[1:]:
                owner = getattr(owner, part)
            function = getattr(owner, name)
            found.append((function.__name__, function.__doc__))
        return found

    before = look()
    inside: list[list[tuple[str, str | None]]] = []
    record(lambda: inside.append(look()))
    assert inside == [before]


def test_what_synchronizes_is_there_in_this_torch() -> None:
    for path, name, _ in SYNCHRONIZING[:4]:
        owner: Any = torch
        for part in path.split("."):
            owner = getattr(owner, part)
        assert hasattr(owner, name)
