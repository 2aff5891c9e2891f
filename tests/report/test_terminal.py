from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable

import pytest

from placeaudit.analyze.audit import Note
from placeaudit.model import Finding, Severity
from placeaudit.report.base import Result
from placeaudit.report.terminal import TerminalReporter


def test_a_finding_shows_its_line_cost_and_fix(gold_result: Result) -> None:
    text = TerminalReporter().render([gold_result])
    first = text.index("1 PA201 scalar-read  warning, proven")
    assert first < text.index("/work/train.py:8") < text.index("8 │ total += loss.item()")
    assert "24× · 1 a step · cuda:0 → cpu · 96 B · host blocked 12.3 ms (modelled on h100)" in text
    assert "fix: Keep the sum on the device and read it once per epoch." in text
    assert "downloaded here: /work/train.py:4" in text


def test_totals_by_direction(gold_result: Result) -> None:
    lines = TerminalReporter().render([gold_result]).splitlines()
    rows = [line.split() for line in lines if line.startswith(("host to", "device to"))]
    assert rows == [
        ["host", "to", "device", "24", "24", "MiB", "1", "MiB"],
        ["device", "to", "host", "24", "96", "B", "4", "B"],
    ]


def test_the_verdict_and_the_next_command(gold_result: Result) -> None:
    text = TerminalReporter(next_run="placeaudit-run").render([gold_result])
    assert "2 findings at 2 lines: copies or waits that could go." in text
    assert "next: placeaudit report placeaudit-run" in text
    assert "placeaudit explain PA201" in text


def test_a_program_that_failed_is_clean_up_to_there_only(gold_result: Result) -> None:
    meta = dataclasses.replace(gold_result.audit.meta, exit_code=1)
    audit = dataclasses.replace(gold_result.audit, meta=meta)
    text = TerminalReporter().render([dataclasses.replace(gold_result, audit=audit, findings=())])
    assert "needless wait was found before the program ended with exit code 1." in text


def test_a_program_that_failed_before_it_began_is_no_program_of_the_host(
    gold_result: Result, empty_result: Result
) -> None:
    meta = dataclasses.replace(gold_result.audit.meta, exit_code=1, contexts=())
    text = TerminalReporter().render(
        [Result(dataclasses.replace(empty_result.audit, meta=meta), ())]
    )
    assert "Nothing crossed between devices before the program ended with exit code 1." in text
    assert "on the host only" not in text


def test_a_note_on_the_window_does_not_explain_that_nothing_crossed(
    gold_result: Result, empty_result: Result
) -> None:
    meta = dataclasses.replace(gold_result.audit.meta, contexts=())
    note = Note("PA903", "a step has too many operations")
    audit = dataclasses.replace(
        empty_result.audit, meta=meta, steps=gold_result.audit.steps, notes=(note,)
    )
    line = TerminalReporter().render([Result(audit, ())]).splitlines()[2]
    assert line == (
        "Nothing crossed between devices. What was seen of the program ran on the host only."
    )


def test_a_cut_record_is_clean_as_far_as_it_goes(gold_result: Result) -> None:
    audit = dataclasses.replace(gold_result.audit, notes=(Note("PA901", "it was killed"),))
    text = TerminalReporter().render([dataclasses.replace(gold_result, audit=audit, findings=())])
    assert "was found in what was recorded, which is not the whole run." in text


def test_what_is_cut_is_said(gold_result: Result, make_finding: Callable[..., Finding]) -> None:
    many = tuple(make_finding(line=i, function=f"f{i}") for i in range(1, 13))
    text = TerminalReporter(limit=10).render([dataclasses.replace(gold_result, findings=many)])
    assert "… and 2 more findings of smaller cost: PA201 (-v shows all)" in text
    assert "10 PA201" in text
    assert "11 PA201" not in text


def test_a_long_list_is_grouped_by_rule_and_function(
    gold_result: Result, make_finding: Callable[..., Finding]
) -> None:
    many = tuple(make_finding(line=i, function=f"f{i % 2}") for i in range(1, 23))
    result = dataclasses.replace(gold_result, findings=many)
    text = TerminalReporter(limit=10).render([result])
    assert "and 10 more of it here: lines 3, 5, 7, 9, 11, 13, 15, 17, … (-v shows each)" in text
    assert "2 PA201" in text
    assert "3 PA201" not in text
    assert "of smaller cost" not in text
    assert "22 PA201" in TerminalReporter(limit=None).render([result])


def test_a_finding_says_what_a_fix_saves(gold_result: Result) -> None:
    text = " ".join(TerminalReporter().render([gold_result]).split())
    assert "a fix saves at most 5 % (500 µs a step, modelled on h100)" in text


def test_infos_are_counted_or_listed(gold_result: Result) -> None:
    assert "1 more finding of severity info, not stray (-v shows it)" in TerminalReporter().render(
        [gold_result]
    )
    assert "PA205 explicit-sync  /work/train.py:6" in TerminalReporter(notes=True).render(
        [gold_result]
    )


def test_what_a_trace_cuts_the_next_command_shows(
    gold_result: Result, make_finding: Callable[..., Finding]
) -> None:
    text = TerminalReporter(next_run="'my run'").render([gold_result])
    assert "1 more finding of severity info, not stray (check -v shows it)" in text
    assert "(-v" not in text
    assert text.splitlines()[-3:] == [
        "next: placeaudit report 'my run'",
        "      placeaudit check -v 'my run'",
        "      placeaudit explain PA201",
    ]
    many = tuple(make_finding(line=i, function=f"f{i}") for i in range(1, 8))
    text = TerminalReporter(limit=5, notes=True, next_run="r").render(
        [dataclasses.replace(gold_result, findings=many)]
    )
    assert "… and 2 more findings of smaller cost: PA201 (check -v shows all)" in text
    assert "      placeaudit check -v r" in text.splitlines()
    whole = TerminalReporter(limit=None, notes=True, next_run="r").render([gold_result])
    assert "check -v" not in whole


def test_the_next_commands_are_not_wrapped(gold_result: Result) -> None:
    run = "/" + "a-folder/" * 12 + "run"
    lines = TerminalReporter(width=60, next_run=run).render([gold_result]).splitlines()
    assert f"next: placeaudit report {run}" in lines


def test_a_finding_about_the_record_has_no_place(
    empty_result: Result, make_finding: Callable[..., Finding]
) -> None:
    about = make_finding(
        rule="PA903", name="missing-mechanism", severity=Severity.INFO, file="", line=-1, count=1
    )
    text = TerminalReporter(notes=True).render(
        [dataclasses.replace(empty_result, findings=(about,))]
    )
    assert "   PA903 missing-mechanism\n     loss.item() makes" in text
    assert ":-1" not in text


def test_a_clean_run_says_so(gold_result: Result) -> None:
    text = TerminalReporter(next_run="r").render([dataclasses.replace(gold_result, findings=())])
    assert "No stray copy and no needless wait was found." in text
    assert "explain" not in text


def test_nothing_observed_is_no_clean_bill(empty_result: Result) -> None:
    text = TerminalReporter(next_run="placeaudit-run").render([empty_result])
    assert "Nothing could be observed" in text
    assert "which is no clean bill" in text
    assert "--simulate cuda" in text
    assert "No stray copy" not in text
    assert "0 B" not in text


def test_no_colour_codes_unless_asked(gold_result: Result) -> None:
    assert "\x1b" not in TerminalReporter().render([gold_result])
    assert "\x1b" in TerminalReporter(color=True).render([gold_result])
    plain = TerminalReporter.for_stream(io.StringIO()).render([gold_result])
    assert plain == TerminalReporter().render([gold_result])


def test_lines_fit_a_narrow_terminal(gold_result: Result) -> None:
    text = TerminalReporter(width=60, notes=True, next_run="r").render([gold_result])
    assert max(map(len, text.splitlines())) <= 60


def test_markup_in_user_text_is_text(
    gold_result: Result, make_finding: Callable[..., Finding]
) -> None:
    odd = make_finding(message="x[bold] = [/red] :smile:", file="/work/[red].py")
    text = TerminalReporter().render([dataclasses.replace(gold_result, findings=(odd,))])
    assert "x[bold] = [/red] :smile:" in text
    assert "/work/[red].py:8" in text


def test_a_device_that_was_not_used_is_neither_clean_nor_stray(
    gold_result: Result, empty_result: Result
) -> None:
    simulated = dataclasses.replace(empty_result.audit, meta=gold_result.audit.meta)
    text = TerminalReporter().render([Result(simulated, ())])
    assert "Nothing crossed between devices. The program ran on the host only." in text
    assert "No stray copy" not in text


def test_a_program_that_stays_on_the_device_is_clean(
    gold_result: Result, empty_result: Result
) -> None:
    meta = dataclasses.replace(gold_result.audit.meta, contexts=({"cuda:0": 4096},))
    audit = dataclasses.replace(empty_result.audit, meta=meta)
    assert "No stray copy and no needless wait was found." in (
        TerminalReporter().render([Result(audit, ())])
    )


def test_a_long_list_of_notes_is_grouped(
    gold_result: Result, make_finding: Callable[..., Finding]
) -> None:
    infos = [
        make_finding(severity=Severity.INFO, line=line, function=f"f{line % 4}")
        for line in range(1, 31)
    ]
    result = dataclasses.replace(gold_result, findings=tuple(infos))
    text = TerminalReporter(limit=3, notes=True).render([result])
    assert text.count("PA201 scalar-read") == 3
    assert "and 7 more of it here: lines 5, 9, 13, 17, 21, 25, 29 (-v shows each)" in text
    assert "… and 7 more (-v shows all)" in text
    every = TerminalReporter(limit=None, notes=True).render([result])
    assert every.count("PA201 scalar-read") == 30


def test_the_hosts_waits_in_all_and_a_step(gold_result: Result) -> None:
    summary = gold_result.summary
    assert summary.blocked_s is not None
    assert summary.step_blocked_s == pytest.approx(summary.blocked_s / 24)
    line = TerminalReporter().render([gold_result]).splitlines()[-1]
    assert line.startswith("The host waited 48 times, ")
    assert " in all, " in line
    assert line.endswith(" a step (modelled on h100).")


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["train.py", "--lr", "1e-3"], "train.py --lr 1e-3"),
        (["/work-here/" + "a-folder/" * 9 + "train.py", "--lr", "1"], "…/train.py --lr 1"),
        (["train.py", *["--layer-size=64"] * 9], "train.py" + " --layer-size=64" * 4 + " --laye…"),
    ],
)
def test_of_a_long_command_the_program_stays(
    gold_result: Result, argv: list[str], shown: str
) -> None:
    meta = dataclasses.replace(gold_result.audit.meta, argv=tuple(argv))
    audit = dataclasses.replace(gold_result.audit, meta=meta)
    text = TerminalReporter().render([dataclasses.replace(gold_result, audit=audit)])
    assert text.splitlines()[0] == f"placeaudit: {shown}"
