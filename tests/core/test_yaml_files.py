import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.yaml_files import load_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E+2", 100.0),
        ("-2e4", -2e4),
        ("1.0e-05", 1e-5),
        ("1.5e3", 1500.0),
        ("3", 3),
        ("0.5", 0.5),
    ],
)
def test_numbers_are_numbers(tmp_path, text, value):
    path = tmp_path / "a.yaml"
    path.write_text(f"x: {text}\n")
    assert load_yaml(path) == {"x": value}
    assert type(load_yaml(path)["x"]) is type(value)


@pytest.mark.parametrize("text", ["1e-3x", "e5", "fast", "12 seconds", "'1e-3'"])
def test_text_stays_text(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(f"x: {text}\n")
    assert isinstance(load_yaml(path)["x"], str)


def test_a_merge_and_a_tuple_are_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("base: &b {x: 1, y: 2}\nmore: {<<: *b, y: 3}\npair: !!python/tuple [a, b]\n")
    assert load_yaml(path) == {"base": {"x": 1, "y": 2}, "more": {"x": 1, "y": 3}, "pair": ("a", "b")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: 1\nx: 2\n", r"line 2: the key 'x' stands twice"),
        ("x: [1, 2\n", "not valid YAML"),
        ("- 1\n- 2\n", "must hold a mapping"),
        ("~: 1\n", "line 1: a key must be text, but None is none"),
        ("x: {1: 2}\n", "a key must be text"),
        ("!!set {a}: 1\n", "a key must be text"),
        ("x: !!python/object/apply:os.system [ls]\n", "not valid YAML"),
    ],
)
def test_bad_yaml_is_one_clear_error(tmp_path, text, message):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_yaml(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="absent.yaml does not exist"):
        load_yaml(tmp_path / "absent.yaml")
