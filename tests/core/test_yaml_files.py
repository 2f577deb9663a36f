import tracemalloc

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
        ("x: !!int abc\n", "line 1: 'abc' is no int"),
        ("x: !!int ''\n", "line 1: '' is no int"),
        ("x: !!float abc\n", "line 1: 'abc' is no float"),
        ("x: !!bool abc\n", "line 1: 'abc' is no bool"),
        ("x: !!timestamp abc\n", "line 1: 'abc' is no timestamp"),
        ("x: 2026-13-45\n", "line 1: '2026-13-45' is no timestamp"),
        ("x: .nan\n", "line 1: a number must be finite, but '.nan' is not"),
        ("x: -.inf\n", "a number must be finite"),
        ("x: 1e999\n", "a number must be finite"),
        ("x: 18446744073709551616\n", "line 1: a whole number must fit 64 bits"),
        ("x: &a [*a]\n", "line 1: the anchor 'a' must not hold itself"),
        ("x: &a {y: {z: *a}}\n", "line 1: the anchor 'a' must not hold itself"),
    ],
)
def test_bad_yaml_is_one_clear_error(tmp_path, text, message):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_yaml(path)


def nested_anchors(separator: str, left: str, right: str) -> str:
    """Nine lines, each of which stands for ten of the line before: 10^9 in a file of a few hundred bytes."""
    lines = ["a0: &a0 {k: lol}"]
    lines += [f"a{i}: &a{i} {left}{separator.join([f'*a{i - 1}'] * 10)}{right}" for i in range(1, 10)]
    return "\n".join(lines)


BOMBS = {
    "anchors": (nested_anchors(", ", "[", "]"), "at most 1,048,576 bytes with all aliases written out"),
    "merges": (nested_anchors(", ", "{<<: [", "]}"), "at most 1,048,576 bytes with all aliases written out"),
    "long text": (f"x: &a {'y' * 500_000}\nz: [*a, *a, *a]", "with all aliases written out"),
    "brackets": ("x: " + "[" * 20_000, "deeper than 50"),
    "dashes": ("x:\n" + "\n".join("  " * i + "-" for i in range(500)), "deeper than 50"),
    "digits": ("x: " + "9" * 6_000, "at most 100 characters"),
    "hexadecimal": ("x: 0x" + "f" * 6_000, "at most 100 characters"),
    "base 60": ("x: " + "59:" * 300_000 + "59", "at most 100 characters"),
    "size": ("x: " + "y" * (1 << 20), "must have at most 1,048,576 bytes"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_yaml_bomb_is_refused_before_it_takes_memory_or_time(tmp_path, bomb):
    text, message = BOMBS[bomb]
    path = tmp_path / "a.yaml"
    path.write_text(text)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=message) as refused:
            load_yaml(path)
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()
    assert len(str(refused.value)) < 300


def test_aliases_within_bounds_are_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: &a [1, 2]\nb: &b {c: *a, d: *a}\ne: [*b, *b]\n")
    inner = {"c": [1, 2], "d": [1, 2]}
    assert load_yaml(path) == {"a": [1, 2], "b": inner, "e": [inner, inner]}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="absent.yaml does not exist"):
        load_yaml(tmp_path / "absent.yaml")
