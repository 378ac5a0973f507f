"""What is measured about the suite itself, as ratios within one run."""
