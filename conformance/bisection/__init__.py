"""Which release of a framework changed what it makes of a case.

Releases come from the package index (`index`), each gets an environment of its own that is kept
(`environments`), the case is tried there (`trials`), and the change is searched for as ``git
bisect`` does (`search`).
"""
