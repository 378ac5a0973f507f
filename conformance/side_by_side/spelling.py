"""What people write where an API cannot say a request, and what they get instead.

An API that has no way to say a request has a way to say something near it, and that is what ported
code says: 'same' for numbers, no ceil mode, zeros for reflected borders. `nearby` lists such
requests, the likeliest first; `outcome` asks the oracle what one gives on the case's data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

from conformance import geometry, reference, resolve, words
from conformance.cases import Case
from conformance.compare import compare
from conformance.request import Conv, ConvTranspose, Padding, Pool, PoolOp, Request
from conformance.side_by_side import arithmetic

Effect = Literal["same", "same-values", "wrong-value", "wrong-shape"]
Changes = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What another request gives on a case's data: ``text`` says it in a few words.

    ``effect`` is 'same' where both mean the same, 'same-values' where only these data hide the
    difference. ``shape`` is what comes back; ``differing`` counts wrong values of ``total``.
    """

    effect: Effect
    text: str
    shape: tuple[int, ...]
    differing: int = 0
    total: int = 0


def meaning(request: Request) -> Request:
    """The request in one way of all those that give the same output and gradients.

    Padding that no window reaches is left out, and so are ceil mode, modes of padding and
    dilation that change nothing. Equal meanings give equal results; the reverse need not hold.
    """
    r = request
    if isinstance(r, ConvTranspose):
        r = replace(r, sized=False)
    if isinstance(r, Pool) and r.output_size is not None:
        plain = _plain(r)
        even = not any(n % m for n, m in zip(r.spatial, r.output_size))
        return meaning(plain) if plain and even else r
    dilation = tuple(d if k > 1 else 1 for d, k in zip(r.dilation, r.window))
    r = replace(r, padding=Padding(r.padding.pairs, mode=r.padding.mode), dilation=dilation)
    if isinstance(r, Pool) and r.padding.none:
        r = replace(r, padding_value=None)
    if not isinstance(r, ConvTranspose) and 0 not in r.output_shape:
        r = _reached(r)
    if r.padding.none:
        r = replace(r, padding=Padding(r.padding.pairs))
        if isinstance(r, Pool):
            r = replace(r, count_include_pad=r.ceil_mode)
    if isinstance(r, Pool) and r.divisor is not None:
        r = replace(r, count_include_pad=False)
    return r


def _plain(r: Pool) -> Pool | None:
    """The pooling with one window and stride that is nearest to an adaptive one."""
    sizes = _fixed(r)
    if sizes is None:
        return None
    window, stride = sizes
    op: PoolOp = "max_pool" if r.kind == "max" else "avg_pool"
    return replace(r, op=op, output_size=None, window=window, stride=stride)


def _fixed(r: Pool) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Window and stride that give an adaptive pooling's positions; None where there are none."""
    assert r.output_size is not None
    stride = tuple(n // m for n, m in zip(r.spatial, r.output_size))
    if 0 in stride:
        return None
    axes = zip(r.spatial, r.output_size, stride)
    return tuple(n - (m - 1) * s for n, m, s in axes), stride


def _reached(r: Conv | Pool) -> Conv | Pool:
    """The request with as much padding at the end as the windows reach, and no ceil mode.

    What overhangs in ceil mode is padding, too, but where an average counts padding only, and
    where cropping took elements away.
    """
    if isinstance(r, Pool) and r.padding_value is not None:
        return r
    axes = zip(r.spatial, r.window, r.stride, r.dilation, r.padding.pairs, r.output_shape[2:])
    ends = [
        (count - 1) * stride + geometry.effective_window(window, dilation) - size - low
        for size, window, stride, dilation, (low, _), count in axes
    ]
    counted = (
        isinstance(r, Pool) and r.op == "avg_pool" and r.count_include_pad and r.divisor is None
    )
    highs = [high for _, high in r.padding.pairs]
    if any(end > high and (counted or high < 0) for end, high in zip(ends, highs)):
        return r
    pairs = tuple((low, end) for (low, _), end in zip(r.padding.pairs, ends))
    r = replace(r, padding=Padding(pairs, mode=r.padding.mode))
    return replace(r, ceil_mode=False) if isinstance(r, Pool) else r


def rewordings(case: Case) -> list[Request]:
    """Other words for the same meaning: 'same' for numbers, numbers for 'same' or for numbers."""
    request = case.request
    if arithmetic.adaptive(request):
        return []  # a plain pooling of the same windows has rules of its own for ties and overflow
    changes: list[Changes] = [
        {"padding": word, "output_padding": None, "output_size": None}
        for word in ("same", "same_lower")
    ]
    numbers: Changes = {"padding": [list(pair) for pair in request.padding.pairs]}
    if isinstance(request, ConvTranspose):
        numbers |= {"output_padding": list(request.output_padding), "output_size": None}
    found = [_changed(case, change) for change in (*changes, numbers, *_paddings(request))]
    return [
        other
        for other in found
        if other and other != request and meaning(other) == meaning(request)
    ]


def nearby(case: Case) -> list[Request]:
    """Requests near the case's, each of another meaning, the likeliest to be written first.

    'same' padding where it keeps the output's shape, and one changed option, come before two
    changed options; of these, what keeps the shape comes first, for nobody notices.
    """
    request = case.request
    options = list(_options(request))
    single = [*_paddings(request), *options]
    pairs = [a | b for a, b in combinations(single, 2) if a.keys().isdisjoint(b)]
    same = [a | b for a, b in combinations(options, 2)]
    likely = [*_same(case, [{}]), *single, *_same(case, [*options, *same])]
    found = []
    for changes in (likely, pairs):
        candidates = dict.fromkeys(_changed(case, change) for change in changes)
        others = [other for other in candidates if other and meaning(other) != meaning(request)]
        found += sorted(others, key=lambda other: other.output_shape != request.output_shape)
    return list(dict.fromkeys(found))


def _same(case: Case, others: Iterable[Changes]) -> Iterator[Changes]:
    """'same' padding together with other changes, where it keeps the output's shape."""
    if arithmetic.adaptive(case.request):
        return
    for change in others:
        same = change | {"padding": "same", "output_padding": None, "output_size": None}
        other = _changed(case, same)
        if other is not None and other.output_shape == case.request.output_shape:
            yield same


def _options(r: Request) -> Iterator[Changes]:
    """Options other than padding, at what every API can say."""
    if isinstance(r, Pool) and r.output_size is not None:
        plain = _plain(r)
        if plain is not None:
            sizes = {"window": list(plain.window), "stride": list(plain.stride)}
            yield {"op": plain.op, "output_size": None, **sizes}
        return
    if r.padding.mode != "zeros" and not r.padding.none:
        yield {"padding_mode": "zeros"}
    if any(d > 1 and k > 1 for d, k in zip(r.dilation, r.window)):
        yield {"dilation": 1}
    if isinstance(r, ConvTranspose) and any(r.output_padding):
        yield {"output_padding": None, "output_size": None}
    if isinstance(r, Pool):
        if r.divisor is not None:
            yield {"divisor": None}
        if r.kind == "lp" and r.norm != 2:
            yield {"norm": 2}
        if r.ceil_mode:
            yield {"ceil_mode": None}
        if r.op == "avg_pool" and not r.padding.none:
            yield {"count_include_pad": not r.count_include_pad}


def _paddings(r: Request) -> Iterator[Changes]:
    """No padding, or the same number on both sides of an axis."""
    if r.padding.none:
        return
    yield {"padding": "valid"}
    if r.padding.symmetric is None:
        pairs = r.padding.pairs
        yield {"padding": [high for _, high in pairs]}
        yield {"padding": [low for low, _ in pairs]}
        yield {"padding": [-(-(low + high) // 2) for low, high in pairs]}


def _changed(case: Case, changes: Changes) -> Request | None:
    """The case's request with some fields changed, or None where that has no meaning."""
    try:
        return resolve.request(case.fields.model_copy(update=changes))
    except resolve.RequestError:
        return None


def outcome(case: Case, other: Request) -> Outcome:
    """What another request gives on the case's data, by the oracle."""
    if meaning(other) == meaning(case.request):
        return Outcome("same", "exactly the same", other.output_shape)
    arrays = case.arrays()
    wanted = reference.expect(case.request, arrays).output
    given = reference.expect(other, arrays).output.values
    verdict = compare(wanted, given, case.request.result_dtype, case.fields.signed_zero)
    difference = verdict.difference
    if difference is None:
        return Outcome("same-values", "the same values on these data", given.shape)
    if verdict.outcome == "wrong-shape":
        sizes = f"{list(given.shape[2:])} instead of {list(wanted.values.shape[2:])}"
        return Outcome("wrong-shape", f"output {sizes}", given.shape)
    differing, total = difference.differing, difference.total
    text = f"the same shape, {differing:,} of {total:,} values differ"
    return Outcome("wrong-value", text, given.shape, differing, total)


def changed(request: Request, other: Request) -> str:
    """What is different in the other request: ``padding 'valid' instead of (0, 1)``."""
    said, before, after = [], request.padding, other.padding
    if request.op != other.op:
        sizes = f"window {words.per_axis(other.window)}, stride {words.per_axis(other.stride)}"
        return f"{other.op} with {sizes} instead of {request.op}"
    if before.pairs != after.pairs:
        said.append(f"padding {_padding(after)} instead of {_padding(before)}")
    if before.mode != after.mode and not (before.none or after.none):
        said.append(f"padding mode {after.mode} instead of {before.mode}")
    for name in ("window", "stride", "dilation", "output_padding", "groups"):
        old, new = (_numbers(getattr(r, name, ())) for r in (request, other))
        if old != new:
            said.append(f"{name.replace('_', ' ')} {new} instead of {old}")
    if isinstance(other, Conv) and other.flipped:
        said.append("the kernel flipped")
    if isinstance(request, Pool) and isinstance(other, Pool):
        said += _pooled(request, other)
    return ", ".join(said) or f"padding {_padding(after)}"


def _pooled(request: Pool, other: Pool) -> Iterator[str]:
    if request.divisor != other.divisor:
        yield "no divisor" if other.divisor is None else f"divisor {other.divisor}"
    if request.norm != other.norm:
        yield f"norm {other.norm:g} instead of {request.norm:g}"
    if request.ceil_mode != other.ceil_mode:
        yield "ceil mode" if other.ceil_mode else "no ceil mode"
    if request.count_include_pad != other.count_include_pad and not other.padding.none:
        yield "padding counted" if other.count_include_pad else "padding not counted"
    if request.padding_value != other.padding_value and not other.padding.none:
        value = other.padding_value
        yield "the operator's padding" if value is None else f"padded by hand with {value:g}"


def _numbers(value: int | tuple[int, ...]) -> str:
    return str(value) if isinstance(value, int) or not value else words.per_axis(value)


def _padding(padding: Padding) -> str:
    """The case's word with its numbers, or the numbers alone."""
    if padding.none and padding.word in ("valid", "explicit"):
        return "'valid'" if padding.word == "valid" else words.pairs(padding.pairs)
    if padding.word == "explicit":
        return words.pairs(padding.pairs)
    return f"'{padding.word}' = {words.pairs(padding.pairs)}"
