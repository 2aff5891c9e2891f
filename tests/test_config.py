from __future__ import annotations

from pathlib import Path

import pytest

from placeaudit.config import load, parse_per_file_ignores
from placeaudit.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "pyproject.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_nothing_configured(tmp_path: Path) -> None:
    found = load(tmp_path, {})
    assert (found.layers, found.own, found.output_format) == ((), (), "text")
    assert (found.baseline, found.simulate, found.root) == (None, "", tmp_path)


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigError, match="the working directory is gone"):
        load()


def test_every_key_of_the_file(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        [tool.placeaudit]
        select = ["PA1", "PA201"]
        ignore = ["PA103"]
        extend-select = ["scalar-read"]
        per-file-ignores = { "tools/*" = ["PA2", "PA101"] }
        own = ["ourlib"]
        output-format = "github"
        baseline = "ci/baseline.json"
        simulate = "cuda:2"
        steps = "10:13"
        """,
    )
    found = load(tmp_path / "src", {})
    assert [(x.select, x.ignore, x.extend_select) for x in found.layers] == [
        (("PA1", "PA201"), ("PA103",), ("scalar-read",))
    ]
    assert found.per_file_ignores == (("tools/*", ("PA2", "PA101")),)
    assert (found.own, found.output_format) == (("ourlib",), "github")
    assert (found.baseline, found.simulate) == (tmp_path / "ci/baseline.json", "cuda:2")
    assert found.steps == "10:13"
    file = tmp_path / "pyproject.toml"
    assert found.origins["steps"] == f"{file}: [tool.placeaudit] steps"
    assert found.root == tmp_path


def test_the_nearest_file_that_has_the_table(tmp_path: Path) -> None:
    write(tmp_path, '[tool.placeaudit]\nown = ["far"]\n')
    write(tmp_path / "a", '[tool.placeaudit]\nown = ["near"]\n')
    write(tmp_path / "a/b", "[tool.other]\n")
    assert load(tmp_path / "a/b/c", {}).own == ("near",)
    assert load(tmp_path / "d", {}).own == ("far",)


def test_the_environment_is_stronger(tmp_path: Path) -> None:
    write(tmp_path, '[tool.placeaudit]\nown = ["a"]\nselect = ["PA1"]\nbaseline = "x"\n')
    found = load(
        tmp_path,
        {
            "PLACEAUDIT_OWN": "b,c",
            "PLACEAUDIT_SELECT": "PA2",
            "PLACEAUDIT_OUTPUT_FORMAT": "json",
            "PLACEAUDIT_PER_FILE_IGNORES": "a.py:PA1",
            "PLACEAUDIT_BASELINE": "y",
            "PLACEAUDIT_STEPS": "all",
        },
    )
    assert (found.own, found.output_format) == (("b", "c"), "json")
    assert found.baseline == tmp_path / "y"
    assert (found.steps, found.origins["steps"]) == ("all", "PLACEAUDIT_STEPS")
    assert found.per_file_ignores == (("a.py", ("PA1",)),)
    assert [layer.select for layer in found.layers] == [("PA1",), ("PA2",)]


def test_what_children_of_a_trace_are_told_is_no_error(tmp_path: Path) -> None:
    environment = {"PLACEAUDIT_RUN": "/run", "PLACEAUDIT_OWN": "", "PLACEAUDIT_SIMULATE": "cuda"}
    found = load(tmp_path, environment)
    assert (found.own, found.simulate) == ((), "cuda")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('selct = ["PA1"]', "pyproject.toml: [tool.placeaudit] has no key 'selct'; did you mean"),
        ("qqqq = 1", "known: select, ignore"),
        ('select = "PA1"', "select must be a list of strings, as in [\"PA201\"], not 'PA1'"),
        ("own = [1]", 'own must be a list of strings, as in ["ourlib"], not [1]'),
        ("steps = 3", "steps must be a string, not 3"),
        ("simulate = true", "simulate must be a string, not True"),
        ('output-format = "xml"', "output-format must be one of text, json, sarif"),
        ('per-file-ignores = ["PA1"]', "per-file-ignores must be a table"),
        ('per-file-ignores = { "a" = "PA1" }', "per-file-ignores must be a table"),
        ("select = [", "pyproject.toml is no valid TOML"),
    ],
)
def test_what_the_file_may_not_say(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, f"[tool.placeaudit]\n{text}\n")
    with pytest.raises(ConfigError) as error:
        load(tmp_path, {})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_table_must_be_one(tmp_path: Path) -> None:
    write(tmp_path, "tool.placeaudit = 3\n")
    with pytest.raises(ConfigError, match=r"tool\.placeaudit must be a table"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PLACEAUDIT_SELCT", "PA1", "did you mean 'PLACEAUDIT_SELECT'?"),
        ("PLACEAUDIT_OUTPUT_FORMAT", "xml", "PLACEAUDIT_OUTPUT_FORMAT must be one of text"),
        ("PLACEAUDIT_PER_FILE_IGNORES", "PA201", "PLACEAUDIT_PER_FILE_IGNORES: 'PA201' is no list"),
    ],
)
def test_what_the_environment_may_not_say(
    tmp_path: Path, name: str, value: str, message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, {name: value})
    assert message in str(error.value)


def test_per_file_ignores_as_text() -> None:
    assert parse_per_file_ignores("a.py:PA201,PA103,tools/*:PA2") == (
        ("a.py", ("PA201", "PA103")),
        ("tools/*", ("PA2",)),
    )
    for wrong in ("PA201", "a.py:", ":PA201"):
        with pytest.raises(ConfigError):
            parse_per_file_ignores(wrong)


def test_layers_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, '[tool.placeaudit]\nown = ["a"]\n')
    assert load(tmp_path, {}).layers == ()
