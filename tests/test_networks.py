"""The layers of real networks: they fit together, all are there, and each kind is in core."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import pytest

from conformance import cases, content
from conformance.cases import Case
from conformance.request import Conv, ConvTranspose, Pool, Request
from tests.architectures import NETWORKS, Path, Shape, layers

CASES = {
    network: {
        case.id.rpartition("/")[2]: case
        for case in cases.load([content.root("cases") / "networks" / f"{network}.yaml"])
    }
    for network in NETWORKS
}
NORMAL = "-normal"
each_network = pytest.mark.parametrize("network", NETWORKS)


def full(network: str) -> dict[str, Case]:
    """The layers at their real size, with integers as data."""
    return {
        name: case
        for name, case in CASES[network].items()
        if case.fields.tier == "full" and not name.endswith(NORMAL)
    }


def core(network: str) -> dict[str, Case]:
    return {name: case for name, case in CASES[network].items() if case.fields.tier == "core"}


def follow(path: Path, shape: Shape, there: Mapping[str, Case]) -> Shape:
    """The shape, without the batch, at the end of a path, by what the cases publish."""
    for step in path:
        if isinstance(step, str):
            case = there[step]
            assert case.request.input_shape == (1, *shape), step
            golden = case.fields.expect
            assert golden is not None and golden.shape is not None, step
            assert golden.shape == list(case.request.output_shape), step
            shape = tuple(golden.shape[1:])
            continue
        ends = [follow(branch, shape, there) for branch in step.branches]
        if step.how == "scale":
            assert ends == [(shape[0], *(1 for _ in shape[1:]))], step
        elif step.how == "same":
            assert len(set(ends)) == 1, step
            shape = ends[0]
        else:
            images = {end[1:] for end in ends}
            assert len(images) == 1 or step.how == "crop", step
            shape = (sum(end[0] for end in ends), *min(images))
    return shape


@pytest.mark.parametrize(
    ("network", "number"), [(name, n) for name in NETWORKS for n in range(len(NETWORKS[name]))]
)
def test_consecutive_layers_fit(network: str, number: int) -> None:
    shape, path, published = NETWORKS[network][number]
    assert follow(path, shape, full(network)) == published


def test_layers_that_do_not_fit_are_found() -> None:
    with pytest.raises(AssertionError, match="conv2-1"):
        follow(["conv1-1", "conv2-1"], (3, 224, 224), full("vgg-16"))


@each_network
def test_every_layer_is_there_once_and_used(network: str) -> None:
    used = {name for _, path, _ in NETWORKS[network] for name in layers(path)}
    assert used == set(full(network))
    requests = [case.request for case in full(network).values()]
    assert len(set(requests)) == len(requests)


def weights(request: Request) -> int:
    """Parameters of a layer; one without bias has a batch normalization's behind it."""
    if isinstance(request, Pool):
        return 0
    return math.prod(request.kernel_shape) + request.out_channels * (1 if request.bias else 2)


# The published numbers are those of torchvision's documentation of its weights; what is not a
# convolution or its batch normalization is said here.
DENSE = {
    "resnet-50": 2048 * 1000 + 1000,
    "vgg-16": 25088 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000,
    "mobilenet-v2": 1280 * 1000 + 1000,
    "efficientnet-b0": 1280 * 1000 + 1000,
    "inception-v3": 2048 * 1000 + 1000,
    "convnext-t": 768 * 1000 + 1000,
}
SCALES = sum(blocks * 3 * width for blocks, width in ((3, 96), (3, 192), (9, 384), (3, 768)))
NORMS = 2 * (96 + 96 + 192 + 384 + 768)  # before stage 1, each downsampling, and the classifier


@pytest.mark.parametrize(
    ("network", "published", "others"),
    [
        ("resnet-50", 25_557_032, 0),
        ("vgg-16", 138_357_544, 0),
        ("mobilenet-v2", 3_504_872, 0),
        ("efficientnet-b0", 5_288_548, 0),
        ("inception-v3", 27_161_264, 768 * 1000 + 1000),
        ("convnext-t", 28_589_128, SCALES + NORMS),
    ],
)
def test_the_parameters_are_those_of_the_network(network: str, published: int, others: int) -> None:
    names = list(layers(NETWORKS[network][0][1]))
    if network == "inception-v3":
        names += ["aux-1x1", "aux-5x5"]
    there = full(network)
    counted = sum(weights(there[name].request) for name in names)
    assert counted + DENSE[network] + others == published


def count(network: str, *kinds: type[Request]) -> int:
    there = full(network)
    return sum(isinstance(there[n].request, kinds) for n in layers(NETWORKS[network][0][1]))


def test_the_papers_count_as_many_layers() -> None:
    assert count("unet", Conv, ConvTranspose) == 23
    assert (count("c3d", Conv), count("c3d", Pool)) == (8, 5)
    assert (count("vgg-16", Conv), count("resnet-50", Conv)) == (13, 49 + 4)


def test_wavenet_hears_as_far_back_as_its_implementation_says() -> None:
    there, reach = full("wavenet"), 1
    names = list(layers(NETWORKS["wavenet"][0][1]))
    for name in ["causal", *names[1::3]]:
        ((before, after),) = there[name].request.padding.pairs
        assert after == 0
        reach += before
    assert reach == 5 * 1023 + 1 + 1


def options(request: Request) -> dict[str, Any]:
    """All of the request but the sizes of image and channels."""
    fields = {**dataclasses.asdict(request), "input_shape": request.rank}
    if not isinstance(request, Pool):
        depthwise = isinstance(request, Conv) and request.depthwise
        assert depthwise or request.groups == 1
        fields |= {"kernel_shape": request.window, "groups": depthwise}
    return fields


def kind(request: Request) -> tuple[object, ...]:
    """What tells a layer's kind, whatever its numbers."""
    pool = isinstance(request, Pool)
    return (
        request.op,
        max(request.window) > 1,
        request.stride < request.window if pool else max(request.stride) > 1,
        request.padding.none,
        request.padding.symmetric is None,
        max(request.dilation) > 1,
        isinstance(request, Conv) and request.depthwise,
        not isinstance(request, Pool) and request.bias,
        isinstance(request, Pool) and (request.ceil_mode, request.count_include_pad),
    )


@each_network
def test_each_kind_of_layer_is_in_core_and_in_full(network: str) -> None:
    small, real = core(network).values(), full(network).values()
    assert {kind(case.request) for case in small} == {kind(case.request) for case in real}


@each_network
def test_a_reduced_layer_differs_in_its_sizes_only(network: str) -> None:
    for name, case in core(network).items():
        layer, reduced, _ = name.partition("-reduced")
        assert reduced, name
        assert options(case.request) == options(full(network)[layer].request), name
        assert math.prod(case.request.output_shape) <= 1024, name


@each_network
def test_real_numbers_are_for_a_layer_that_is_there(network: str) -> None:
    found = [name for name in CASES[network] if name.endswith(NORMAL)]
    assert found
    for name in found:
        case = CASES[network][name]
        assert case.request == full(network)[name.removesuffix(NORMAL)].request
        assert all(tensor.spec.normal for tensor in case.inputs if tensor.name != "b"), name
