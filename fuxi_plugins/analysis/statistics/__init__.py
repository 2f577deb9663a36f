"""How sure a table is: sampling error of every metric and noise between seeds in one model (docs/statistics.md).

``influence`` joins what the test rows add to the errors of metrics over seeds and models, ``inference`` makes intervals
and comparisons of it. numpy and scipy alone.
"""
