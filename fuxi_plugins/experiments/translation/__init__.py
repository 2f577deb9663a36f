"""What FuxiCTR, BARS and the RankElastor authors have published -> experiments and datasets of this harness."""
