"""How sure a table is: sampling error of every metric and noise between seeds in one model (docs/statistics.md).

``influence`` says what each row of the test set adds to a metric's error, ``inference`` makes intervals and comparisons
of it, ``calibration`` measures whether probabilities mean what they say. numpy and scipy alone.
"""
