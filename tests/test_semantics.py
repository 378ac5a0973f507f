"""The page of what each API makes of each feature: up to date, honest, and what frameworks do."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from conformance import cases, cli, content, discovery, known
from conformance.adapter import Form
from conformance.cases import Case
from conformance.content import ContentError
from conformance.discovery import Backend, Target
from conformance.known import Check, Known
from conformance.records import BackendInfo, Header, Record
from conformance.results import NAME, Results, write
from conformance.runner import Plan, Runner
from conformance.semantics import features
from conformance.semantics.agreement import agreement
from conformance.semantics.cells import Part, State, parts, state
from conformance.semantics.features import Features
from conformance.semantics.implied import Implied
from conformance.semantics.page import markdown
from conformance.semantics.survey import Survey, pins, survey
from conformance.workers import Workers
from tests.profiles import NIGHTLY, PROFILE
from tests.support import HERE

ROOT = HERE.parent
PAGE = ROOT / "docs" / "semantics.md"
FRAMEWORKS = ("torch", "jax", "flax", "tensorflow", "mxnet", "onnxruntime", "scipy")
pytestmark = pytest.mark.xdist_group("semantics")

LINK = re.compile(r"\]\(([^)\s]+)\)")


@cache
def corpus() -> tuple[Case, ...]:
    return tuple(cases.load([content.root("cases")]))


@cache
def backends() -> tuple[Backend, ...]:
    return tuple(discovery.discover())


@pytest.fixture(scope="module")
def listed() -> Features:
    return features.load(corpus())


@pytest.fixture(scope="module")
def surveyed(listed: Features) -> Survey:
    return survey(listed, backends())


def command(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["semantics", *map(str, arguments)])


def test_the_page_is_up_to_date(surveyed: Survey, listed: Features) -> None:
    text = markdown(surveyed, listed, PAGE.parent)
    assert PAGE.read_text(encoding="utf-8") == text, "write it again with 'conformance semantics'"


def test_every_link_leads_somewhere() -> None:
    text = PAGE.read_text(encoding="utf-8")
    anchors = re.findall(r'<a name="([^"]+)">', text)
    assert len(anchors) == len(set(anchors)) > 90
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"(?m)^#+ (.+)$", text)}
    for link in set(LINK.findall(text)):
        path, _, fragment = link.partition("#")
        if not path:
            assert fragment in {*anchors, *headings}, link
        elif not link.startswith("https://"):
            assert not link.startswith(("http:", "/")), link
            file = PAGE.parent / path
            lines = file.read_text(encoding="utf-8").splitlines()
            assert not fragment or "id:" in lines[int(fragment.removeprefix("L")) - 1], link


def test_an_api_without_gradients_is_not_right_about_them() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    header = next(line for line in lines if "onnx<br>runtime" in line).split(" | ")
    at = next(at for at, name in enumerate(header) if name.startswith("onnx"))
    rows = [line.split(" | ") for line in lines if line.startswith("| [gradient of ")]
    main = [row for row in rows if len(row) == len(header)]
    assert len(main) >= 3
    assert all(row[at].strip(" |") == "–" for row in main)


def test_every_table_has_a_cell_for_each_column() -> None:
    tables = re.findall(r"(?m)(?:^\|.*\n)+", PAGE.read_text(encoding="utf-8"))
    assert len(tables) > 10
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_a_page_that_is_not_up_to_date_fails_the_check(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert command("--backend", "scipy", "--out", page).exit_code == 0
    assert command("--backend", "scipy", "--out", page, "--check").exit_code == 0
    page.write_text(page.read_text(encoding="utf-8").replace("recipe", "✓", 1), encoding="utf-8")
    done = command("--backend", "scipy", "--out", page, "--check")
    assert done.exit_code == 1
    assert "out of date; write it again with 'conformance semantics'" in done.output
    assert "+" in done.output


def test_part_of_the_backends_is_no_page_of_the_suite() -> None:
    done = command("--backend", "scipy")
    assert done.exit_code == 2
    assert "--out" in done.output
    assert command("--backend", "scipy", "--out", "-").output.startswith("<!-- Written by")


ENTRIES = """\
- {{id: some, expect: {{outcome: {outcome}}}, kind: bug, why: For the sake of it., evidence: none,
   check: {check}, form: {form}, stable: {stable}}}
"""


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Known]:
    file = tmp_path_factory.mktemp("known") / "known.yaml"

    @cache
    def make(
        outcome: str, check: Check = "forward", form: Form = "native", stable: bool = True
    ) -> Known:
        fields = {"outcome": outcome, "check": check, "form": form, "stable": str(stable).lower()}
        file.write_text(ENTRIES.format(**fields), encoding="utf-8")
        return known.load(file, "some").entries[0]

    return make


def record(
    form: Form = "native", check: Check = "forward", *entries: Known, missing: str = ""
) -> Implied:
    return Implied(corpus()[0], Target("some", "some.api", "eager"), form, check, entries, missing)


OUTCOMES = ("rejected", "crash", "timeout", "wrong-shape", "wrong-dtype", "wrong-value")


@pytest.mark.parametrize(
    ("native", "vjp", "recipe", "wanted"),
    [
        ("", "", "", State("native")),
        ("missing", "", "", State("no")),
        ("missing", "", "pass", State("recipe")),
        ("missing", "", "wrong-value", State("differs")),
        ("rejected", "", "", State("no")),
        ("rejected", "", "pass", State("recipe")),
        ("wrong-shape", "", "", State("differs")),
        ("wrong-value", "wrong-value", "pass", State("differs", recipe=True)),
        ("crash", "", "pass", State("crash", recipe=True)),
        ("timeout", "", "", State("crash")),
        ("", "rejected", "", State("no gradient")),
        ("", "rejected", "pass", State("no gradient", recipe=True)),
        ("", "wrong-value", "rejected", State("gradient differs")),
    ],
)
def test_a_word_for_what_forms_give(
    entry: Callable[..., Known], native: str, vjp: str, recipe: str, wanted: State
) -> None:
    if native == "missing":
        records = [record(missing="has no such thing")]
    else:
        records = [record("native", "forward", *([entry(native)] if native else []))]
        records.append(record("native", "vjp", *([entry(vjp, "vjp")] if vjp else [])))
    if recipe:
        failed = [entry(recipe)] if recipe != "pass" else []
        records.append(record("emulated", "forward", *failed))
    assert state(records) == wanted


@given(st.data())
def test_what_is_known_of_a_native_form_never_reads_as_native(
    entry: Callable[..., Known], data: st.DataObject
) -> None:
    records = []
    for about in (("native", "forward"), ("native", "vjp"), ("emulated", "forward")):
        outcomes = data.draw(st.lists(st.sampled_from(OUTCOMES), max_size=2))
        records.append(record(*about, *(entry(each, about[1], about[0]) for each in outcomes)))
    clean = not any(each.entries for each in records if each.form == "native")
    assert (state(records).word == "native") == clean


def test_ranks_are_told_apart_where_they_differ() -> None:
    native, recipe, no = State("native"), State("recipe"), State("no")
    assert parts([(1, native), (2, native)]) == (Part(native),)
    assert parts([(1, recipe), (2, native), (3, recipe)]) == (
        Part(recipe, (1, 3)),
        Part(native, (2,)),
    )
    assert parts([(1, native), (1, no)]) == (Part(no, partly=True),)
    assert parts([(1, native), (1, no), (2, native)]) == (
        Part(no, (1,), partly=True),
        Part(native, (2,)),
    )


def test_what_is_implied_is_what_a_run_gives(listed: Features) -> None:
    """On the backend that needs no framework, and with the registry's word for what fails."""
    loops = next(backend for backend in backends() if backend.name == "numpy")
    asked = dataclasses.replace(listed, without=frozenset(), tables=listed.tables[:1])
    found = survey(asked, [loops])
    with Workers({"numpy": loops}, discovery.interpreters([loops])) as workers:
        target = loops.targets[0]
        ran = [each for case in asked.cases for each in workers.run(case, target)]
    wanted = {
        (each.case.id, each.form, each.check): each.outcome
        for _, rows in found.tables
        for row in rows
        for records in row.records
        for each in records
    }
    assert {(each.case, each.form, each.check): each.outcome for each in ran} == wanted


def as_if_run(found: Survey) -> list[Record]:
    """The records of a run in which everything is as the page implies."""
    records: dict[tuple[str, Target, str, str], Record] = {}
    for _, rows in found.tables:
        for row in rows:
            for implied in row.records:
                for each in implied:
                    names = [known.entry.id for known in each.entries]
                    raw = each.entries[0].entry.expect.outcome if names else each.outcome
                    about = (each.case.id, each.target, each.form, each.check)
                    records[about] = Record(
                        case=each.case.id,
                        backend=each.target.backend,
                        api=each.target.api,
                        mode=each.target.mode,
                        form=each.form,
                        check=each.check,
                        outcome=each.outcome,  # type: ignore[arg-type]
                        raw=raw,  # type: ignore[arg-type]
                        known=names[0] if names else None,
                    )
    return list(records.values())


def results_of(found: Survey, records: Sequence[Record]) -> Results:
    infos = {
        column.backend.name: BackendInfo(
            column.backend.name, next(iter(column.versions.values())), {}, "3.11", "here"
        )
        for column in found.columns
    }
    return Results(Header.now({}, {}, infos.values()), tuple(records))


def test_a_run_as_implied_agrees(surveyed: Survey) -> None:
    told = agreement(surveyed, results_of(surveyed, as_if_run(surveyed)))
    assert told.disagreements == ()
    assert told.compared == told.total > 5000


def test_a_run_that_gives_something_else_is_named_with_its_cell(
    surveyed: Survey, tmp_path: Path
) -> None:
    records = as_if_run(surveyed)
    case, api = "conv/padding/only-before", "torch.nn"
    about = {"case": case, "api": api, "mode": "eager", "form": "emulated", "check": "forward"}
    at = next(
        at
        for at, each in enumerate(records)
        if all(getattr(each, name) == value for name, value in about.items())
    )
    records[at] = dataclasses.replace(records[at], outcome="wrong-value", raw="wrong-value")
    changed = results_of(surveyed, records)
    (sentence,) = agreement(surveyed, changed).disagreements
    assert sentence == (
        f"Convolution, asymmetric padding, {api}: {case} on torch/{api}/eager, emulated forward: "
        "pass on the page, wrong-value in the run"
    )
    write(tmp_path / NAME, changed)
    done = command("--results", tmp_path)
    assert done.exit_code == 1
    assert sentence in done.output


def test_another_version_and_another_entry_disagree(surveyed: Survey) -> None:
    records = as_if_run(surveyed)
    run = results_of(surveyed, records)
    newer = tuple(
        dataclasses.replace(info, version="99.1") if info.name == "jax" else info
        for info in run.header.backends
    )
    other = dataclasses.replace(run, header=dataclasses.replace(run.header, backends=newer))
    (sentence,) = agreement(surveyed, other).disagreements
    assert sentence.startswith("jax: the page is about ")
    at = next(at for at, each in enumerate(records) if each.known)
    records[at] = dataclasses.replace(records[at], known="another-entry")
    assert agreement(surveyed, results_of(surveyed, records)).disagreements


def test_a_run_of_nothing_on_the_page_is_refused(surveyed: Survey, tmp_path: Path) -> None:
    write(tmp_path / NAME, results_of(surveyed, []))
    done = command("--results", tmp_path)
    assert done.exit_code == 2
    assert "none of the page's cases" in done.output


FILE = """\
tables:
  - name: Convolution
    key: conv
    features:
      - {{name: one, rule: A rule., cases: [tutorials/pictures/half-padding]}}
      - {{name: {name}, rule: Another., cases: [{pattern}]}}
"""


@pytest.mark.parametrize(
    ("name", "pattern", "told"),
    [
        ("two", "no/such/*", "cases[0]: no case has the id 'no/such/*'"),
        ("two", "laws/groups/*", "is a law or a chain, no single request"),
        ("two", "composites/networks/*", "is a law or a chain, no single request"),
        ("one", "tutorials/pictures/strides", "name: 'one' is in this table twice"),
    ],
)
def test_a_mistake_in_the_features_is_named(
    tmp_path: Path, name: str, pattern: str, told: str
) -> None:
    file = tmp_path / "features.yaml"
    file.write_text(FILE.format(name=name, pattern=pattern), encoding="utf-8")
    with pytest.raises(ContentError, match=re.escape(told)) as caught:
        features.load(corpus(), file)
    assert f"{file.name}:6: " in str(caught.value)


@pytest.fixture
def again(tmp_path: Path) -> Path:
    """A second backend with an API of the same name."""
    folder = tmp_path / "numpy_again"
    shutil.copytree(ROOT / "backends" / "numpy", folder)
    adapter = folder / "adapter.py"
    text = adapter.read_text(encoding="utf-8").replace('name = "numpy"', 'name = "numpy_again"')
    adapter.write_text(text, encoding="utf-8")
    return folder


def test_columns_of_one_api_on_two_backends_are_told_apart(again: Path) -> None:
    found = discovery.discover([again], ["numpy", "numpy_again"])
    case = next(case for case in corpus() if case.id == "tutorials/pictures/half-padding")
    feature = features.Feature("half", "Keeps the size.", "", (case,))
    asked = Features((features.Table("Convolution", "conv", (feature,)),), order=["numpy_again"])
    columns = survey(asked, found).columns
    assert [column.label for column in columns] == [
        "numpy.loops (numpy_again)",
        "numpy.loops (numpy)",
    ]


def test_the_versions_are_those_that_are_pinned() -> None:
    for backend in backends():
        text = backend.requirements.read_text(encoding="utf-8")
        versions = pins(backend)
        assert next(iter(versions)) in [canonicalize_name(name) for name in backend.distributions]
        assert all(f"{name}=={version}" in text for name, version in versions.items())


@pytest.mark.backend(*FRAMEWORKS)
def test_the_frameworks_do_what_the_page_says(surveyed: Survey, listed: Features) -> None:
    """Each feature's first case in the mode that decides what is shown; nightly, everything."""
    asked = [backend for backend in backends() if backend.name in FRAMEWORKS]
    targets = [target for each in asked for target in each.targets]
    chosen = listed.cases
    if PROFILE is not NIGHTLY:
        decisive = {each.name: each.usual_modes[0] for each in asked}
        targets = [target for target in targets if target.mode == decisive[target.backend]]
        first = {each.cases[0].id for table in listed.tables for each in table.features}
        chosen = tuple(case for case in chosen if case.id in first)
    work = [(case, target) for case in chosen for target in targets]
    infos: list[BackendInfo] = []
    records: list[Record] = []
    for event in Runner(Plan(work, asked, discovery.interpreters(asked), jobs=2)).run():
        if isinstance(event, BackendInfo):
            infos.append(event)
        else:
            records.extend(event)
    told = agreement(surveyed, Results(Header.now({}, {}, infos), tuple(records)))
    assert told.disagreements == ()
    assert told.compared == len(work)
