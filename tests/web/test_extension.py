"""Plugins add to lists that are there."""

import attrs
import pytest

from crm_domain.model import Customer
from crm_web.resource import Action, Column, Extension, Outcome, extended
from crm_web.resources.customers import CUSTOMERS

STARS = Column(name="stars", words=("星级", "Stars"), kind="text", value=lambda row: "★" * 3)
THANK = Action(
    name="thank", words=("致谢", "Thank"), icon="star", needs="customer:edit",
    run=lambda c, ids, values: Outcome(said="ok"),
)  # fmt: skip


def test_a_plugin_adds_columns_and_actions():
    """What was there stays, and what is added comes after it."""
    found = extended(
        CUSTOMERS, [Extension(resource="customers", columns=(STARS,), actions=(THANK,))]
    )
    assert found.columns == (*CUSTOMERS.columns, STARS)
    assert found.actions[-1] is THANK
    assert found.columns[-1].of(Customer(name="王芳")) == "★★★"


def test_an_extension_of_another_list_changes_nothing():
    """Each names the list that it is for."""
    assert extended(CUSTOMERS, [Extension(resource="pool", columns=(STARS,))]) is CUSTOMERS


def test_a_name_that_is_there_is_refused():
    """Nothing of the program can be replaced unseen."""
    with pytest.raises(ValueError, match="customers: two of its columns"):
        extended(CUSTOMERS, [Extension(resource="customers", columns=(CUSTOMERS.columns[0],))])


def test_what_takes_an_action_back_has_its_address():
    """Its name is the action's with /undo, which the word above the page leads to."""
    back = attrs.evolve(THANK, name="thank/undo")
    assert attrs.evolve(THANK, undo=back).undo is back
    with pytest.raises(ValueError, match="called thank/undo"):
        attrs.evolve(THANK, undo=attrs.evolve(THANK, name="unthank"))


def test_an_action_of_a_plugin_takes_a_thousand_rows_at_a_time():
    """Whoever writes one need not think of requests that run for minutes."""
    assert THANK.most == 1_000
