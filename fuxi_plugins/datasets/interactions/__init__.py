"""Turns logs of what users did into rows of a CTR dataset: drawn negatives, histories, attributes and a split."""
