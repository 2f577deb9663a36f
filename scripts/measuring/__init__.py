"""What models cost, and speed as ratios against peers that do the same work, measured in turns in one process."""
