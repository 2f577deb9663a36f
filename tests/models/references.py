"""Which models are held against public code: with its weights, they give its predictions.

The tests of :data:`TESTS` run where an environment variable names a checkout. ``docs/models.md`` lists them.
"""

import importlib

# By public repository, the test modules whose ``CASES`` begin with the name of a model or of a variant.
TESTS = {
    "reczoo/FuxiCTR": [
        "test_reference_zoo_a",
        "test_reference_zoo_b",
        "test_reference_zoo_c",
        "test_reference_zoo_histories",
    ],
    "reczoo/LongCTR": ["test_long_histories"],
    "salmon1802/FCN": ["test_reference_fcn"],
    "vasile-paskardlgm/RankElastor": ["test_reference_rankelastor"],
}

# Native models without such a test, and why. Slow formulas of their own, row by row, are what they are held against.
WITHOUT = {
    "DHEN": "no code of the authors is known",
    "HSTU": "its layer is held against meta-recsys/generative-recommenders, the model around it is ours",
    "HiFormer": "no code of the authors is known",
    "HyFormer": "no code of the authors is known",
    "InterFormer": "no code of the authors is known",
    "MLPMixer": "the published code is of images, the model around the layers is ours",
    "OneTrans": "no code of the authors is known",
    "Poly2": "the code that is known, Vowpal Wabbit's, hashes pairs by another function",
    "RankUp": "no code of the authors is known",
    "TokenMixerLarge": "no code of the authors is known",
    "UniMixer": "a co-author's variants differ from the paper and from each other",
}


def referenced() -> dict[str, list[str]]:
    """By public repository, the models and variants that are held against its code."""
    found: dict[str, list[str]] = {}
    for repository, modules in TESTS.items():
        cases = [case for module in modules for case in importlib.import_module(f"tests.models.{module}").CASES]
        found[repository] = sorted({case[0] for case in cases}, key=str.casefold)
    return found
