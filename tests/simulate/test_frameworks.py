"""Which framework gets its devices when."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from placeaudit.errors import SimulationError
from placeaudit.import_hook import ImportHook, is_imported
from placeaudit.simulate import frameworks
from placeaudit.simulate.spec import SimulationSpec

SPEC = SimulationSpec.parse("cuda:2")


class Stage:
    """Frameworks that are imported and installed, as a test wants them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.imported: set[str] = set()
        self.installed: set[str] = set()
        self.log: list[str] = []
        self.refuse: set[str] = set()
        monkeypatch.setattr(frameworks, "is_imported", lambda name: name in self.imported)
        monkeypatch.setattr(frameworks, "_is_installed", lambda name: name in self.installed)
        monkeypatch.setattr(frameworks, "import_module", self._import)
        monkeypatch.setattr(frameworks, "install", self._install)
        monkeypatch.setattr(frameworks._Begun, "spec", None)

    def _import(self, name: str) -> None:
        self.log.append(f"import {name}")

    def _install(self, name: str, spec: SimulationSpec) -> Callable[[], None]:
        if name in self.refuse:
            raise SimulationError(f"{name} cannot")
        self.log.append(f"simulate in {name}")
        return lambda: self.log.append(f"undo {name}")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    yield Stage(monkeypatch)
    for hook in [f for f in sys.meta_path if isinstance(f, ImportHook)]:
        if hook._name in {"torch", "tensorflow"}:
            hook.remove()


def waiting() -> set[str]:
    return {f._name for f in sys.meta_path if isinstance(f, ImportHook)}


def test_without_any_framework_it_says_so(stage: Stage) -> None:
    with pytest.raises(SimulationError, match="neither PyTorch nor TensorFlow is installed"):
        frameworks.begin(SPEC)
    assert frameworks.active() is None


def test_the_only_one_installed_is_imported_at_once(stage: Stage) -> None:
    stage.installed = {"tensorflow"}
    end = frameworks.begin(SPEC)
    assert stage.log == ["import tensorflow", "simulate in tensorflow"]
    assert frameworks.active() == SPEC
    end()
    assert stage.log[-1] == "undo tensorflow"
    assert frameworks.active() is None


def test_of_two_none_is_loaded_before_the_program_loads_it(stage: Stage) -> None:
    stage.installed = {"torch", "tensorflow"}
    end = frameworks.begin(SPEC)
    assert stage.log == []
    assert {"torch", "tensorflow"} <= waiting()
    assert frameworks.active() == SPEC
    end()
    assert not {"torch", "tensorflow"} & waiting()


def test_what_is_imported_gets_its_devices_now_and_the_other_later(stage: Stage) -> None:
    stage.imported, stage.installed = {"torch"}, {"tensorflow"}
    end = frameworks.begin(SPEC)
    assert stage.log == ["simulate in torch"]
    assert "tensorflow" in waiting()
    assert "torch" not in waiting()
    end()


def test_what_cannot_be_simulated_where_something_else_can_is_a_warning(stage: Stage) -> None:
    stage.imported, stage.refuse = {"torch", "tensorflow"}, {"tensorflow"}
    with pytest.warns(UserWarning, match="tensorflow cannot"):
        end = frameworks.begin(SPEC)
    assert stage.log == ["simulate in torch"]
    end()


def test_where_nothing_can_it_is_an_error(stage: Stage) -> None:
    stage.imported, stage.refuse = {"torch"}, {"torch"}
    with pytest.raises(SimulationError, match="torch cannot"):
        frameworks.begin(SPEC)


@pytest.mark.parametrize(
    ("framework", "late"), [("torch", ["library"]), ("tensorflow", ["raw_ops", "__all__"])]
)
def test_a_framework_is_imported_once_the_end_of_its_import_is_reached(
    framework: str, late: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType(framework)
    monkeypatch.setitem(sys.modules, framework, module)
    for name in late:
        assert not is_imported(framework)  # half of it, or a namesake
        setattr(module, name, None)
    assert is_imported(framework)
