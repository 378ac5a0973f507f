"""What a correct implementation returns for a chain."""

from __future__ import annotations

from conformance.cases import Case
from conformance.chains.oracle import answer
from conformance.chains.training import trajectories
from conformance.reference import Expected, GoldenError


def expected(case: Case) -> Expected:
    """The oracle's answer to a chain's case; of a training, its trajectories for the gradients.

    Raises:
        GoldenError: the case claims exact sums and they are not.
    """
    assert case.chain is not None
    arrays, cotangent = case.arrays(), case.cotangent_array()
    output, gradients = answer(case.chain, arrays, cotangent)
    if case.chain.training is not None:
        gradients = trajectories(case.chain, arrays)
    bounded = [each.name for each in (output, *(gradients or ())) if each.allowed is not None]
    if case.fields.exact and bounded:
        raise GoldenError(
            f"the data are claimed to be exact, but sums in {case.chain.dtype} are not "
            f"({', '.join(bounded)}); use smaller integers or fewer steps, or drop 'exact'"
        )
    return Expected(case.request, arrays, cotangent, output, gradients)
