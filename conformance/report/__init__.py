"""The report: results become a page's model (`building`), that compact data (`packing`), that HTML.

Nothing here runs a framework. What a framework said is text to be shown and never markup.
"""
