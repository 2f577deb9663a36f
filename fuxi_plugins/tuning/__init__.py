"""Fair tuning: every model of a suite gets equally many trials in the same kind of space, judged on validation."""
