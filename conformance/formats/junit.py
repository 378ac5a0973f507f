"""JUnit XML as Jenkins reads it: a suite per target, a test per case, form and check.

The elements and attributes are those of Jenkins' junit-10.xsd
(https://github.com/jenkinsci/xunit-plugin). What is known, unsupported or did not run is skipped
with a message, what is unexpected a failure, a crash or a timeout an error.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from conformance import describe, grouping
from conformance.discovery import Target
from conformance.formats.overview import Overview
from conformance.formats.texts import clean, flat
from conformance.formats.times import moment
from conformance.records import BackendInfo, Record

ERRORS = ("crash", "timeout")
OUTPUT = 20_000


def junit(overview: Overview) -> bytes:
    """The run as an XML document.

    Raises:
        ResultsError: the run's time is none.
    """
    by_target: dict[Target, list[Record]] = defaultdict(list)
    for record in overview.results.records:
        by_target[record.target].append(record)
    infos = {info.name: info for info in overview.results.header.backends}
    when = moment(overview.results.header.created).strftime("%Y-%m-%dT%H:%M:%S")
    commands = _commands(overview)
    suites = [
        _suite(target, by_target[target], infos.get(target.backend), when, commands)
        for target in overview.targets
    ]
    ran = {target.backend for target in by_target}
    suites += [
        _absent(name, reason, when)
        for name, reason in overview.missing.items()
        if name not in ran
    ]  # fmt: skip
    root = ET.Element("testsuites", {"name": "conformance", **_sums(suites)})
    root.extend(suites)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _commands(overview: Overview) -> Mapping[int, str]:
    """The commands for what is unexpected, by the outcome's place in memory."""
    found = {}
    for group in overview.unexpected:
        for record in group.records:
            alone = grouping.group(group.cause, [record], overview.entries, set())
            found[id(record)] = overview.command(alone)
    return found


def _sums(suites: Sequence[ET.Element]) -> dict[str, str]:
    sums = {name: sum(int(s.get(name, "0")) for s in suites) for name in ("tests", "failures")}
    sums["errors"] = sum(int(suite.get("errors", "0")) for suite in suites)
    seconds = sum(float(suite.get("time", "0")) for suite in suites)
    return {**{name: str(number) for name, number in sums.items()}, "time": f"{seconds:.3f}"}


def _suite(
    target: Target,
    records: Sequence[Record],
    info: BackendInfo | None,
    when: str,
    commands: Mapping[int, str],
) -> ET.Element:
    tests = [_test(record, commands.get(id(record), "")) for record in records]
    counted = {
        name: sum(1 for test in tests if test.find(name) is not None)
        for name in ("failure", "error", "skipped")
    }
    suite = ET.Element(
        "testsuite",
        name=flat(str(target)),
        tests=str(len(tests)),
        failures=str(counted["failure"]),
        errors=str(counted["error"]),
        skipped=str(counted["skipped"]),
        time=f"{sum(map(_seconds, records)):.3f}",
        timestamp=when,
    )
    if info is not None:
        properties = ET.SubElement(suite, "properties")
        told = {"python": info.python, **info.versions, info.name: info.version}
        for name, value in told.items():
            ET.SubElement(properties, "property", name=flat(name), value=flat(value))
    suite.extend(tests)
    return suite


def _absent(name: str, reason: str, when: str) -> ET.Element:
    """A suite that says that a backend did not run."""
    suite = ET.Element(
        "testsuite", name=flat(name), tests="1", failures="0", errors="0", skipped="1",
        time="0.000", timestamp=when,
    )  # fmt: skip
    test = ET.SubElement(suite, "testcase", name="backend", classname=flat(name), time="0.000")
    ET.SubElement(test, "skipped", type="not-run", message=flat(reason))
    return suite


def _test(record: Record, command: str) -> ET.Element:
    test = ET.Element(
        "testcase",
        name=flat(f"{record.case} · {record.form} · {record.check}"),
        classname=flat(f"{record.backend}.{record.api}.{record.mode}"),
        time=f"{_seconds(record):.3f}",
    )
    if record.outcome == "pass":
        return test
    told = flat(f"{describe.outcome(record)}{describe.meaning(record)}")
    if not record.unexpected:
        message = f"known: {record.known}: {told}" if record.outcome == "known" else told
        ET.SubElement(test, "skipped", type=record.outcome, message=message)
        return test
    tag = "error" if record.outcome in ERRORS else "failure"
    element = ET.SubElement(test, tag, type=record.outcome, message=told)
    element.text = clean(_details(record, command))
    return test


def _details(record: Record, command: str) -> str:
    parts = [describe.line(record), f"to reproduce it: {command}"]
    if record.source:
        parts.append(record.source)
    if record.error is not None:
        parts += [record.error.message[-OUTPUT:], record.error.output[-OUTPUT:]]
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _seconds(record: Record) -> float:
    return record.seconds if 0 <= record.seconds < 1e9 else 0.0
