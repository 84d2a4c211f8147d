"""Who may do what (spec section 10), and what is hidden (spec section 6)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_domain.errors import NotPermitted
from crm_domain.model import Customer, Scope, about
from crm_domain.model.fields import RECORDS
from crm_domain.rules.access import (
    ALL_PERMISSIONS,
    HIDDEN,
    HIDEABLE,
    PERMISSIONS,
    ROLES,
    SYSTEM,
    Principal,
    mask,
    masked,
    union,
)
from strategies import words

BY_CODE = {role.code: role for role in ROLES}

# Permissions


def test_nobody_may_anything_by_default():
    """Deny by default: a principal without permissions holds none and reaches its own only."""
    nobody = Principal(name="nobody")
    assert not any(nobody.may(code) for code in ALL_PERMISSIONS)
    assert nobody.scope is Scope.OWN


def test_need_lets_holders_pass_and_refuses_all_others():
    """The refusal names the permission that is missing."""
    principal = Principal(name="p", permissions=frozenset({"customer:view"}))
    principal.need("customer:view")
    with pytest.raises(NotPermitted) as refused:
        principal.need("customer:claim")
    assert refused.value.permission == "customer:claim"


@given(words)
def test_the_system_holds_every_permission(code):
    """Also those that a plugin declares later."""
    assert SYSTEM.may(code)
    SYSTEM.need(code)
    assert SYSTEM.scope is Scope.ALL


def test_permissions_are_declared_once_and_labelled_in_both_languages():
    """A code is ``subject:verb``, a Chinese label has Chinese characters."""
    assert len(ALL_PERMISSIONS) == len(PERMISSIONS)
    for p in PERMISSIONS:
        assert re.fullmatch(r"[a-z_]+:[a-z_]+", p.code), p
        assert re.search(r"[\u4e00-\u9fff]", p.zh), p
        assert p.en, p
        assert p.en.isascii(), p


def test_every_plain_record_can_be_permitted_to_be_seen_and_kept():
    """The generic use cases have a permission to ask for, the others have their own."""
    for cls in RECORDS.values():
        table = about(cls).table
        own = {f"{table}:view", f"{table}:edit"}
        assert not about(cls).plain or own <= ALL_PERMISSIONS, cls


# Built-in roles


def test_built_in_roles_hold_declared_permissions_only():
    """A misspelt permission would silently permit nothing."""
    assert len(BY_CODE) == len(ROLES)
    for role in ROLES:
        assert role.permissions <= ALL_PERMISSIONS, role.code
        assert re.search(r"[\u4e00-\u9fff]", role.zh)


def test_only_consultants_are_given_claiming():
    """Whoever may claim is an active consultant and gets turns; managers are not."""
    assert [r.code for r in ROLES if "customer:claim" in r.permissions] == ["consultant"]


@pytest.mark.parametrize(
    ("code", "scope"),
    [
        ("consultant", Scope.OWN),
        ("sales_manager", Scope.DEPARTMENT_AND_BELOW),
        ("teacher", Scope.OWN),
        ("student", Scope.OWN),
        ("finance", Scope.ALL),
        ("administrator", Scope.ALL),
    ],
)
def test_built_in_roles_reach_as_far_as_their_work(code, scope):
    """Consultants and teachers their own, managers their departments, the office everything."""
    assert BY_CODE[code].scope is scope


@pytest.mark.parametrize(
    ("code", "may", "may_not"),
    [
        ("consultant", "customer:follow_up", "customer:assign"),
        ("consultant", "payment:add", "payment:confirm"),
        ("sales_manager", "customer:assign", "payment:confirm"),
        ("sales_manager", "pool:rules", "role:manage"),
        ("teacher", "lesson:edit", "customer:view"),
        ("finance", "payment:confirm", "customer:edit"),
        ("administrator", "role:manage", "customer:claim"),
    ],
)
def test_built_in_roles_separate_what_should_not_be_in_one_hand(code, may, may_not):
    """Who enters a payment does not confirm it, who teaches does not see prospects."""
    role = BY_CODE[code]
    assert may in role.permissions
    assert may_not not in role.permissions


def test_students_hold_no_permission_of_the_staff():
    """They see their own records by being linked to them."""
    assert BY_CODE["student"].permissions == frozenset()


# Data scopes


@given(st.lists(st.sampled_from(Scope)))
def test_of_several_scopes_the_widest_holds(scopes):
    """Roles add up; without any role the reach is one's own."""
    order = [Scope.OWN, Scope.DEPARTMENT, Scope.DEPARTMENT_AND_BELOW, Scope.ALL]
    widest = Scope.OWN
    for scope in order:
        if scope in scopes:
            widest = scope
    assert union(scopes) is widest
    assert union(iter(scopes)) is widest


# Masks


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        ("13800138000", "138****8000"),
        ("12345", "1****5"),
        ("abc", "a****c"),
        ("ab", "**"),
        ("x", "*"),
        ("", ""),
        (None, None),
    ],
)
def test_a_mask_hides_the_middle(value, hidden):
    """Enough is left to recognise one's own note, not enough to call."""
    assert mask(value) == hidden


@given(st.text("0123456789abc", min_size=3, max_size=40))
def test_a_mask_never_shows_the_whole_and_does_not_tell_short_from_long(value):
    """At least one character in the middle is gone, and the number of stars is always four."""
    hidden = mask(value)
    head, tail = hidden.split("****")
    assert len(head) + len(tail) < len(value)
    assert value.startswith(head)
    assert value.endswith(tail)


def test_a_masked_customer_shows_no_way_to_reach_it_and_no_memo():
    """Phone, QQ and WeChat are masked; name, status and dates stay."""
    customer = Customer(
        id=3, name="孙七", phone="13800138000", qq="123456789", wechat="sunqi_2026",
        memo="打 13800138000 找她", company="某公司",
    )  # fmt: skip
    hidden = masked(customer, HIDDEN)
    shown = repr(hidden)
    for secret in ("13800138000", "123456789", "sunqi_2026"):
        assert secret not in shown
    assert hidden.memo is None
    assert (hidden.id, hidden.name, hidden.company) == (3, "孙七", "某公司")


def test_a_school_hides_more_of_a_customer_and_never_less():
    """Whatever is named, contacts and memo are hidden; nothing but the name must be shown."""
    full = Customer(
        id=3, name="孙七", phone="13800138000", memo="机密", company="某公司", courses=(1, 2)
    )
    assert masked(full, ()) == masked(full, HIDDEN)
    more = masked(full, {"company", "courses"})
    assert (more.phone, more.memo, more.company, more.courses) == ("138****8000", None, None, ())
    assert HIDEABLE > HIDDEN
    assert "name" not in HIDEABLE
    bare = masked(full, HIDEABLE)
    assert (bare.id, bare.name) == (3, "孙七")


def test_a_masked_customer_does_not_pretend_to_have_contacts():
    """What is missing stays missing."""
    hidden = masked(Customer(name="孙七", qq="12345"), HIDDEN)
    assert (hidden.phone, hidden.wechat) == (None, None)
