"""The commands of `quoth`, by what they are for. What is slow to import, each imports when it runs."""
