"""What the cases cover: axes of operators, and how many cases are on each."""
