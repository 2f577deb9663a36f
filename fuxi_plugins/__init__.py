"""A benchmark harness for click-through-rate models on FuxiCTR."""

__version__ = "0.1.0"
