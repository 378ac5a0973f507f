"""Random cases against the oracle: what is wrong, shrunk, one report per cause.

Cases are drawn from Hypothesis strategies (`requests`, `drawing`) in a stream that a seed fixes
(`stream`). A campaign (`campaign`) gives each backend a share of the time (`lanes`), tells known
causes from new ones (`findings`), shrinks what is new (`shrinking`), and writes a case file and a
proposed registry entry for each cause (`filing`, `proposing`). What is found is in a journal
(`journal`) before anything else is done with it.
"""
