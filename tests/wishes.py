"""What the requests of a planted cause are drawn from."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from conformance.request import OPS
from tests import planting_data as data

CONVS = ("conv", "conv_transpose")
POOLS = ("max_pool", "avg_pool")
SLIDING = (*CONVS, *CONVS, *POOLS, *POOLS, "lp_pool", "max_pool_indices")
FLOATS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int8", "int32")
MODES = ("reflect", "replicate", "circular")


@dataclass(frozen=True)
class Wish:
    """What the requests of a cause are drawn from; ``array`` is the one that is wrong."""

    ops: tuple[str, ...] = SLIDING
    ranks: tuple[int, ...] = (1, 2, 3)
    dtypes: tuple[str, ...] = FLOATS + INTEGERS
    words: tuple[str, ...] = ("explicit", "explicit", "same", "same_lower", "valid")
    pads: tuple[int, ...] = (-1, 0, 0, 1, 1, 2, 2, 3)
    windows: tuple[int, ...] = (1, 2, 2, 3, 3)
    strides: tuple[int, ...] = (1, 1, 2, 3)
    dilations: tuple[int, ...] = (1, 1, 2, 3)
    groups: tuple[int, ...] = (1, 1, 2, 3)
    depthwise: bool = False
    modes: tuple[str, ...] = ("zeros",) * 5 + MODES
    bias: tuple[bool, ...] = (False, True)
    ceil: tuple[bool, ...] = (False, False, True)
    counted: tuple[bool, ...] = (True, False)
    made: data.Data = data.usual
    array: str = "y"
    accumulation: str | None = None
    divisors: tuple[int | None, ...] = (None,)
    norms: tuple[float, ...] = (2.0, 1.0, 3.0)


PADDED = Wish(words=("explicit",), pads=(0, 1, 1, 2, 3), windows=(2, 3, 3))
EVEN = Wish(words=("explicit",), pads=(0, 1, 2, 3), windows=(2, 3))
EVERYWHERE = Wish(ops=OPS)
NORMS = Wish(ops=("lp_pool",), dtypes=FLOATS, windows=(2, 3), strides=(1, 2, 3), pads=(0, 1))
PLACES = Wish(ops=("max_pool_indices",), windows=(2, 3), pads=(0, 1), dilations=(1, 1, 2))
SHARED = Wish(ops=("adaptive_max_pool", "adaptive_avg_pool", "adaptive_avg_pool"))
CAUSAL = Wish(ops=("conv",), words=("causal",), windows=(2, 3), modes=("zeros",))
STRIDED = Wish(strides=(1, 2, 2, 3))
DILATED = Wish(
    dilations=(1, 2, 2, 3), windows=(2, 2, 3), words=("explicit", "same"), pads=(0, 1, 2)
)
KERNEL = Wish(ops=CONVS, windows=(1, 2, 3))
GROUPS = Wish(ops=CONVS, groups=(2, 2, 3))
MAXIMA = Wish(ops=("max_pool", "adaptive_max_pool", "global_max_pool"))
MEANS = Wish(ops=("avg_pool",), dtypes=FLOATS, pads=(0, 1, 2), windows=(2, 3))
TIES = replace(
    MAXIMA, dtypes=FLOATS, windows=(2, 3, 3), made=data.tied, array="x", pads=(0, 1), ceil=(False,)
)
WISHES: dict[str, Wish] = {
    "padding-dropped": replace(PADDED, words=("explicit", "explicit", "same", "same_lower")),
    "padding-other-side": replace(PADDED, words=("explicit", "explicit", "same", "same_lower")),
    "padding-transposed": replace(PADDED, ranks=(2, 3)),
    "same-lower": Wish(words=("same",), windows=(2, 3)),
    "same-upper": Wish(words=("same_lower",), windows=(2, 3)),
    "same-ignores-stride": Wish(
        ops=("conv", *POOLS), words=("same", "same_lower"), strides=(1, 2, 3), windows=(2, 3)
    ),
    "same-ignores-dilation": Wish(
        ops=("conv", *POOLS), words=("same", "same_lower"), dilations=(1, 2, 2, 3), windows=(2, 3)
    ),
    "causal-at-the-end": CAUSAL,
    "causal-on-both-sides": CAUSAL,
    "padding-split": replace(PADDED, words=("explicit", "explicit", "same", "same_lower")),
    "padding-is-same": PADDED,
    "padding-symmetric": PADDED,
    "padding-twice": PADDED,
    "padding-off-by-one": PADDED,
    "negative-padding-ignored": replace(PADDED, pads=(-2, -1, 0, 1, 2), modes=("zeros",)),
    "padding-of-the-dilated-input": replace(PADDED, ops=("conv_transpose",)),
    "padded-with-zero": replace(
        PADDED, ops=("max_pool",), ceil=(False,), made=data.below_zero, words=("explicit", "same")
    ),
    "padded-with-lowest": replace(
        PADDED, ops=("max_pool",), ceil=(False,), made=data.minus_infinite, dtypes=FLOATS
    ),
    "padding-mode": replace(PADDED, ops=("conv", "conv", "conv", *POOLS), ceil=(False,)),
    "padding-skipped": replace(
        PADDED, ops=("conv",), dtypes=FLOATS, made=data.special_kernel, modes=("zeros",)
    ),
    "kernel-flipped": KERNEL,
    "kernel-transposed": replace(KERNEL, ranks=(2, 3)),
    "kernel-channels-swapped": KERNEL,
    "window-transposed": Wish(ops=POOLS, ranks=(2, 3), windows=(1, 2, 3)),
    "stride-ignored": STRIDED,
    "stride-transposed": replace(STRIDED, ranks=(2, 3)),
    "stride-is-window": Wish(ops=POOLS, windows=(2, 3)),
    "dilation-ignored": DILATED,
    "dilation-transposed": replace(DILATED, ranks=(2, 3)),
    "dilation-after-stride": replace(DILATED, ops=("conv",), strides=(1, 2, 2)),
    "stride-dilation-swapped": replace(DILATED, strides=(1, 2, 3)),
    "groups-interleaved": GROUPS,
    "groups-ignored": GROUPS,
    "depthwise-multiplier-order": replace(GROUPS, groups=(2, 3, 4), depthwise=True),
    "bias-dropped": Wish(ops=CONVS, bias=(True,)),
    "bias-twice": Wish(ops=CONVS, bias=(True,)),
    "ceil-ignored": Wish(ops=POOLS, ceil=(True,), strides=(2, 3)),
    "ceil-for-floor": Wish(ops=POOLS, ceil=(False,), strides=(2, 3)),
    "ceil-keeps-windows-in-padding": Wish(
        ops=POOLS, ceil=(True,), strides=(2, 3), words=("explicit",), pads=(0, 1, 2, 3),
        windows=(1, 2, 3), counted=(True,),
    ),
    "padding-counted": replace(MEANS, counted=(False,), words=("explicit", "same")),
    "padding-not-counted": replace(MEANS, counted=(True,), words=("explicit", "same")),
    "divisor-not-clipped": replace(MEANS, ceil=(True, False), strides=(1, 2, 3)),
    "divisor-ignored": replace(MEANS, divisors=(1, 3, 5), ceil=(True, False), strides=(1, 2, 3)),
    "signed-powers": replace(NORMS, norms=(1.0, 3.0)),
    "norm-without-root": replace(NORMS, norms=(2.0, 3.0)),
    "overhang-scaled": replace(NORMS, ceil=(True,), strides=(2, 3), norms=(1.0, 2.0, 3.0)),
    "sums-out-of-range": replace(
        NORMS, ops=("lp_pool", "avg_pool"), dtypes=("float16", "float32"), norms=(2.0, 3.0),
        made=data.near_the_end,
    ),
    "index-layout": PLACES,
    "index-of-padded": replace(PLACES, words=("explicit", "same"), pads=(0, 1, 1)),
    "index-in-window": PLACES,
    "adaptive-as-fixed-windows": SHARED,
    "adaptive-windows-rounded": SHARED,
    "output-padding-other-end": Wish(ops=("conv_transpose",), strides=(1, 2, 3)),
    "output-padding-dropped": Wish(ops=("conv_transpose",), strides=(1, 2, 3)),
    "result-shifted": EVERYWHERE,
    "result-cropped": EVERYWHERE,
    "result-transposed": replace(EVERYWHERE, ranks=(2, 3)),
    "result-layout": EVERYWHERE,
    "input-layout": EVERYWHERE,
    "integer-wraps": Wish(
        ops=(*CONVS, "max_pool"), dtypes=("int32",), pads=(0, 1), windows=(2, 3), dilations=(1,),
        made=data.wide_integers,
    ),
    "integer-saturates": Wish(
        ops=(*CONVS, "max_pool"), dtypes=("int8", "int32"), pads=(0, 1), made=data.wide_integers
    ),
    "accumulates-in-storage-dtype": Wish(
        ops=(*CONVS, "avg_pool"), dtypes=("float16", "bfloat16"), windows=(2, 3),
        made=data.normal, accumulation="float32",
    ),
    "lower-precision": Wish(dtypes=FLOATS, made=data.fine),
    "nan-ignored": Wish(
        ops=(*CONVS, "max_pool"), dtypes=FLOATS, windows=(2, 3), made=data.with_nan
    ),
    "starts-from-lowest": Wish(
        ops=("max_pool",), dtypes=FLOATS, windows=(1, 2, 3), made=data.nothing_greater
    ),
    "subnormals-flushed": Wish(
        ops=(*CONVS, "max_pool"), dtypes=FLOATS, made=data.near_subnormal
    ),
    "ties-split": TIES,
    "ties-to-all": TIES,
    "ties-to-last": TIES,
    "nan-gets-no-gradient": replace(TIES, made=data.with_nan),
    "all-zero": EVERYWHERE,
}  # fmt: skip


PAIRS = (
    ("kernel-flipped", "padding-dropped"),
    ("kernel-flipped", "bias-dropped"),
    ("kernel-flipped", "padding-other-side"),
    ("kernel-flipped", "same-lower"),
    ("kernel-flipped", "output-padding-dropped"),
    ("kernel-flipped", "stride-transposed"),
    ("kernel-transposed", "bias-twice"),
    ("stride-ignored", "bias-dropped"),
    ("stride-ignored", "padding-dropped"),
    ("stride-ignored", "dilation-ignored"),
    ("stride-transposed", "padding-transposed"),
    ("dilation-ignored", "padding-dropped"),
    ("dilation-ignored", "kernel-flipped"),
    ("groups-ignored", "padding-dropped"),
    ("groups-interleaved", "bias-dropped"),
    ("padding-other-side", "padding-not-counted"),
    ("ceil-ignored", "padding-dropped"),
    ("padded-with-zero", "stride-ignored"),
    ("window-transposed", "padding-dropped"),
    ("overhang-scaled", "signed-powers"),
    ("causal-at-the-end", "kernel-flipped"),
    ("adaptive-windows-rounded", "result-transposed"),
)


def joint(causes: tuple[str, ...]) -> Wish:
    """What suits all causes: of two choices the one that is a wish."""
    plain, first, *others = Wish(), *(WISHES[cause] for cause in causes)
    for other in others:
        for each in fields(Wish):
            if getattr(first, each.name) == getattr(plain, each.name):
                first = replace(first, **{each.name: getattr(other, each.name)})
    return first
