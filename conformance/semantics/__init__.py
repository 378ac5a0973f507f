"""What each API makes of each feature, as a page: a support table made from the registry."""
