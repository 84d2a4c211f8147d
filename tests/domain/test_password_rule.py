"""Which passwords are too easy to guess."""

import pytest

from crm_domain.rules.passwords import COMMON, is_common


@pytest.mark.parametrize(
    "password",
    [
        "password", "Password1", "PASSWORD123!", "p@ssw0rd2026", "12345678", "87654321", "00000000",
        "11111111", "12121212", "abcdefgh", "qwertyui", "asdfghjkl", "1qaz2wsx", "woaini1314",
        "woaini520", "WoAiNi1314", "5201314!", "1314520.", "88888888", "66668888", "19900101",
        "1990-01-01", "20081231", "aaaaaaaa", "abababab", "passpass", "crm12345", "school2026",
        "密码123456", "学校2026!!", "nihao123", "admin888", "zhangwei1990", "abc123abc123",
    ],
)  # fmt: skip
def test_what_everybody_tries_first_is_refused(password):
    """Alone, with digits or signs around it, or repeated."""
    assert is_common(password)


@pytest.mark.parametrize(
    "password",
    [
        "lilei2026",
        "LiLei!!!",
        "13800138000",
        "李雷李雷李雷李雷",
        "lilei.lilei",
        "育才1234567",
        "李雷19900101",
    ],
)
def test_what_stands_near_a_person_is_refused(password):
    """The username, the name, the phone number, the school."""
    assert is_common(password, ["lilei", "李雷", "13800138000", "育才"])


@pytest.mark.parametrize(
    "password",
    ["correct horse", "battery staple", "a long sentence", "我爱北京的秋天", "tr0ub4dor&3",
     "39571846", "lilei goes fishing", "password of my cat", "Xk9!fQ2m"],
)  # fmt: skip
def test_what_takes_longer_to_guess_is_accepted(password):
    """No composition is asked for, and a common word in a sentence is no harm."""
    assert not is_common(password, ["lilei", "李雷"])


def test_the_list_is_of_some_size_and_in_small_letters():
    """Passwords are compared without regard to case."""
    assert len(COMMON) > 200
    assert all(word == word.casefold() for word in COMMON)
