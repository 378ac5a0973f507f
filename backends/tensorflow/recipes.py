"""What ``tf.nn`` and Keras share: programs, and recipes for convolutions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from conformance.adapter import Layout, Lowering, Program, Unsupported, batched
from conformance.geometry import effective_window
from conformance.request import Conv, ConvTranspose, Padding, Request
from conformance.source import call, source
from conformance.translation.spelled import Spelled

from ..jax.recipes import Recipes

Lines = tuple[str, list[str]]
Kernel = TypeVar("Kernel", Conv, ConvTranspose)


class ChannelsLastApi(Recipes):
    """An API with the channels last.

    The lines that its hooks give are those before ``forward`` and those in it, the last of which
    returns the output. The hooks get requests that a recipe has left nothing to do for but the
    operator itself: no padding, no dilation, one group.
    """

    layout = Layout("N*C", "*IO", "*OI")
    imports: Mapping[str, str]
    reflect: str
    valid: str

    @abstractmethod
    def native(self, r: Request) -> Lines | Unsupported:
        """The API's own spelling."""

    @abstractmethod
    def plain(self, r: Request) -> Lines:
        """The operator without padding, dilation and groups."""

    def program(self, r: Request, *parts: Lines) -> Program:
        """A program from its parts, one after the other."""
        setup = "\n".join(before for before, _ in parts if before)
        return source(
            r, self.imports, "\n".join(line for _, lines in parts for line in lines), setup=setup
        )

    def verbatim(self, r: Request, call: Spelled) -> Program | Unsupported:
        if call.layer:
            return Unsupported(f"{call.name} is not given x")
        return self.program(r, ("", [f"return {call.text}"]))

    def lowering(self, r: Request, native: Lines | Unsupported, *recipe: Lines) -> Lowering:
        """Both forms, the recipe only where it differs."""
        emulated = self.program(r, *recipe)
        if isinstance(native, Unsupported):
            return Lowering(native, emulated)
        own = self.program(r, native)
        return Lowering(own, None if emulated == own else emulated)

    def unbatched(self, r: Request) -> Lowering:
        """Only the recipe for a batch is sure to have a gradient."""
        lowering = self.lower(replace(r, unbatched=False))
        program = lowering.emulated or lowering.native
        missing = Unsupported(f"{self.name} takes no arrays without a batch axis")
        return Lowering(missing, batched(program, r) if isinstance(program, Program) else None)

    def conv(self, r: Conv) -> Lowering:
        lines = []
        if r.padding.mode != "zeros":
            lines = self._pad_mode(r)
        elif not r.padding.none:
            lines = [f"x = {self.pad(r)}"]
        bare = _without_holes(r)
        if r.rank == 3 and any(_alone(r)):
            # Conv3D is wrong for one channel where a strided last axis has one position.
            spans = (span if one else "" for span, one in zip(bare.window, _alone(r)))
            lines.append(f"x = x[:, {', '.join(f':{span}' for span in spans)}]")
            steps = (1 if one else step for step, one in zip(r.stride, _alone(r)))
            bare = replace(bare, stride=tuple(steps))
        setup, grouped = self._per_group(r, bare)
        return self.lowering(r, self.native(r), (setup, [*lines, *self._holes(r), *grouped]))

    def conv_transpose(self, r: ConvTranspose) -> Lowering:
        bare = replace(_without_holes(r), output_padding=(0,) * r.rank)
        if r.padding.none and not any(r.output_padding):
            setup, lines = self._per_group(r, bare)
        else:
            setup, lines = self._per_group(replace(r, bias=False), replace(bare, bias=False))
            lines = [*lines[:-1], *self.trimmed(r, lines[-1])]
        return self.lowering(r, self.native(r), (setup, [*self._holes(r), *lines]))

    def _per_group(self, r: Kernel, bare: Kernel) -> Lines:
        if r.groups == 1:
            return self.plain(bare)
        setup, lines = self.plain(_one_group(bare))
        return setup, self.per_group(r, lines)

    def _pad_mode(self, r: Conv) -> list[str]:
        """The lines that pad ``x`` in a mode."""
        if r.padding.mode == "reflect":
            widths = self.widths(r.padding.pairs)
            return [f"x = {call(self.functions['pad'], 'x', widths, mode=self.reflect)}"]
        lines = []
        for axis, (size, (low, high)) in enumerate(zip(r.spatial, r.padding.pairs), start=1):
            if (low, high) == (0, 0):
                continue
            index = f"{self.functions['arange']}({-low}, {size + high})"
            if r.padding.mode == "circular":
                index = f"{index} % {size}"
            else:
                index = f"{self.functions['clip']}({index}, 0, {size - 1})"
            lines.append(f"x = {self.functions['take']}(x, {index}, axis={axis})")
        return lines

    def _holes(self, r: Conv | ConvTranspose) -> list[str]:
        """The lines that write the dilation into the kernel, as zeros between its elements."""
        names, lines = self.functions, []
        shape = [*r.window, r.kernel_shape[1], r.kernel_shape[0]]
        for axis, (window, dilation) in enumerate(zip(r.window, r.dilation)):
            if window == 1 or dilation == 1:
                continue
            zeros = f", {names['zeros_like']}(w)" * (dilation - 1)
            shape[axis] = window * dilation
            span = effective_window(window, dilation)
            lines += [
                f"w = {names['stack']}([w{zeros}], axis={axis + 1})",
                f"w = {names['reshape']}(w, {shape})[{':, ' * axis}:{span}]",
            ]
            shape[axis] = span
        return lines


def _alone(r: Conv) -> list[bool]:
    """Which axes have a single position, so that their stride means nothing."""
    return [count == 1 and step > 1 for count, step in zip(r.output_shape[2:], r.stride)]


def _without_holes(r: Kernel) -> Kernel:
    """The request for a kernel that the dilation is written into."""
    return replace(
        r,
        kernel_shape=(*r.kernel_shape[:2], *map(effective_window, r.window, r.dilation)),
        dilation=(1,) * r.rank,
        padding=Padding(((0, 0),) * r.rank),
    )


def _one_group(r: Kernel) -> Kernel:
    """The request of the first group."""
    first, second, *window = r.kernel_shape
    return replace(
        r,
        input_shape=(r.input_shape[0], r.channels // r.groups, *r.spatial),
        kernel_shape=(first // r.groups, second, *window),
        groups=1,
    )
