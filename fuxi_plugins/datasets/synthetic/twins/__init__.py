"""Twins: generated files in the raw format of the paper's four datasets, with planted effects and a known Bayes score.

A twin has the columns, types, separators, missing values and kinds of vocabulary of its dataset, so that everything
from the import to the board can be rehearsed offline at any size. It is no sample of the dataset: what a model scores
on a twin says nothing about the real one.
"""
