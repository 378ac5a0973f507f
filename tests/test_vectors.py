"""The oracle agrees with what others publish: test vectors of other projects, and tutorials."""

from __future__ import annotations

from collections import Counter

import pytest

from conformance import cases, content, reference
from conformance.cases import Case

EXTERNAL = cases.load([content.root("cases") / "external"])
TUTORIALS = cases.load([content.root("cases") / "tutorials"])


def _name(case: Case) -> str:
    return case.id


def _upstream(case: Case) -> str:
    return case.file.stem.partition("-")[0]


@pytest.mark.parametrize("case", [*EXTERNAL, *TUTORIALS], ids=_name)
def test_the_oracle_agrees_with_the_golden(case: Case) -> None:
    try:
        reference.check_goldens(case, reference.expected(case))
    except reference.GoldenError as error:
        pytest.fail(f"{case.id} ({case.file.name}:{case.line}): {error}", pytrace=False)


def test_every_convertible_record_is_a_case() -> None:
    assert Counter(map(_upstream, EXTERNAL)) == {
        "burn": 136,
        "onnx": 80,
        "stablehlo": 55,
        "webnn": 102,
    }


def test_every_published_gradient_is_a_golden() -> None:
    with_gradients = [
        case for case in EXTERNAL if case.fields.expect and case.fields.expect.input_gradient
    ]
    assert Counter(map(_upstream, with_gradients)) == {"burn": 59}
    for case in with_gradients:
        golden = case.fields.expect
        assert golden is not None
        if case.fields.kernel is not None:
            assert golden.kernel_gradient is not None, case.id
        if case.fields.bias is not None:
            assert golden.bias_gradient is not None, case.id


@pytest.mark.parametrize("case", EXTERNAL, ids=_name)
def test_an_external_case_has_a_golden_and_a_source(case: Case) -> None:
    golden, source = case.fields.expect, case.fields.source
    assert golden is not None
    assert golden.shape is not None or golden.input_gradient is not None
    assert source is not None and source.startswith("https://github.com/")


def test_a_golden_that_is_wrong_is_found() -> None:
    case = next(case for case in TUTORIALS if case.id == "tutorials/cross-correlation/corr2d")
    assert case.fields.expect is not None
    wrong = case.fields.expect.model_copy(update={"output": [[19, 25], [37, 44]]})
    fields = case.fields.model_copy(update={"expect": wrong})
    broken = cases.Case(**{**vars(case), "fields": fields})
    with pytest.raises(reference.GoldenError, match=r"\[0, 0, 1, 1\] is 44, the oracle's is 43"):
        reference.check_goldens(broken, reference.expected(broken))


def test_what_the_book_writes_for_keras_changes_the_answer_where_the_notes_say_so() -> None:
    answers = {}
    for case in TUTORIALS:
        for api in case.spellings:
            spelled = case.respelled(api)
            if api == "keras.layers" and spelled is not None:
                arrays = case.arrays()
                answers[case.id.removeprefix("tutorials/")] = reference.expect(
                    spelled, arrays
                ).output.values.tolist()
    assert answers["pooling/padding-and-stride"] == [[[[5, 7], [13, 15]]]]
    assert answers["pooling/padding-and-stride-negative"] == [[[[0, 0], [0, -1]]]]
    assert answers["pooling/wide"] == [[[[5, 7], [13, 15]]]]
    assert answers["pooling/wide-negative"] == [[[[0, 0], [0, 0]]]]
    assert answers["padding-and-stride/uneven"] == [[[[165], [525]]]]
    assert answers["padding-and-stride/stride-keeps-half-values"][0][0][0] == [90, 108, 126, 93]
