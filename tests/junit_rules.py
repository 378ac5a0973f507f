"""What JUnit's readers take: the elements and attributes of Jenkins' junit-10.xsd."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from conformance.formats import junit
from conformance.formats.overview import Overview
from conformance.results import Results

TIME = re.compile(r"\d+\.\d{3}")


@dataclass(frozen=True)
class Element:
    """What Jenkins' junit-10.xsd lets an element have."""

    required: frozenset[str]
    optional: frozenset[str]
    children: frozenset[str]


def element(required: str, optional: str, children: str) -> Element:
    return Element(*(frozenset(words.split()) for words in (required, optional, children)))


JUNIT: Mapping[str, Element] = {
    "testsuites": element("", "name time tests failures errors", "testsuite"),
    "testsuite": element(
        "name tests failures errors",
        "group time skipped timestamp hostname id package file log url",
        "testsuite properties testcase system-out system-err",
    ),
    "properties": element("", "", "property"),
    "property": element("name value", "", ""),
    "testcase": element(
        "name", "time classname group", "skipped error failure system-out system-err"
    ),
    "skipped": element("", "type message", ""),
    "error": element("", "type message", ""),
    "failure": element("", "type message", ""),
}


def parsed_junit(run: Results) -> ET.Element:
    """The document, which has to be as the schema and the counts say."""
    root = ET.fromstring(junit.junit(Overview(run)))
    for each in root.iter():
        allowed = JUNIT[each.tag]
        assert allowed.required <= set(each.attrib) <= allowed.required | allowed.optional
        assert {child.tag for child in each} <= allowed.children
        assert TIME.fullmatch(each.get("time", "0.000"))
        if each.tag == "testsuite":
            tests = each.findall("testcase")
            assert int(each.attrib["tests"]) == len(tests)
            for plural, tag in (("failures", "failure"), ("errors", "error"), ("skipped",) * 2):
                assert int(each.attrib[plural]) == len(each.findall(f"testcase/{tag}"))
    for name in ("tests", "failures", "errors"):
        total = sum(int(suite.attrib[name]) for suite in root)
        assert int(root.attrib[name]) == total
    return root
