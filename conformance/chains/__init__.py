"""Chains: operators one after the other, with what stands between them in networks.

A chain (`chain`) is made of a case's steps (`resolving`). Its program is made of each API's own
lowering of each operator (`lowering`), put together as text (`text`), with the framework's words
for the rest. The oracle composes its answers to the steps and to their VJPs, each value with the
error that it may have (`running`), also along a descent by gradients (`training`). Where a target
differs, its prefixes are run once more, to name the first step that does (`unit`).
"""
