"""How the layers in ``cases/networks`` follow one another, in the published networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Union

Path = list[Union[str, "Join"]]


@dataclass(frozen=True)
class Join:
    """Branches from one input, and how their results become one.

    'same' takes results of one shape (a sum, a product), 'concat' joins channels, 'crop' does so
    after cropping all to the smallest image, 'scale' multiplies the input by one number a channel.
    """

    how: Literal["same", "concat", "crop", "scale"]
    branches: tuple[Path, ...]


def residual(*layers: str, shortcut: str | None = None) -> Join:
    return Join("same", ([*layers], [shortcut] if shortcut else []))


def concat(*branches: Path) -> Join:
    return Join("concat", branches)


def layers(path: Path) -> Iterator[str]:
    """The layers of a path, as often as they are there."""
    for step in path:
        if isinstance(step, str):
            yield step
        else:
            for branch in step.branches:
                yield from layers(branch)


def resnet_50(caffe: bool = False) -> Path:
    path: Path = ["conv1", "caffe-pool1" if caffe else "pool1"]
    first = residual("conv2-reduce-first", "conv2-spatial", "conv2-expand", shortcut="conv2-expand")
    for stage, blocks in ((2, 3), (3, 4), (4, 6), (5, 3)):
        n = f"conv{stage}"
        if stage > 2:
            begin = (f"{n}-reduce-first", f"{n}-spatial-stride-2")
            if caffe:
                begin = (f"caffe-{n}-reduce-stride-2", f"{n}-spatial")
            first = residual(*begin, f"{n}-expand", shortcut=f"{n}-shortcut")
        path += [first, *[residual(f"{n}-reduce", f"{n}-spatial", f"{n}-expand")] * (blocks - 1)]
    return [*path, "avg-pool"]


def vgg_16() -> Path:
    path: Path = []
    for block in (1, 2, 3, 4):
        path += [f"conv{block}-1", *[f"conv{block}-2"] * (1 if block < 3 else 2), f"pool{block}"]
    return [*path, "conv5", "conv5", "conv5", "pool5"]


def mobilenet_v2() -> Path:
    path: Path = ["conv1", "block1-depthwise", "block1-project"]
    expand, depthwise = "block2-expand-first", ""
    for block, repeats in ((2, 2), (3, 3), (4, 4), (5, 3), (6, 3), (7, 1)):
        n = f"block{block}"
        first = f"{n}-depthwise-stride-2" if block in (2, 3, 4, 6) else depthwise
        path += [expand, first, f"{n}-project-first" if repeats > 1 else f"{n}-project"]
        expand, depthwise = f"{n}-expand", f"{n}-depthwise"
        path += [residual(expand, depthwise, f"{n}-project")] * (repeats - 1)
    return [*path, "conv-last", "avg-pool"]


def efficientnet_b0() -> Path:
    def excited(squeeze: str, excite: str, end: str = "") -> Join:
        return Join("scale", ([squeeze, f"{excite}-reduce{end}", f"{excite}-expand{end}"],))

    path: Path = ["stem", "block1-depthwise", excited("block1-squeeze", "block1-excite")]
    path.append("block1-project")
    expand, squeeze, excite = "block2-expand-first", "", "block2-excite"
    for block, repeats in ((2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 1)):
        n, shrinks = f"block{block}", block in (2, 3, 4, 6)
        depthwise = {5: "-first", 7: ""}.get(block, "-stride-2")
        before = excited(
            f"{n}-squeeze-first" if shrinks else squeeze, excite, "-first" if block == 2 else ""
        )
        path += [expand, f"{n}-depthwise{depthwise}", before]
        path.append(f"{n}-project-first" if repeats > 1 else f"{n}-project")
        expand, squeeze, excite = f"{n}-expand", f"{n}-squeeze", f"{n}-excite"
        inner: Path = [expand, f"{n}-depthwise", excited(squeeze, excite), f"{n}-project"]
        path += [Join("same", (inner, []))] * (repeats - 1)
    return [*path, "head", "avg-pool"]


def inception_v3(auxiliary: bool = False) -> Path:
    path: Path = ["conv-1a", "conv-2a", "conv-2b", "pool-3a", "conv-3b", "conv-4a", "pool-5a"]
    for block in "bcd":
        n = f"mixed-5{block}"
        path.append(
            concat(
                [f"{n}-1x1-64"],
                [f"{n}-1x1-48", "mixed-5-5x5"],
                [f"{n}-1x1-64", "mixed-5-3x3-96", "mixed-5-3x3"],
                [f"{n}-avg-pool", f"{n}-1x1-{32 if block == 'b' else 64}"],
            )
        )
    double: Path = ["mixed-5d-1x1-64", "mixed-5-3x3-96", "mixed-6a-3x3-96"]
    path.append(concat(["mixed-6a-3x3-384"], double, ["mixed-6a-max-pool"]))
    for block, width in (("b", 128), ("c", 160), ("c", 160), ("e", 192)):
        n, end = f"mixed-6{block}", "" if width == 192 else "-192"
        begin = "mixed-6-1x1-192" if width == 192 else f"{n}-1x1-{width}"
        path.append(
            concat(
                ["mixed-6-1x1-192"],
                [begin, f"{n}-1x7", f"{n}-7x1{end}"],
                [begin, f"{n}-7x1", f"{n}-1x7", f"{n}-7x1", f"{n}-1x7{end}"],
                ["mixed-6-avg-pool", "mixed-6-1x1-192"],
            )
        )
    if auxiliary:
        return [*path, "aux-avg-pool", "aux-1x1", "aux-5x5"]
    path.append(
        concat(
            ["mixed-6-1x1-192", "mixed-7a-3x3-320"],
            ["mixed-6-1x1-192", "mixed-6e-1x7", "mixed-6e-7x1", "mixed-7a-3x3-192"],
            ["mixed-7a-max-pool"],
        )
    )
    wide = concat(["mixed-7-1x3"], ["mixed-7-3x1"])
    for n in ("mixed-7b", "mixed-7c"):
        path.append(
            concat(
                [f"{n}-1x1-320"],
                [f"{n}-1x1-384", wide],
                [f"{n}-1x1-448", "mixed-7-3x3", wide],
                [f"{n}-avg-pool", f"{n}-1x1-192"],
            )
        )
    return [*path, "avg-pool"]


def convnext_t() -> Path:
    path: Path = []
    for stage, blocks in ((1, 3), (2, 3), (3, 9), (4, 3)):
        n = f"stage{stage}"
        path.append("patchify" if stage == 1 else f"downsample{stage}")
        path += [residual(f"{n}-depthwise", f"{n}-expand", f"{n}-project")] * blocks
    return [*path, "avg-pool"]


def unet() -> Path:
    path: Path = ["bottom-1", "bottom-2"]
    for level in (4, 3, 2, 1):
        below: Path = [f"pool{level}", *path, f"up{level}"]
        down: Path = [f"down{level}-1", f"down{level}-2"]
        path = [*down, Join("crop", ([], below)), f"up{level}-1", f"up{level}-2"]
    return [*path, "classes"]


def wavenet() -> Path:
    path: Path = ["causal"]
    for exponent in [*range(10)] * 5:
        dilated = f"dilated-{2**exponent}"
        gated = Join("same", ([dilated], [dilated]))
        path.append(Join("same", ([gated, "dense"], [])))
    return path


def c3d() -> Path:
    stages: list[list[str]] = [["1a"], ["2a"], ["3a", "3b"], ["4a", "4b"], ["5", "5"]]
    path: Path = []
    for number, names in enumerate(stages, 1):
        path += [*(f"conv{name}" for name in names), f"pool{number}"]
    return path


Shape = tuple[int, ...]
NETWORKS: dict[str, list[tuple[Shape, Path, Shape]]] = {
    "resnet-50": [
        ((3, 224, 224), resnet_50(), (2048, 1, 1)),
        ((3, 224, 224), resnet_50(caffe=True), (2048, 1, 1)),
    ],
    "vgg-16": [((3, 224, 224), vgg_16(), (512, 7, 7))],
    "mobilenet-v2": [((3, 224, 224), mobilenet_v2(), (1280, 1, 1))],
    "efficientnet-b0": [((3, 224, 224), efficientnet_b0(), (1280, 1, 1))],
    "inception-v3": [
        ((3, 299, 299), inception_v3(), (2048, 1, 1)),
        ((3, 299, 299), inception_v3(auxiliary=True), (768, 1, 1)),
    ],
    "convnext-t": [((3, 224, 224), convnext_t(), (768, 1, 1))],
    "unet": [((1, 572, 572), unet(), (2, 388, 388))],
    "dcgan": [
        ((1024, 4, 4), [f"up{n}" for n in (1, 2, 3, 4)], (3, 64, 64)),
        (
            (100, 1, 1),
            ["pytorch-projection", *(f"pytorch-up{n}" for n in (1, 2, 3, 4))],
            (3, 64, 64),
        ),
        ((256, 7, 7), [f"tensorflow-up{n}" for n in (1, 2, 3)], (1, 28, 28)),
    ],
    "wavenet": [
        ((256, 4000), wavenet(), (32, 4000)),
        ((32, 4000), ["skip", "postprocess-1", "postprocess-2"], (256, 4000)),
    ],
    "c3d": [((3, 16, 112, 112), c3d(), (512, 1, 4, 4))],
}
