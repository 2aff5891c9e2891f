"""Measures the HTML report of a long record: its size, and when Chromium has it ready to read.

The record is that of ``analysis.py``: training steps, twenty copies each.  A second page is crowded
as well: thousands of findings in hundreds of functions.  Chromium opens the file from disk and the
page itself tells a server on this machine, in real time from the start of the navigation, when its
text was first painted and when its charts stood.  Run with ``make bench-page``; writes
reports/page.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import http.server
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Final

from analysis import COPIES_A_STEP, SOURCE, Synthetic

from placeaudit.analyze.run import analyze
from placeaudit.report.base import Result
from placeaudit.report.html import HtmlReporter
from placeaudit.rules.registry import run_rules
from placeaudit.store.reader import read_run

REPORT: Final = Path(__file__).parents[2] / "reports" / "page.md"
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1280,900",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
#: Goals: bytes of the file, seconds until it can be read.
MOST_BYTES: Final = 5_000_000
MOST_S: Final = 2.0
_TELL: Final = """<script>
(() => {
  const tell = () => requestAnimationFrame(() => requestAnimationFrame(() => {
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    const said = {drawn: performance.now(), paint: paint ? paint.startTime : performance.now()};
    fetch("http://127.0.0.1:PORT/", {method: "POST", mode: "no-cors", body: JSON.stringify(said)});
  }));
  const charts = document.querySelectorAll(".chart").length;
  const wait = () => document.querySelectorAll(".chart .main-svg").length >= charts
    ? tell() : setTimeout(wait, 5);
  wait();
})();
</script></body>"""


@contextmanager
def _listening() -> Iterator[tuple[int, Any]]:
    """A server that keeps what the page posts; its port, and a function that waits for it."""
    said: list[dict[str, float]] = []
    heard = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            said.append(json.loads(self.rfile.read(length)))
            self.send_response(204)
            self.end_headers()
            heard.set()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def wait() -> dict[str, float]:
        if not heard.wait(60):
            raise TimeoutError("the page did not come to stand within a minute")
        return said[-1]

    try:
        yield server.server_port, wait
    finally:
        server.shutdown()
        server.server_close()


def opened(page: Path, folder: Path, chromium: str) -> dict[str, float]:
    """When the page was painted and drawn, seconds after its navigation began."""
    with _listening() as (port, wait):
        measured = folder / "measured.html"
        text = page.read_text(encoding="utf-8")
        measured.write_text(
            text.replace("</body>", _TELL.replace("PORT", str(port))), encoding="utf-8"
        )
        browser = subprocess.Popen(
            [
                chromium,
                *_FLAGS,
                f"--user-data-dir={folder / 'profile'}",
                "--remote-debugging-port=0",  # keeps it open
                measured.as_uri(),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            said: dict[str, float] = wait()
        finally:
            browser.terminate()
            browser.wait(timeout=30)
    return {name: value / 1000 for name, value in said.items()}


def crowded(result: Result, findings: int = 4_000, functions: int = 400) -> Result:
    """The result with that many findings, spread over functions and lines."""
    first = result.findings[0]
    file = first.file
    many = tuple(
        replace(
            first,
            line=1 + number % 5_000,
            end_line=1 + number % 5_000,
            col=-1,
            function=f"function_{number % functions}",
            related=(),
        )
        for number in range(findings)
    )
    source = SOURCE * (5_000 // SOURCE.count("\n") + 1)
    return Result(replace(result.audit, sources={file: source}), many)


def measure(events: int, folder: Path, chromium: str, repeats: int) -> list[dict[str, Any]]:
    """The figures of the plain page and of the crowded one."""
    run = folder / "run"
    Synthetic(run, events // COPIES_A_STEP).write()
    audit = analyze(read_run(run))
    plain = Result(audit, run_rules(audit))
    rows = []
    for name, result in (("as recorded", plain), ("crowded", crowded(plain))):
        start = time.perf_counter()
        text = HtmlReporter().render([result])
        wrote = time.perf_counter() - start
        page = folder / "page.html"
        page.write_text(text, encoding="utf-8")
        seen = [opened(page, folder, chromium) for _ in range(repeats)]
        rows.append(
            {
                "page": name,
                "copies": len(audit.copies),
                "findings": len(result.findings),
                "write_s": wrote,
                "bytes": len(text.encode()),
                "paint_s": median(row["paint"] for row in seen),
                "drawn_s": median(row["drawn"] for row in seen),
            }
        )
    return rows


def _report(rows: list[dict[str, Any]], repeats: int) -> str:
    today = dt.datetime.now(tz=dt.UTC).date()
    about = (
        f"Written by `make bench-page` on {today}; Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Chromium without a "
        f"window, load {os.getloadavg()[0]:.1f}."
    )
    what = (
        f"Median of {repeats} openings, in real time from the start of the navigation: *readable* "
        "when the text is\npainted, *drawn* when all charts stand. The goal is one file of at most "
        f"{MOST_BYTES / 1e6:g} MB for 1 M copies,\nreadable in {MOST_S:g} s. plotly.js, packed, is "
        "1.9 MB of the file."
    )
    head = "| page | copies | findings | written in, s | size, MB | readable, s | drawn, s |"
    lines = ["# The HTML report of a long record", "", about, "", what, "", head]
    lines.append("|---|---|---|---|---|---|---|")
    lines += [
        f"| {row['page']} | {row['copies'] / 1e6:g} M | {row['findings']:,} | {row['write_s']:.1f} "
        f"| {row['bytes'] / 1e6:.2f} | {row['paint_s']:.2f} | {row['drawn_s']:.2f} |"
        for row in rows
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-report", action="store_true", help="print only")
    args = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, _NAMES)), None)
    if chromium is None:
        sys.exit("Chromium is not installed here")
    # A browser that has just been ended may still be writing into its profile.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        rows = measure(args.events, Path(folder), chromium, args.repeats)
    text = _report(rows, args.repeats)
    print(text)
    if not args.no_report:
        REPORT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
