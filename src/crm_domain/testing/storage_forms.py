"""The part of the contract of a storage that is about forms that are sent twice."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from crm_domain.model import Employee
from crm_domain.ports import Crm, Sent
from crm_domain.testing.making import NOW, together

ONE, OTHER = "a" * 64, "b" * 64


class FormsPart:
    """A form is kept with its effect, or not at all."""

    def test_a_form_is_new_once(self, crm: Crm) -> None:
        """Then it is told what it said and made; another one is new."""
        with crm.unit_of_work() as uow:
            assert uow.forms.begin(ONE, "x", now=NOW) is None
            uow.forms.made(ONE, 17)
        with crm.unit_of_work() as uow:
            again = Sent(content_sha256="x", record_id=17)
            assert uow.forms.begin(ONE, "y", now=NOW) == again
            assert uow.forms.begin(OTHER, "x", now=NOW) is None
            uow.forms.made(OTHER, 18)

    def test_a_form_whose_effect_is_undone_is_new_again(self, crm: Crm) -> None:
        """It is kept in the transaction of what it did."""
        with suppress(ZeroDivisionError), crm.unit_of_work() as uow:
            assert uow.forms.begin(ONE, "x", now=NOW) is None
            uow.forms.made(ONE, 17)
            raise ZeroDivisionError
        with crm.unit_of_work() as uow:
            assert uow.forms.begin(ONE, "x", now=NOW) is None

    def test_of_many_at_the_same_form_one_takes_it_in(self, crm: Crm) -> None:
        """The others wait, and are told what that one made."""

        def send(_: int) -> int:
            with crm.unit_of_work() as uow:
                before = uow.forms.begin(ONE, "x", now=NOW)
                if before is not None:
                    return before.record_id
                number = uow.records.add(Employee(name="李雷")).id or 0
                uow.forms.made(ONE, number)
                return number

        assert len(set(together(6, send))) == 1

    def test_old_forms_are_removed(self, crm: Crm) -> None:
        """Those that were taken in before a moment, and no others."""
        with crm.unit_of_work() as uow:
            for token, at in ((ONE, NOW), (OTHER, NOW + timedelta(days=1))):
                uow.forms.begin(token, "x", now=at)
                uow.forms.made(token, 17)
        with crm.unit_of_work() as uow:
            assert uow.forms.remove_old(before=NOW + timedelta(hours=1)) == 1
            assert uow.forms.begin(OTHER, "x", now=NOW) is not None
            assert uow.forms.begin(ONE, "x", now=NOW) is None
            uow.forms.made(ONE, 18)
