"""Sentences about outcomes, for the terminal and for test failures."""

from __future__ import annotations

from collections.abc import Iterable

from conformance import words
from conformance.cases import Case
from conformance.chains.chain import Chain, Step
from conformance.compare import Difference
from conformance.laws.names import WORDS
from conformance.records import Record
from conformance.request import Conv, ConvTranspose, Pool, Request

NEAR = 10_000


def shapes(difference: Difference) -> str:
    """``[2, 1] against [2, 2]``: batch and channels are left out where they agree."""
    observed, expected = list(difference.observed_shape), list(difference.expected_shape)
    if len(observed) == len(expected) > 2 and observed[:2] == expected[:2]:
        observed, expected = observed[2:], expected[2:]
    return f"{observed} against {expected}"


def outcome(record: Record) -> str:
    """What happened, in one line."""
    if record.error is not None:
        message = words.essence(record.error.message)
        bare = record.raw in ("crash", "timeout") or message.startswith(f"{record.error.type}:")
        text = message if bare else f"{record.error.type}: {message}"
        return text if len(text) <= 160 else text[:159] + "…"
    difference = record.difference
    if difference is None:
        return record.note or record.raw
    title = words.array(difference.array)
    if record.raw == "wrong-shape":
        return f"{title} {shapes(difference)}"
    if record.raw == "wrong-dtype":
        return f"{title} is {difference.observed_dtype}, not {difference.expected_dtype}"
    return values(difference)


def values(difference: Difference) -> str:
    """How many values differ, and the worst of them."""
    at = ", ".join(map(str, difference.worst or ()))
    allowed = f", allowed error {difference.allowed:.3g}" if difference.allowed else ""
    ulps = f", {difference.ulps:,} ulp" if 0 < (difference.ulps or 0) <= NEAR else ""
    worst = f"{difference.observed!r} against {difference.expected!r}{ulps}{allowed}"
    numbers = f"{difference.differing} of {difference.total} values"
    if difference.sides is not None:
        one, other = difference.sides
        return f"{one} differs from {other} in {numbers}; worst at [{at}]: {worst}"
    title = words.array(difference.array)
    return f"{numbers} of the {title} differ; worst at [{at}]: {worst}"


def line(record: Record) -> str:
    """One line about an outcome that is not a pass: where, what, how."""
    where = f"{record.case}  {record.target}"
    form = "" if record.form == "native" else f" {record.form}"
    check = " vjp" if record.check == "vjp" else ""
    note = f"  ({record.note})" if record.note and record.note not in outcome(record) else ""
    return f"{where}{form}{check}  {record.outcome}: {outcome(record)}{meaning(record)}{note}"


def meaning(record: Record) -> str:
    """``; equals the request with …``: what a wrong array means."""
    if record.explanation is None or record.difference is None:
        return ""
    return f"; {record.explanation}"


def asked(case: Case) -> str:
    """What a case asks for, in words: its request, and its law."""
    if case.chain is not None:
        return chain(case.chain)
    return "; ".join([request(case.request), *views(case), *laws(case)])


def chain(c: Chain) -> str:
    """A chain in words: its input, its steps, and what it is trained by."""
    shapes = ", ".join(f"{name} {list(shape)}" for name, shape in c.inputs)
    told = [f"chain {c.operators[0].rank}-D, {shapes}, dtype {c.dtype}"]
    told += [f"{each.name}: {step(each)}" for each in c.steps]
    if c.training is not None:
        told.append(f"{plural(c.training.steps, 'step')} at rate {c.training.rate:g}")
    return "; ".join(told) + f" → output {list(c.output_shape)}"


def step(s: Step) -> str:
    """A step of a chain in words."""
    of = f" of {' and '.join(s.of)}"
    if (r := s.request) is not None:
        told = request(r).removeprefix(f"{r.op} {r.rank}-D, input {list(r.input_shape)}, ")
        return f"{r.op}{of}, {told}".replace(f", dtype {r.dtype}", "").replace("output ", "")
    crop = f" by {words.pairs(s.crop)}" if s.crop else ""
    return f"{s.op}{crop}{of} → {list(s.shape)}"


def laws(case: Case) -> tuple[str, ...]:
    """The law that a case asks for as an equation, where it asks for one."""
    name = case.fields.law
    return (f"law {name}: {WORDS[name].equation(case.request.op)}",) if name else ()


def views(case: Case) -> tuple[str, ...]:
    """That the input is a part of a longer array, where it is."""
    view = case.fields.view
    return (f"the input is a part of an array of twice the {view}",) if view else ()


def request(r: Request) -> str:
    """The request in words, defaults left out."""
    said = [f"{r.op} {r.rank}-D", f"input {list(r.input_shape)}"]
    if r.unbatched:
        said.append("without its batch axis")
    if isinstance(r, Pool) and r.output_size is not None:
        if r.op.startswith("adaptive"):
            said.append(f"output size {words.per_axis(r.output_size)}")
    elif isinstance(r, Pool):
        said.append(f"window {words.per_axis(r.window)}")
    else:
        said.append(f"kernel {list(r.kernel_shape)}")
    mixed = not isinstance(r, Pool) and r.mixed
    said.append(f"dtype {r.dtype}" + (f", kernel {r.dtype_of('w')}" if mixed else ""))
    if not r.padding.none or r.padding.word in ("same", "same_lower"):
        named = "" if r.padding.word == "explicit" else f"{r.padding.word} = "
        mode = "" if r.padding.mode == "zeros" else f" ({r.padding.mode})"
        said.append(f"padding {named}{words.pairs(r.padding.pairs)}{mode}")
    slides = isinstance(r, Pool) and r.output_size is None
    if slides or (not isinstance(r, Pool) and any(s != 1 for s in r.stride)):
        said.append(f"stride {words.per_axis(r.stride)}")
    if any(d != 1 for d in r.dilation):
        said.append(f"dilation {words.per_axis(r.dilation)}")
    if isinstance(r, (Conv, ConvTranspose)):
        if r.groups > 1:
            said.append(f"groups {r.groups}")
        if r.bias:
            said.append("bias")
    if isinstance(r, Conv) and r.flipped:
        said.append("kernel flipped")
    if isinstance(r, ConvTranspose) and r.sized:
        said.append(f"output size {words.per_axis(r.output_shape[2:])}")
    elif isinstance(r, ConvTranspose) and any(r.output_padding):
        said.append(f"output padding {words.per_axis(r.output_padding)}")
    if isinstance(r, Pool):
        if r.ceil_mode:
            said.append("ceil mode")
        if r.op == "avg_pool" and not r.count_include_pad:
            said.append("padding not counted")
        if r.divisor is not None:
            said.append(f"divisor {r.divisor}")
        if r.kind == "lp":
            said.append(f"norm {r.norm:g}")
        if r.padding_value is not None:
            said.append(f"padded by hand with {r.padding_value:g}")
    return ", ".join(said) + f" → output {list(r.output_shape)}"


def plural(number: int, noun: str) -> str:
    """``1 case``, ``2 cases``, ``2 discrepancies``."""
    many = f"{noun[:-1]}ies" if noun.endswith("cy") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else many}"


def listing(items: Iterable[str], limit: int = 3) -> str:
    """The first items, and how many more there are."""
    everything = list(items)
    rest = len(everything) - limit
    return ", ".join(everything[:limit]) + (f" and {rest} more" if rest > 0 else "")
