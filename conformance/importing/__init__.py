"""Turns the tests of other projects into case files."""
