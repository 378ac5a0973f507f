"""A framework's call in the words of others: parsed, bound to a signature, read, translated."""
