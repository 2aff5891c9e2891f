from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from placeaudit.model import Finding, Severity
from placeaudit.report.base import Result
from placeaudit.report.github import GithubReporter

Make = Callable[..., Finding]


def lines(*results: Result) -> list[str]:
    return GithubReporter().render(results).splitlines()


def test_one_command_a_stray(gold_result: Result) -> None:
    first, second, last = lines(gold_result)
    assert first == (
        "::warning file=/work/train.py,line=8,endLine=8,title=PA201 scalar-read::"
        "loss.item() makes the host wait for the device in every step."
        "%0AFix: Keep the sum on the device and read it once per epoch."
        "%0AA fix saves at most 5 %25 (500 µs a step, modelled on h100)."
    )
    assert second.startswith("::warning file=/work/train.py,line=4,endLine=4,title=PA202 ")
    assert last == "::notice title=placeaudit::1 finding worth knowing, not stray"


def test_everything_is_escaped(gold_result: Result, make_finding: Make) -> None:
    finding = make_finding(
        file="/x/a,b:c%.py", message="100 %\r\n::error::no", fix="`x[1:2]`", severity=Severity.ERROR
    )
    (line,) = lines(replace(gold_result, findings=(finding,)))
    assert line == (
        "::error file=/x/a%2Cb%3Ac%25.py,line=8,endLine=8,title=PA201 scalar-read::"
        "100 %25%0D%0A::error::no%0AFix: `x[1:2]`"
    )


def test_a_column_only_within_one_line(gold_result: Result, make_finding: Make) -> None:
    one, many = make_finding(col=4), make_finding(line=4, end_line=6, col=4)
    first, second = lines(replace(gold_result, findings=(one, many)))
    assert ",col=5,title=" in first
    assert ",line=4,endLine=6,title=" in second


def test_ten_of_a_kind_and_the_rest_in_the_log(gold_result: Result, make_finding: Make) -> None:
    warnings = [make_finding(line=line, message="a\n::error::b") for line in range(1, 14)]
    error = make_finding(rule="PA206", name="unsafe-download", severity=Severity.ERROR, line=99)
    found = lines(replace(gold_result, findings=(*warnings, error)))
    assert found[0].startswith("::error ")
    assert [line.startswith("::warning ") for line in found[1:11]] == [True] * 10
    assert found[11:14] == [
        f"PA201 scalar-read /work/train.py:{line}: a ::error::b" for line in (11, 12, 13)
    ]
    assert found[14] == (
        "::notice title=placeaudit::3 more findings (PA201) without an annotation, as GitHub keeps "
        "10 of a kind: see the log of this step"
    )


def test_annotations_go_to_every_function_first(gold_result: Result, make_finding: Make) -> None:
    many = [make_finding(line=line, function="a") for line in range(1, 21)]
    few = [make_finding(line=line, function="b") for line in (50, 51)]
    found = lines(replace(gold_result, findings=(*many, *few)))
    annotated = [int(line.split(",line=")[1].split(",")[0]) for line in found[:10]]
    assert annotated == [1, 50, 2, 3, 4, 5, 6, 7, 8, 9]
    assert found[-1].startswith("::notice title=placeaudit::12 more findings (PA201)")


def test_nothing_observed_is_a_warning(empty_result: Result) -> None:
    (line,) = [line for line in lines(empty_result) if line.startswith("::warning")]
    assert "no clean bill" in line


def test_clean_is_silent(gold_result: Result) -> None:
    assert GithubReporter().render([replace(gold_result, findings=())]) == ""
