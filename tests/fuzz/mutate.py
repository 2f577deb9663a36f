"""Strategies of bad input: a valid file with some of its parts exchanged, cut out, doubled or damaged."""

import tempfile
from pathlib import Path

from hypothesis import strategies as st

ESCAPED = Path(tempfile.gettempdir()) / "escaped"  # what the malicious values would make

# Values at which parsers and checks have been seen to stumble, as they stand in a file.
ODD_VALUES = st.sampled_from(
    [
        "", "~", "null", "true", "-1", "0", "1e999", "-1e-3", ".nan", ".inf", "NaN", "Infinity", "99999999999999999999",
        "0x1F", "1_000", "2026-01-01", "[]", "{}", "[1, [2, [3]]]", "{a: {b: c}}", "&a [*a]", "*nobody", "<<: *a",
        f"!!python/object/apply:os.system ['touch {ESCAPED}']", "!!python/tuple [1]", "!!binary aGk=", "!!set {a}",
        f"../../..{ESCAPED}", "/etc/passwd", "~/escaped", "a/b", "..", ".", "a\x00b", "\ufeff", "\u202e", "é" * 300,
        "'", '"', "- ", ": ", "? ", "|", ">", "%", "@", "`", f"__import__('os').system('touch {ESCAPED}')",
        "<script>alert(1)</script>", "layers.MaskedAveragePooling()", "Base", "tiny", "LR", "DNN", "RankMixer", "Model",
    ]
)  # fmt: skip
ANY_VALUES = ODD_VALUES | st.text(max_size=12) | st.integers().map(str) | st.floats().map(str)


@st.composite
def mutated(draw, text: str, separators: str = "\n :,{}[]"):
    """``text`` with up to four of its tokens replaced, removed, repeated, or moved."""
    tokens, token = [], ""
    for character in text:
        if character in separators:
            tokens += [token, character]
            token = ""
        else:
            token += character
    tokens = [part for part in [*tokens, token] if part]
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(tokens) - 1))
        action = draw(st.sampled_from(["replace", "remove", "repeat", "move", "cut"]))
        if action == "replace":
            tokens[place] = draw(ANY_VALUES)
        elif action == "remove" and len(tokens) > 1:
            del tokens[place]
        elif action == "repeat":
            tokens.insert(place, tokens[place])
        elif action == "move":
            tokens.insert(draw(st.integers(0, len(tokens) - 1)), tokens[place])
        elif action == "cut":
            tokens = tokens[: place + 1]
    return "".join(tokens)


def as_bytes(texts):
    """The same texts as bytes, now and then with bytes that are no UTF-8."""

    @st.composite
    def encoded(draw):
        content = draw(texts).encode("utf-8", "surrogatepass")
        if draw(st.integers(0, 9)) == 0:
            place = draw(st.integers(0, len(content)))
            content = content[:place] + draw(st.binary(min_size=1, max_size=4)) + content[place:]
        return content

    return encoded()
