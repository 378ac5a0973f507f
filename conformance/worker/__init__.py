"""The process that runs one backend; it imports nothing but the standard library and NumPy."""
