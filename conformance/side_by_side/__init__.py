"""A case in every framework's words: its arithmetic, the exact code, and the obvious spelling."""
