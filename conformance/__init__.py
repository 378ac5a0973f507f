"""Conformance tests for convolution and pooling across machine-learning frameworks."""

__version__ = "0.1.0"
