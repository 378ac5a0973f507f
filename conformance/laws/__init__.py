"""Laws: what several results of one target must have in common, whatever the oracle says.

A law (`convolution`, `transposed`, `pooling`, `symmetries`) states that a request's result can be
had in another way: from other requests, on arrays that are made of the case's. The target answers
all of them; on exact data both sides are the same bit for bit, on real data they differ by what the
roundings of both sides explain (`tolerance`). No oracle is asked for values, so a law holds a
framework to its word at sizes that no second implementation is fit for.
"""
