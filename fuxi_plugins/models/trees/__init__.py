"""Gradient-boosted trees, trained by libraries of their own: one file a library, on the same data as all models.

They are no FuxiCTR model classes. A class names its settings as its fields, and its library is imported when it trains.
"""
