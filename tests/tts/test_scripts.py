import pytest

from cvi.tts.local_voice import UnreadableTextError, check_readable


@pytest.mark.parametrize(
    ("language", "text", "named"),
    [
        ("en", "你好，今天天气很好。", "Chinese characters"),
        ("de-AT", "Привет, как дела?", "Cyrillic letters"),
        ("en", "こんにちは", "Japanese kana"),
        ("fr", "مرحبا! كيف حالك؟", "Arabic letters"),
        ("en", "नमस्ते", "Devanagari letters"),
        ("ru", "你好 и", "Chinese characters"),
        ("en", "καλημέρα", "Greek letters"),
    ],
)
def test_a_script_that_the_voice_cannot_read_is_named(language: str, text: str, named: str) -> None:
    with pytest.raises(UnreadableTextError, match=named) as caught:
        check_readable(text, language)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Hello, naïve café, Łódź and Ångström!"),
        ("en", "你好 means hello in Chinese, as you may know."),
        ("en", "α and β, 5 µm, 10 kΩ"),
        ("zh", "你好，今天天气很好。 OK?"),
        ("ja", "こんにちは、世界"),
        ("ko", "안녕하세요"),
        ("ru_RU", "Привет"),
        ("el", "καλημέρα"),
        ("en", "123 😀 ..."),
        ("en", ""),
    ],
)
def test_what_the_voice_can_read_passes(language: str, text: str) -> None:
    check_readable(text, language)
