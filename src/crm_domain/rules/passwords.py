"""Which passwords are refused: too short, too long, or what everybody tries first.

No letters, digits or signs are asked for (OWASP ASVS 5.0, 6.2.5): that only makes people write
``Abc12345!``, which is as easy to guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

SHORTEST, LONGEST = 8, 128
"""OWASP ASVS 5.0, 6.2.1 and 6.2.9."""

# A list of our own: the habits behind the passwords that leaks show again and again.
_WORDS = """
password passwort passwd passw0rd p@ssw0rd p@ssword pass pa55word admin administrator root user
guest test demo login welcome letmein master secret default changeme change manager system server
qwerty qwertyui qwertyuiop asdf asdfgh asdfghjk asdfghjkl zxcv zxcvbn zxcvbnm qwer qwert asd qwe zxc
qazwsx qazwsxedc 1qaz2wsx 1qaz2wsx3edc zaq12wsx 1q2w3e4r 1q2w3e4r5t 1q2w3e 1q2w3e4r5t6y q1w2e3r4
q1w2e3r4t5 123qwe qwe123 123qweasd qweasdzxc qweasd 1234qwer qwer1234 asdf1234 abc abcd abcde abcdef
abcdefg abcdefgh abcdefghi abc123 a1b2c3d4 aa aaa a123456 a12345678 a123456789 aa123456 aaa123456
abc123456 abcd1234 iloveyou ilove love loveyou lovely sunshine princess dragon monkey football
baseball superman batman michael jordan hello hellohello computer internet windows microsoft google
freedom whatever trustno1 shadow killer starwars pokemon nothing qq wechat weixin taobao alibaba
baidu tencent huawei xiaomi iphone apple android
woaini woaini1314 woaini520 woaini521 woaiwo woaiwojia woaijia woaizhongguo woaimama woaibaba
woaiziji woaixuexi wo ai ni nihao nihao123 nihaoma haha hahaha woshishui wobuzhidao wodemima mima
mima123 mimamima wangji zhongguo beijing shanghai guangzhou shenzhen china chinese tianxia
aini1314 ainiyiwannian yishengyishi yongyuan buzhidao dearbook xuexi xuesheng laoshi mingtian
wang li zhang liu chen yang zhao huang zhou wu xu sun zhangwei wangwei wangfang liwei lina zhangmin
5201314 520 521 1314 1314520 1314521 520520 521521 520131400 5201314520 5845201314 7758521 7758258
7895123 147258369 159357 147852 147852369 963852741 741852963 789456123 987654321 123123 123321
112233 11223344 111222 111222333 121212 123654 123654789 147147 159753 123581321 100200 102030
10203040 135792468 1357924680 246813579 666 666666 888 888888 8888888 168168 518518 168888 588588
""".split()  # noqa: SIM905 - so many are easier to read as words
COMMON = frozenset(_WORDS)
"""What is refused alone, with digits or signs around it, and repeated."""
CONTEXT = frozenset({"crm", "school", "schoolcrm", "training", "xuexiao", "peixun", "学校", "密码"})
"""Words of this program and of what it is for."""

_ROWS = ("01234567890", "09876543210", "abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba",
         "qwertyuiop", "poiuytrewq", "asdfghjkl", "lkjhgfdsa", "zxcvbnm", "mnbvcxz")  # fmt: skip
_AROUND = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_SIGNS = re.compile(r"^[\W_]+|[\W_]+$")


def is_common(password: str, words: Iterable[str] = ()) -> bool:
    """Whether a password is one of the first that anybody would try.

    Args:
        password: As it was typed.
        words: What stands near: the username, the person's names and numbers, the school's name.
    """
    typed = password.casefold().strip()
    plain, bare = _SIGNS.sub("", typed), _AROUND.sub("", typed)
    near = {w.casefold().strip() for w in words if w and len(w.strip()) >= 2}
    known = COMMON | CONTEXT | near
    if not known.isdisjoint((typed, plain, bare, _unit(typed))):
        return True
    # Taken out of it, does what stands near leave anything but digits and signs?
    left = typed
    for word in sorted(near | CONTEXT, key=len, reverse=True):
        left = left.replace(word, " ")
    if left != typed and (not _AROUND.sub("", left.strip()) or left.strip() in COMMON):
        return True
    return (not bare and _of_habit(typed)) or len(_unit(typed)) <= 2 or _in_row(typed)


def _unit(text: str) -> str:
    """Give the shortest text that the whole is a repetition of."""
    for size in range(1, len(text) // 2 + 1):
        if len(text) % size == 0 and text == text[:size] * (len(text) // size):
            return text[:size]
    return text


def _in_row(text: str) -> bool:
    """Whether it walks along the alphabet, the digits or a row of keys."""
    return any(text in row or text in row * 2 for row in _ROWS)


def _of_habit(text: str) -> bool:
    """Whether digits and signs alone are a day, or few different digits."""
    digits = re.sub(r"\D", "", text)
    if len(set(digits)) <= 2 and len(digits) >= len(text) - 2:
        return True
    if len(digits) != 8 or len(text) > 10:
        return False
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:])
    try:
        return 1900 <= date(year, month, day).year <= 2100
    except ValueError:
        return False
