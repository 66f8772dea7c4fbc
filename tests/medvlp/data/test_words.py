"""The number of words of a text, in languages with and without spaces."""

import pytest

from medvlp.data.sample import Excluded, clean_texts, count_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a normal chest film", 4),
        ("naïve  Lungen,\nklar", 3),
        ("обычный снимок", 2),
        ("정상 흉부 사진", 3),
        ("双肺清晰，无异常。", 7),
        ("CT显示结节", 5),
        ("胸部 X-ray", 3),
        ("肺は正常です", 6),
        ("ปอดปกติ", 2),
        ("", 0),
    ],
)
def test_words(text: str, words: int) -> None:
    assert count_words(text) == words


def test_a_text_that_is_too_short_is_excluded_in_any_language() -> None:
    assert clean_texts(["胸片", "胸部平片"]) == ("胸部平片",)
    with pytest.raises(Excluded, match="no text of at least 3 words"):
        clean_texts(["胸片", "two words"])
