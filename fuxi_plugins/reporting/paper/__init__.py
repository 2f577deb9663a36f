"""The RankElastor paper beside our runs of its suites: figures, tables, and what they do and do not show."""
