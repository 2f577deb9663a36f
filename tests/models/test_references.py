"""Every model is held against public code, or says why it is not."""

from fuxi_plugins.models.registry import NATIVE_MODELS
from fuxi_plugins.models.variants import VARIANTS
from tests.models.references import WITHOUT, referenced


def test_every_model_has_a_reference_or_a_reason():
    held = {name for names in referenced().values() for name in names}
    assert held <= {*NATIVE_MODELS, *VARIANTS}
    assert (held & set(NATIVE_MODELS)) | set(WITHOUT) == set(NATIVE_MODELS)
    assert not held & set(WITHOUT)
    assert len(held) >= 50
