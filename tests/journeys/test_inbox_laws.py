"""Messages in the program itself (站内消息): there at once, one's own, read once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest

from crm_adapters.notifiers.inapp import InAppNotifier
from crm_domain import SYSTEM, Crm
from crm_domain.errors import Invalid, NoEmployee
from crm_domain.model import NoticeStatus
from crm_domain.ports import Query, Settings
from crm_domain.rules.access import Principal
from crm_domain.usecases import assignment, inbox, notices
from make import World


@pytest.fixture
def school(world: World) -> World:
    """Give a school whose notices go to the inbox and to the console."""
    world.crm = attrs.evolve(world.crm, settings=Settings())
    return world


def subjects(crm: Crm, by: Principal, **only: Any) -> list[str]:
    """Read what stands in somebody's inbox."""
    return [n.body.partition("（")[0] for n in inbox.list_messages(crm, by=by, **only)]


def test_a_message_is_there_as_soon_as_what_it_tells(school: World) -> None:
    """Whether or not anybody delivers anything; sending has nothing more to do."""
    school.customer(school.a, name="一")
    school.customer(school.a, name="二")
    assert len(subjects(school.crm, school.a)) == 2
    assert inbox.count_unread(school.crm, by=school.a) == 2
    off = attrs.evolve(school.crm, notifiers={"inapp": InAppNotifier()})
    assert notices.deliver_due(off, by=SYSTEM) == notices.Delivery(sent=2, dead=2)
    assert inbox.count_unread(school.crm, by=school.a) == 2
    states = {(n.channel, n.status) for n in inbox.list_messages(school.crm, by=school.a)}
    assert states == {("inapp", NoticeStatus.SENT)}


def test_everybody_reads_and_marks_their_own_only(school: World) -> None:
    """The numbers of others' messages do nothing, and say nothing."""
    school.customer(school.a)
    school.customer(school.b)
    [theirs] = inbox.list_messages(school.crm, by=school.b)
    assert inbox.mark_read(school.crm, [theirs.id or 0, 10**9], by=school.a) == 0
    assert inbox.count_unread(school.crm, by=school.b) == 1
    assert len(inbox.list_messages(school.crm, by=school.manager)) == 0
    wished = Query(where={"recipient_id": school.b.employee_id})
    assert len(inbox.list_messages(school.crm, wished, by=school.a)) == 0


def test_a_message_is_read_once(school: World) -> None:
    """The moment of the first reading stays; all at once are marked by None."""
    for _ in range(3):
        school.customer(school.a)
    newest, *_ = inbox.list_messages(school.crm, by=school.a)
    another = attrs.evolve(school.a, acting_id=school.manager.user_id)
    assert inbox.mark_read(school.crm, None, by=another) == 0
    assert inbox.mark_read(school.crm, [newest.id or 0], by=school.a) == 1
    first = school.clock()
    school.clock.advance(timedelta(hours=1))
    assert inbox.mark_read(school.crm, [newest.id or 0], by=school.a) == 0
    assert inbox.mark_read(school.crm, [], by=school.a) == 0
    assert len(inbox.list_messages(school.crm, unread_only=True, by=school.a)) == 2
    assert inbox.mark_read(school.crm, None, by=school.a) == 2
    read = [n.read_at for n in inbox.list_messages(school.crm, by=school.a)]
    assert read == [first, school.clock(), school.clock()]
    assert inbox.count_unread(school.crm, by=school.a) == 0


def test_messages_stay_when_the_customer_goes(school: World) -> None:
    """What was told was told; a transfer adds a message to both."""
    customer = school.customer(school.a)
    assignment.transfer_customer(
        school.crm, customer.id or 0, school.b.employee_id or 0, by=school.manager
    )
    assert len(inbox.list_messages(school.crm, by=school.a)) == 2
    assert len(inbox.list_messages(school.crm, by=school.b)) == 1


def test_pages_go_on_where_the_one_before_ended(school: World) -> None:
    """The newest first."""
    for name in "一二三":
        school.customer(school.a, name=name)
    first = inbox.list_messages(school.crm, Query(limit=2), by=school.a)
    rest = inbox.list_messages(school.crm, Query(limit=2, after=first.next), by=school.a)
    assert [n.body[0] for n in (*first, *rest)] == ["三", "二", "一"]
    assert rest.next is None


def test_whoever_is_no_employee_has_no_messages(school: World) -> None:
    """The program itself neither."""
    for act in (
        lambda: inbox.list_messages(school.crm, by=SYSTEM),
        lambda: inbox.count_unread(school.crm, by=SYSTEM),
        lambda: inbox.mark_read(school.crm, None, by=SYSTEM),
    ):
        with pytest.raises(NoEmployee):
            act()


def test_what_is_no_number_is_refused_with_all_that_is_wrong(school: World) -> None:
    """Nothing is marked then."""
    school.customer(school.a)
    wrong: Any = [1, "x", True, -1, 2**70]
    with pytest.raises(Invalid) as caught:
        inbox.mark_read(school.crm, wrong, by=school.a)
    assert [p.value for p in caught.value.problems] == wrong[1:]
    assert inbox.count_unread(school.crm, by=school.a) == 1
