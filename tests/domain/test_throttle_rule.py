"""How long one waits, and what counts as one place."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_domain.rules.throttle import LONGEST_WAIT, counted, network, wait


@given(st.integers(0, 10**6), st.integers(1, 50))
def test_a_wait_grows_and_ends_at_a_quarter_of_an_hour(tries, free):
    """Nothing below the free tries, never less than before, never more than the longest."""
    now, then = wait(tries, free), wait(tries + 1, free)
    assert timedelta(0) <= now <= then <= LONGEST_WAIT
    assert (now == timedelta(0)) is (tries < free)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"), (" 192.0.2.7 ", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("unknown", None), ("", None), (None, None), ("1.2.3.4, 5.6.7.8", None),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)  # fmt: skip
def test_a_place_is_an_address_or_the_network_of_one_household(address, place):
    """What is no address is no place."""
    assert network(address) == place


def test_a_name_is_counted_by_its_fingerprint():
    """What people type by mistake, such as a password, is kept nowhere."""
    keys = counted("my secret", None, place="192.0.2.7", device=None, known=False)
    assert not any("secret" in key.key for key in keys)
    assert len(keys) == 2
