"""tap.py - pytest's results as TAP: python3 -m pytest -p no:terminal -p tap"""

import sys

_n = 0


def _say(text):
    print(text, file=sys.__stdout__, flush=True)


def _comment(text):
    for line in str(text).splitlines():
        _say(f"# {line}")


def pytest_addoption(parser):
    # The terminal's, which pytest asks for where a file cannot be imported.
    parser.addoption("--verbose", action="count", default=0)


def pytest_runtest_logreport(report):
    """One line a test: its call, or what kept it from being called."""
    global _n
    if report.when != "call" and not (report.failed or report.skipped):
        return
    _n += 1
    skip = ""
    if report.skipped:
        reason = (report.longrepr[2] if isinstance(report.longrepr, tuple)
                  else report.longrepr)
        skip = f" # SKIP {str(reason).removeprefix('Skipped: ')}"
    _say(f"{'not ok' if report.failed else 'ok'} {_n} - {report.nodeid}{skip}")
    if report.failed:
        _comment(report.longreprtext)


def pytest_collectreport(report):
    """A file that cannot be collected, or that skips itself."""
    global _n
    if report.failed:
        _n += 1
        _say(f"not ok {_n} - {report.nodeid}")
        _comment(report.longreprtext)
    elif report.skipped:
        _n += 1
        _say(f"ok {_n} - {report.nodeid} # SKIP "
             + report.longrepr[2].removeprefix("Skipped: "))


def pytest_sessionfinish(session, exitstatus):
    _say(f"1..{_n}")
