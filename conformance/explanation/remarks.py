"""What can be said of a difference that no edit explains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from conformance import words
from conformance.compare import right, ulps
from conformance.dtypes import Array
from conformance.explanation.question import Question

FEW_ULPS = 64


def remarks(question: Question) -> tuple[str, str]:
    """A word for grouping ("shape", "border", "a-channel", …) and a sentence."""
    expected, observed = question.reference.values, question.values
    if observed.shape != expected.shape:
        return "shape", f"no edit of the request gives this; {_shapes(question)}"
    wrong = ~right(question.reference, observed)
    if not wrong.any():
        return "sign-of-zero", "only the signs of zeros differ"
    kind, where = _not_finite(question, wrong) or _region(question, wrong)
    told = [part for part in (where, _magnitude(question, wrong)) if part]
    return kind, f"no edit of the request gives this; {'; '.join(told)}"


def _shapes(question: Question) -> str:
    expected, observed = question.reference.values.shape, question.observed.shape
    if len(expected) != len(observed):
        return f"{len(observed)} axes instead of {len(expected)}"
    if question.name == "y" and observed == question.request.input_shape:
        return "the output has the shape of the input"
    if sorted(expected) == sorted(observed):
        return f"the axes are in another order: {list(observed)} instead of {list(expected)}"
    rank = question.request.rank
    titles = ("batch", "channels", *words.AXES[rank])
    parts = [
        f"{abs(b - a)} {'more' if b > a else 'fewer'} along the {title}"
        if title in words.AXES[rank]
        else f"{title} {b} instead of {a}"
        for title, a, b in zip(titles, expected, observed)
        if a != b
    ]
    return ", ".join(parts)


def _not_finite(question: Question, wrong: Array) -> tuple[str, str] | None:
    """NaN or infinity that went elsewhere than the operator takes it."""
    if question.finite:
        return None
    expected, observed = question.reference.values[wrong], question.values[wrong]
    count = f"{wrong.sum()} of {wrong.size} values"
    if np.isnan(observed).all():
        return "nan-spreads", f"NaN where it does not belong, in {count}"
    if np.isnan(expected).all():
        return "nan-lost", f"no NaN where it belongs, in {count}"
    return None


def _region(question: Question, wrong: Array) -> tuple[str, str]:
    """Where the wrong elements are."""
    count, total = int(wrong.sum()), wrong.size
    if count == total:
        return "everywhere", f"all {total} values differ" if total > 1 else "its only value differs"
    if wrong.ndim < 3:
        return "some", f"{count} of {total} values differ"
    rank = wrong.ndim - 2
    for axis, title in enumerate(("image", "channel")):
        others = tuple(a for a in range(wrong.ndim) if a != axis)
        hit = np.flatnonzero(wrong.any(axis=others))
        if len(hit) < wrong.shape[axis]:
            some = ", ".join(map(str, hit[:6])) + ("…" if len(hit) > 6 else "")
            plural = "s" if len(hit) > 1 else ""
            return f"one-{title}", f"only {title}{plural} {some} differ{'' if plural else 's'}"
    spatial: Array = np.asarray(wrong.any(axis=(0, 1)))
    border = _border(spatial)
    if border:
        return border
    if any(size > 2 for size in spatial.shape):
        inner = spatial[tuple(slice(1, -1) if size > 2 else slice(None) for size in spatial.shape)]
        if inner.size and not inner.any():
            return "border", f"only the border differs ({count} of {total} values)"
    step = _periodic(spatial, words.AXES[rank])
    if step:
        return "periodic", step
    return "some", f"{count} of {total} values differ"


def _border(spatial: Array) -> tuple[str, str] | None:
    """One row or column at an end of an axis, if all that differs is there."""
    for axis, title in enumerate(words.AXES[spatial.ndim]):
        others = tuple(a for a in range(spatial.ndim) if a != axis)
        hit = np.flatnonzero(spatial.any(axis=others)) if others else np.flatnonzero(spatial)
        size = spatial.shape[axis]
        for at, name in ((size - 1, "last"), (0, "first")):
            if size > 1 and list(hit) == [at]:
                return f"{name}-position", f"only the {name} position along the {title} differs"
    return None


def _periodic(spatial: Array, titles: Sequence[str]) -> str:
    for axis, title in enumerate(titles):
        others = tuple(a for a in range(spatial.ndim) if a != axis)
        hit = spatial.any(axis=others) if others else spatial
        at = np.flatnonzero(hit)
        if len(at) >= 3:
            steps = np.unique(np.diff(at))
            if len(steps) == 1 and steps[0] > 1:
                return f"every {steps[0]}. position along the {title} differs"
    return ""


def _magnitude(question: Question, wrong: Array) -> str:
    expected, observed = question.reference.values, question.values
    return next(_sizes(question, expected[wrong], observed[wrong]), "")


def _sizes(question: Question, expected: Array, observed: Array) -> Iterator[str]:
    wide = np.result_type(np.float64, expected.dtype, observed.dtype)
    right, given = expected.astype(wide), observed.astype(wide)
    with np.errstate(all="ignore"):
        if np.isnan(given).all():
            yield "they are NaN"
        if not np.asarray(observed).any():
            yield "they are zero"
        finite = np.isfinite(expected) & np.isfinite(observed) & (expected != 0)
        if finite.all() and len(expected) > 2:
            ratio = given / right
            if np.allclose(ratio, ratio[0], rtol=1e-6) and ratio[0] != 0:
                yield f"they are {ratio[0]:.6g} times what is expected"
        if len(np.unique(observed)) == 1 and len(observed) > 2:
            yield f"they are all {observed.flat[0]!r}"
        if question.own_dtype is question.reference.dtype and question.own_dtype.floating:
            distance = int(np.max(ulps(expected, observed, question.own_dtype), initial=0))
            if distance <= FEW_ULPS:
                yield f"by at most {distance} ulp"
        apart = np.abs(given - right)
        apart = apart[np.isfinite(apart)]
        if apart.size:
            largest = float(np.max(np.abs(expected[np.isfinite(expected)]), initial=0.0))
            yield f"by at most {np.max(apart):.4g}, where the largest value is {largest:.4g}"
