"""New customers, one by one or in batches, and what is known about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any, Literal, get_args

import attrs

from crm_domain.errors import Duplicate, EditConflict, FieldError, Invalid, NotFound
from crm_domain.model import (
    AssignmentMethod,
    Customer,
    CustomerStatus,
    Employee,
    Notice,
    Scope,
    specs,
)
from crm_domain.model.fields import changed
from crm_domain.parsing import CONTACTS, parse_fields, quoted, read_field, record_number
from crm_domain.ports import MOST, Crm, NewAssignment, Page, Query, Tally, UnitOfWork
from crm_domain.rules.access import Principal, masked, opens_public
from crm_domain.rules.pool import dated, is_kept, is_public, shown
from crm_domain.usecases._common import (
    audit,
    given,
    holds,
    kept_of_nobody,
    locked_customer,
    policy,
    reach_of,
    tell_managers,
)
from crm_domain.usecases._dealing import deal_out, open_new
from crm_domain.usecases._forms import form_of, keep_made, made_before
from crm_domain.usecases._lookups import (
    count_contacts,
    count_search,
    counting_refusals,
    refuse_hidden,
)
from crm_domain.usecases._owning import check_consultant, owned_by

To = Literal["rotation", "pool"]
WAYS: tuple[To, ...] = get_args(To)


def register_customer(
    crm: Crm, values: Mapping[str, Any], *, to: To = "rotation", consultant_id: int | None = None,
    once: str | None = None, by: Principal,
) -> Customer:  # fmt: skip
    """Enter one customer: save it, take a turn, open the assignment, write the notice.

    All of it commits together or not at all: a customer that cannot be saved costs no turn.

    Args:
        crm: The CRM.
        values: What was typed, by field of Customer; a name and one contact at least.
        to: ``rotation`` deals it, ``pool`` leaves it to be claimed.
        consultant_id: Gives it to this consultant instead and uses no turn.
        once: The token of the form, any text that is used for no other. The same form sent again
            enters nothing more and uses no turn.
        by: Who asks; needs ``customer:add``, and ``customer:assign`` for a named consultant
            (oneself only if a setting allows).

    Returns:
        The customer with its number, and its owner or None; of a form that was sent again the
        customer that it made, as `edit_customer` would give it.

    Raises:
        AlreadySent: A form with this token entered something else.
        AskedTooOften: Too many contacts of others were tried within an hour.
        Invalid: With every problem.
        Duplicate: The phone, QQ or WeChat is another customer's.
        NotAssignable: The named consultant is not active.
        NotFound: The named consultant or the customer that referred is not within one's reach, or
            a reference points to nothing.
        NotPermitted: Without the permission.
    """
    by.need("customer:add")
    _may_name(crm, consultant_id, by)
    if to not in WAYS:
        raise Invalid([FieldError("to", "unknown_choice", to, f"只能是 {'、'.join(WAYS)}",
                                  f"it must be {' or '.join(WAYS)}")])  # fmt: skip
    customer = read_customer(values)
    said = {n: getattr(customer, n) for n in specs(Customer)}
    form = form_of(once, Customer, said | {"to": to, "consultant_id": consultant_id}, by)
    with counting_refusals(crm, by), crm.unit_of_work() as uow:
        if form is not None and (made := made_before(uow, form, crm.now())) is not None:
            return _made(crm, uow, made, by)
        dealt = consultant_id is None and to == "rotation"
        # The rules stand still before anything is locked; the rotation is locked last of all.
        rules = None if dealt else policy(crm, uow)
        entered = crm.now()
        _refuse_unseen(crm, uow, customer.referred_by_id, by)
        customer = changed(customer, created_at=entered, created_by_id=by.user_id)
        [saved] = uow.customers.add([customer])
        if saved is None:
            raise taken(uow, customer, values)
        if rules is None:
            owned, told = _deal_one(crm, uow, saved, by)
        elif consultant_id is not None:
            now = max(entered, crm.now())
            check_consultant(crm, uow, consultant_id, now, by)
            owned = dated(owned_by(saved, consultant_id, now), rules)
            new = NewAssignment(customer=owned, method=AssignmentMethod.MANUAL, by_id=by.user_id,
                                explanation=f"由 {by.title} 录入时指定")  # fmt: skip
            owned, told = open_new(crm, uow, new, now, by)
        else:
            owned, told = dated(saved, rules), []
            uow.ownership.publish([owned])
        uow.notices.add(told)
        audit(uow, by, entered, "create", "Customer", owned.id, None, given(owned))
        keep_made(uow, form, owned.id)
    crm.jobs.wake("deliver_due")
    return owned


def _made(crm: Crm, uow: UnitOfWork, number: int, by: Principal) -> Customer:
    """Give the customer that a form made before, as far as whoever sent it still sees it."""
    customer = uow.customers.get(number)
    if customer is None or customer.archived_at is not None:
        raise NotFound(what="客户", id=number)
    return seen_by_who_changed(crm, uow, customer, by)


def _refuse_unseen(crm: Crm, uow: UnitOfWork, number: int | None, by: Principal) -> None:
    """Refuse to name a customer that one may not see, just as one that is not there.

    Otherwise whoever enters customers could ask by this field which numbers there are.

    Raises:
        NotFound: It is another's, or there is none.
    """
    if number is None:
        return
    customer = uow.customers.get(number) if record_number(number) is not None else None
    if customer is not None and customer.archived_at is None and by.may("customer:view"):
        with suppress(NotFound):
            seen(crm, uow, customer, by)
            return
    raise NotFound(what="客户", id=quoted(number))


def _may_name(crm: Crm, consultant_id: int | None, by: Principal) -> None:
    oneself = consultant_id is not None and consultant_id == by.employee_id
    if consultant_id is not None and not (oneself and crm.settings.assign_oneself):
        by.need("customer:assign")


def _deal_one(
    crm: Crm, uow: UnitOfWork, saved: Customer, by: Principal
) -> tuple[Customer, list[Notice]]:
    new, left, now = deal_out(crm, uow, [saved], AssignmentMethod.ROTATION, by)
    if left:
        uow.ownership.publish(left)
        about = f"customer:{saved.id}"
        return left[0], tell_managers(crm, uow, 1, about=about, key=f"nobody:{about}", now=now)
    return open_new(crm, uow, new[0], now, by)


def read_customer(values: Mapping[str, Any]) -> Customer:
    """Read what was typed as a customer.

    Raises:
        Invalid: With every problem; no contact at all is one of them.
    """
    found, problems = parse_fields(Customer, values)
    named = {p.path for p in problems}
    if not any(found.get(n) for n in CONTACTS) and not named & set(CONTACTS):
        problems.append(no_contact())
    if problems:
        raise Invalid(problems)
    return Customer(**found)


def no_contact() -> FieldError:
    """The problem of a customer who cannot be reached."""
    return FieldError("", "no_contact", None, "手机、QQ、微信至少填写一项",
                      "a phone number, QQ or WeChat is needed")  # fmt: skip


def taken(uow: UnitOfWork, customer: Customer, typed: Mapping[str, Any]) -> Duplicate:
    """Say which contact of a customer is another's, as it was typed."""
    contacts = {n: [v] for n in CONTACTS if (v := getattr(customer, n))}
    for name, _ in uow.customers.holders(contacts):
        field = specs(Customer)[name].zh
        return Duplicate(what="客户", field=field, value=typed.get(name), fields=(name,))
    return Duplicate(what="客户", field="联系方式", value="", fields=())


@attrs.frozen(kw_only=True)
class Similar:
    """What may be said of a customer that is there already: no contact data, no number."""

    field: str
    """Which contact it has: ``phone``, ``qq`` or ``wechat``."""
    status: CustomerStatus
    public: bool
    """Whether it is in the pool."""
    owner_name: str | None
    """None where nobody has it."""


def find_duplicates(crm: Crm, values: Mapping[str, Any], *, by: Principal) -> tuple[Similar, ...]:
    """Tell, while somebody types, whether a contact is known.

    Args:
        crm: The CRM.
        values: ``phone``, ``qq`` and ``wechat`` as far as they are typed.
        by: Who asks; needs ``customer:add``. Without ``customer:assign`` so many contacts in an
            hour at most.

    Raises:
        AskedTooOften: There were too many.
        Invalid: The values do not come by field name.
        NotPermitted: Without the permission.
    """
    by.need("customer:add")
    if not isinstance(values, Mapping):
        raise Invalid(parse_fields(Customer, values)[1])
    typed = {n: v for n, v in values.items() if n in CONTACTS}
    read, _ = parse_fields(Customer, typed, partial=True)
    contacts = {n: [v] for n, v in read.items() if v}
    if contacts and not by.reads_hidden:
        with crm.unit_of_work() as uow:
            count_contacts(crm, uow, len(contacts), by)
    with crm.unit_of_work(read_only=True) as uow:
        found = uow.customers.holders(contacts)
        today = crm.today()
        answers = []
        for (name, _), customer in found.items():
            public = is_public(customer, today)
            owner = None if public else uow.records.get(Employee, customer.owner_id or 0)
            answers.append(Similar(
                field=name, status=customer.status, public=public,
                owner_name=owner.name if owner else None,
            ))  # fmt: skip
        return tuple(answers)


def get_customer(crm: Crm, customer_id: int, *, by: Principal) -> Customer:
    """Read one customer: in full when it is within one's reach, masked when it is public.

    Raises:
        NotFound: It is another's, or there is none.
        NotPermitted: Without ``customer:view``.
    """
    by.need("customer:view")
    with crm.unit_of_work(read_only=True) as uow:
        known = record_number(customer_id) is not None
        customer = uow.customers.get(customer_id) if known else None
        if customer is None or customer.archived_at is not None:
            raise NotFound(what="客户", id=quoted(customer_id))
        return seen(crm, uow, customer, by)


def customer_to_edit(crm: Crm, customer_id: int, *, by: Principal) -> Customer:
    """Read a customer that one may change, for the form that does.

    Returns:
        The customer, as `get_customer` would give it.

    Raises:
        NotFound: `edit_customer` would never save it: it is not theirs, or there is none.
        NotPermitted: Without ``customer:view`` or ``customer:edit``.
    """
    by.need("customer:view")
    by.need("customer:edit")
    with crm.unit_of_work(read_only=True) as uow:
        known = record_number(customer_id) is not None
        customer = uow.customers.get(customer_id) if known else None
        there = customer is not None and customer.archived_at is None
        if customer is None or not there or not _may_edit(uow, customer, by, crm.today()):
            raise NotFound(what="客户", id=quoted(customer_id))
        return seen(crm, uow, customer, by)


def opens_to_edit(customer: Customer, *, today: date, by: Principal) -> bool:
    """Whether `customer_to_edit` gives a customer that somebody sees, as a list asks of its rows.

    Args:
        customer: As `get_customer` or `list_customers` gives it.
        today: The local day.
        by: Who asks; whether the principal may change customers at all is not looked at.
    """
    keeps = is_public(customer, today) and by.may("customer:assign")
    return keeps or is_kept(customer, today)


def _may_edit(uow: UnitOfWork, customer: Customer, by: Principal, today: date) -> bool:
    """Whether somebody may change a customer: whoever holds it, and who keeps the pool in order."""
    if is_kept(customer, today):
        return holds(uow, customer, by, today)
    return opens_to_edit(customer, today=today, by=by)


def seen(crm: Crm, uow: UnitOfWork, customer: Customer, by: Principal) -> Customer:
    """Give a customer as somebody may see it.

    Raises:
        NotFound: It is not theirs to see at all.
    """
    today = crm.today()
    if holds(uow, customer, by, today):
        return customer
    public = is_public(customer, today)
    customer = shown(customer, today)
    if by.scope is Scope.ALL:
        return _unless_public(crm, customer, public, by)
    if public and opens_public(customer, by):
        return _masked(crm, customer)
    if kept_of_nobody(customer) and by.may("customer:lock"):
        return _masked(crm, customer)
    raise NotFound(what="客户", id=customer.id)


def seen_by_who_changed(crm: Crm, uow: UnitOfWork, customer: Customer, by: Principal) -> Customer:
    """Give a customer to somebody who may change it, and so at least knows that it is there."""
    try:
        return seen(crm, uow, customer, by)
    except NotFound:
        return _masked(crm, shown(customer, crm.today()))


def _masked(crm: Crm, customer: Customer) -> Customer:
    return masked(customer, crm.settings.hidden_in_pool)


def _unless_public(crm: Crm, customer: Customer, public: bool, by: Principal) -> Customer:
    """Hide what the pool hides of a public customer from all but those who give customers away."""
    return _masked(crm, customer) if public and not by.reads_hidden else customer


def hidden_fields(crm: Crm, *, by: Principal) -> frozenset[str]:
    """Name the fields by which one may not ask for customers, as some are shown without them.

    Whoever sees all, but not what the pool hides, could find it out so. Who sees nobody in the
    pool but the own department's customers asks by whatever field there is.

    Raises:
        NotPermitted: Without ``customer:view``.
    """
    by.need("customer:view")
    masks = by.scope is Scope.ALL and not by.reads_hidden
    return crm.settings.hidden_in_pool if masks else frozenset()


def list_customers(crm: Crm, query: Query | None = None, *, by: Principal) -> Page[Customer]:
    """Read one page of the customers within one's reach, the newest first.

    Raises:
        AskedTooOften: Too many contacts were searched for in the pool.
        Invalid: The query names what is not there, or one of `hidden_fields`.
        NotPermitted: Without ``customer:view``.
    """
    by.need("customer:view")
    refuse_hidden(hidden_fields(crm, by=by), query)
    _count_search(crm, query, by)
    with crm.unit_of_work(read_only=True) as uow:
        today = crm.today()
        page = uow.customers.page(query or Query(), reach_of(by), today, **_limits(crm, by))
        items = [_unless_public(crm, c, is_public(c, today), by) for c in page.items]
        return Page(items=items, next=page.next)


def tally_customers(
    crm: Crm, query: Query | None = None, facets: Sequence[str] = (), *, most: int = MOST,
    by: Principal,
) -> Tally:  # fmt: skip
    """Count the customers that `list_customers` would give, and the values of some fields of them.

    Args:
        crm: The CRM.
        query: What is asked; its limit and its page mark do not matter.
        facets: Fields whose values are counted: choices, flags, references.
        most: So many are counted at most; of more the tally says that there are more.
        by: Who asks; needs ``customer:view``.

    Raises:
        AskedTooOften: Too many contacts were searched for in the pool.
        Invalid: The query or a facet names what is not there, or one of `hidden_fields`.
        NotPermitted: Without the permission.
    """
    by.need("customer:view")
    refuse_hidden(hidden_fields(crm, by=by), query, facets)
    _count_search(crm, query, by)
    with crm.unit_of_work(read_only=True) as uow:
        return uow.customers.tally(query or Query(), reach_of(by), crm.today(), facets, most=most,
                                   **_limits(crm, by))  # fmt: skip


def _count_search(crm: Crm, query: Query | None, by: Principal) -> None:
    """Count who finds masked customers in the list: whoever sees all, but not the contacts."""
    if by.scope is Scope.ALL:
        count_search(crm, query, by)


def _limits(crm: Crm, by: Principal) -> dict[str, Any]:
    """Tell what else limits whom somebody sees in the list, and so what is counted of it."""
    masks = () if by.reads_hidden else crm.settings.hidden_in_pool
    return {"pooled_too": False, "masks": masks}


def edit_customer(
    crm: Crm, customer_id: int, values: Mapping[str, Any], *, version: int, by: Principal
) -> Customer:
    """Change what is known about a customer; ownership changes by its own use cases.

    Args:
        crm: The CRM.
        customer_id: Which.
        values: What was typed, for the fields that shall change.
        version: The version that was read.
        by: Who asks; needs ``customer:edit`` and the customer within reach. Who sees a public one
            masked does not change what the mask hides.

    Returns:
        The customer, as `get_customer` would give it.

    Raises:
        AskedTooOften: Too many contacts of others were tried within an hour.
        Invalid: With every problem.
        Duplicate: A contact is another customer's.
        EditConflict: Somebody changed it since.
        NotFound: It is not theirs, or a reference points to nothing, or to a customer that is not
            theirs to see.
        NotPermitted: Without the permission.
    """
    by.need("customer:edit")
    values = _but_as_shown(crm, customer_id, values, by)
    found, problems = parse_fields(Customer, values, partial=True)
    found.pop("version", None)
    _, problem = read_field(specs(Customer)["version"], version)
    problems += [] if problem is None else [problem]
    if problems:
        raise Invalid(problems)
    with counting_refusals(crm, by), crm.unit_of_work() as uow:
        rules = policy(crm, uow)
        before = locked_customer(uow, customer_id)
        now = crm.now()
        today = crm.day(now)
        if not _may_edit(uow, before, by, today):
            raise NotFound(what="客户", id=customer_id)
        if before.version != version:
            raise EditConflict(what="客户", seen=version, version=before.version)
        view = seen_by_who_changed(crm, uow, before, by)
        _refuse_masked(found, before, view, crm.settings.hidden_in_pool)
        after = changed(before, **found)
        if after.referred_by_id != before.referred_by_id:
            _refuse_unseen(crm, uow, after.referred_by_id, by)
        # Who lost a customer at midnight has lost it, even if another rule applies from now on.
        if not is_public(before, today):
            after = dated(after, rules)
        if not any(getattr(after, n) for n in CONTACTS):
            raise Invalid([no_contact()])
        saved = uow.customers.save(after)
        uow.ownership.redate([saved])
        audit(uow, by, now, "update", "Customer", customer_id, before, saved)
        return seen_by_who_changed(crm, uow, saved, by)


def _but_as_shown(
    crm: Crm, customer_id: int, values: Mapping[str, Any], by: Principal
) -> Mapping[str, Any]:
    """Leave out contacts that come back masked as they were shown: that is no change.

    Before they are read, for no number has stars in it.
    """
    if not isinstance(values, Mapping):
        return values
    stars = [n for n in CONTACTS if isinstance(v := values.get(n), str) and "*" in v]
    if not stars or record_number(customer_id) is None:
        return values
    with crm.unit_of_work(read_only=True) as uow:
        customer = uow.customers.get(customer_id)
        if customer is None or not _may_edit(uow, customer, by, crm.today()):
            return values
        view = seen_by_who_changed(crm, uow, customer, by)
    return {n: v for n, v in values.items() if n not in stars or v != getattr(view, n)}


def _refuse_masked(
    typed: dict[str, Any], before: Customer, view: Customer, hidden: frozenset[str]
) -> None:
    """Refuse to overwrite what is hidden; what comes back as it was shown stays as it is.

    Whether it is right is not looked at: whoever guesses must not learn it from the answer.

    Raises:
        Invalid: With every such field.
    """
    if all(getattr(view, n) == getattr(before, n) for n in hidden):
        return
    # Of a contact the mask tells that there is none; of all else it tells nothing.
    contacts = {n for n in hidden if specs(Customer)[n].contact and getattr(before, n) is None}
    hides = hidden & typed.keys() - contacts
    problems = [
        FieldError(n, "hidden_field", None, f"客户在公海中，“{specs(Customer)[n].zh}”不能修改",
                   f"the customer is in the pool, its {n} is hidden and cannot be changed")
        for n in sorted(hides) if typed.pop(n) != getattr(view, n)
    ]  # fmt: skip
    if problems:
        raise Invalid(problems)
