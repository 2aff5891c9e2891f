"""What the user configured: ``[tool.placeaudit]``, ``PLACEAUDIT_*``, then the command line.

::

    [tool.placeaudit]                       PLACEAUDIT_SELECT=PA1,PA201 …
    select = ["PA1", "PA201"]               only these rules
    ignore = ["PA205"]                      not these
    extend-select = ["PA306"]               these as well
    per-file-ignores = { "tools/*" = ["PA2"] }
    own = ["ourlib"]                        installed packages that are the user's own code
    output-format = "github"                of `check`
    baseline = "placeaudit-baseline.json"   of `check`, from where the pyproject.toml lies
    simulate = "cuda:2=h100"                of `trace` and of pytest
    steps = "10:13"                         of `trace`

The pyproject.toml is the nearest one, from the working directory upward, that has the table.  A key
that nobody knows is an error, because a gate that quietly reads past its configuration is none.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from placeaudit.errors import ConfigError

__all__ = [
    "FORMATS",
    "KEYS",
    "Config",
    "Layer",
    "PerFileIgnores",
    "load",
    "parse_per_file_ignores",
    "words",
]

#: What ``check --output-format`` writes.
FORMATS: Final = ("text", "json", "sarif", "github", "junit", "markdown")

#: Set for child processes of a trace; no setting.
_INTERNAL: Final = frozenset({"PLACEAUDIT_RUN"})
_PREFIX: Final = "PLACEAUDIT_"

#: Pattern of a path and the rules that are ignored there.
PerFileIgnores = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """What one place says about the choice of rules; ``select`` None: it says nothing.

    ``origin`` names the place for messages, "" for the command line.
    """

    origin: str = ""
    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of file and environment, the environment's where both set one."""

    #: The choice of rules, weakest layer first.
    layers: tuple[Layer, ...] = ()
    per_file_ignores: PerFileIgnores = ()
    own: tuple[str, ...] = ()
    output_format: str = "text"
    baseline: Path | None = None
    simulate: str = ""
    #: Steps of the operation window, as ``trace --steps`` takes them.
    steps: str = ""
    #: By key: where it was set, for messages.
    origins: Mapping[str, str] = field(default_factory=dict)
    #: Where the pyproject.toml lies, or the working directory: patterns start from there.
    root: Path = Path()


def words(text: str) -> tuple[str, ...]:
    """``"PA101, PA2"`` as ``("PA101", "PA2")``."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_per_file_ignores(text: str) -> PerFileIgnores:
    """``"a.py:PA201,PA103,tools/*:PA2"`` as pairs of a pattern and its rules.

    Raises:
        ConfigError: A rule comes without a pattern, or a pattern without a rule.
    """
    found: list[tuple[str, list[str]]] = []
    for part in words(text):
        pattern, colon, rule = part.rpartition(":")
        if colon:
            found.append((pattern.strip(), []))
        if not found or not found[-1][0] or not rule.strip():
            raise ConfigError(f"{text!r} is no list of PATTERN:RULE, as in 'tools/*:PA201'")
        found[-1][1].append(rule.strip())
    return tuple((pattern, tuple(rules)) for pattern, rules in found)


# --- kinds of values: each takes what TOML gave and raises ValueError with what it wants ----------


def _texts(value: object, example: str = "PA201") -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f'a list of strings, as in ["{example}"]')
    return tuple(value)


def _packages(value: object) -> tuple[str, ...]:
    return _texts(value, "ourlib")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a string")  # noqa: TRY004 - one kind of error for all kinds of values
    return value


def _format(value: object) -> str:
    if value not in FORMATS:
        raise ValueError(f"one of {', '.join(FORMATS)}")
    return str(value)


def _ignores(value: object) -> PerFileIgnores:
    wanted = 'a table of patterns and lists of rules, as in { "tools/*" = ["PA201"] }'
    if not isinstance(value, dict):
        raise ValueError(wanted)  # noqa: TRY004
    try:
        return tuple((pattern, _texts(rules)) for pattern, rules in value.items())
    except ValueError:
        raise ValueError(wanted) from None


@dataclass(frozen=True, slots=True)
class _Key:
    """How a setting is read from a file and from a variable."""

    from_toml: Callable[[object], Any]
    from_text: Callable[[str], Any]


_LIST: Final = _Key(_texts, words)
#: Every setting, by the name it has in the file.
KEYS: Final[Mapping[str, _Key]] = {
    "select": _LIST,
    "ignore": _LIST,
    "extend-select": _LIST,
    "per-file-ignores": _Key(_ignores, parse_per_file_ignores),
    "own": _Key(_packages, words),
    "output-format": _Key(_format, _format),
    "baseline": _Key(_text, _text),
    "simulate": _Key(_text, _text),
    "steps": _Key(_text, _text),
}
_RULE_KEYS: Final = ("select", "ignore", "extend-select")


def _variable(key: str) -> str:
    return _PREFIX + key.upper().replace("-", "_")


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def load(start: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """The settings that hold in the directory ``start`` (the working directory).

    Raises:
        ConfigError: The file is no TOML, a key is not known (the nearest is named) or a value has
            the wrong type.
    """
    here = _here() if start is None else start.absolute()
    file, table = _find_table(here)
    root = file.parent if file is not None else here
    layers: list[Layer] = []
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if file is not None:
        origin = f"{_shown(file, here)}: [tool.placeaudit]"
        read = _from_table(table, origin)
        if read.get("baseline"):
            read["baseline"] = root / read["baseline"]
        layers.append(_layer(read, origin))
        values |= read
        origins |= {key: f"{origin} {key}" for key in read}
    read = _from_environment(os.environ if environment is None else environment)
    layers.append(_layer(read, "the environment"))
    values |= read
    origins |= {key: _variable(key) for key in read}
    names = {f.name for f in fields(Config)} - {"layers", "root", "baseline", "origins"}
    chosen = {key.replace("-", "_"): value for key, value in values.items()}
    return Config(
        layers=tuple(layer for layer in layers if layer != Layer(layer.origin)),
        baseline=here / chosen["baseline"] if chosen.get("baseline") else None,
        root=root,
        origins=origins,
        **{name: chosen[name] for name in names if name in chosen},
    )


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError as error:
        raise ConfigError(f"the working directory is gone: {error.strerror}") from None


def _layer(values: Mapping[str, Any], origin: str) -> Layer:
    return Layer(
        origin, values.get("select"), values.get("ignore", ()), values.get("extend-select", ())
    )


def _find_table(here: Path) -> tuple[Path | None, dict[str, object]]:
    """The nearest pyproject.toml upward that has our table, and the table."""
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        try:
            text = file.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{_shown(file, here)} cannot be read: {error}") from None
        try:
            tool = tomllib.loads(text).get("tool", {})
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{_shown(file, here)} is no valid TOML: {error}") from None
        if isinstance(tool, dict) and "placeaudit" in tool:
            table = tool["placeaudit"]
            if not isinstance(table, dict):
                raise ConfigError(f"{_shown(file, here)}: tool.placeaudit must be a table")
            return file, table
    return None, {}


def _shown(file: Path, here: Path) -> str:
    return file.name if file.parent == here else str(file)


def _from_table(table: Mapping[str, object], origin: str) -> dict[str, Any]:
    found = {}
    for key, value in table.items():
        if key not in KEYS:
            raise ConfigError(f"{origin} has no key {key!r}; {_nearest(key, KEYS)}")
        try:
            found[key] = KEYS[key].from_toml(value)
        except ValueError as error:
            raise ConfigError(f"{origin} {key} must be {error}, not {value!r}") from None
    return found


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    variables = {_variable(key): key for key in KEYS}
    found = {}
    for name, text in environment.items():
        if not name.startswith(_PREFIX) or name in _INTERNAL:
            continue
        if name not in variables:
            raise ConfigError(
                f"the environment variable {name} is no setting; {_nearest(name, variables)}"
            )
        if not text:
            continue  # set to nothing: as good as not set
        key = variables[name]
        try:
            found[key] = KEYS[key].from_text(text)
        except ValueError as error:
            raise ConfigError(f"{name} must be {error}, not {text!r}") from None
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None
    return found
