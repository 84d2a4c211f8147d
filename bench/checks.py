"""What must be true after every run, ours and the hand-written one alike."""

from __future__ import annotations

from .databases import Database
from .load import World
from .measure import expect


def check_turns(world: World, database: Database) -> None:
    """Every turn of the rotation was used once, none was left out, each by whom it belonged to.

    Raises:
        Wrong: With what is not so.
    """
    length = len(world.ring)
    [(count, first, last)] = database.ask(
        f"SELECT count(*), min(cycle * {length} + position), max(cycle * {length} + position)"
        " FROM assignment WHERE cycle IS NOT NULL"
    )
    expect(first == length, f"the first turn is {first}, not {length}")
    expect(last - first + 1 == count, f"{count} turns used between {first} and {last}")
    [(cursor,)] = database.ask(f"SELECT cycle * {length} + position FROM turn_cursor")
    expect(cursor == last + 1, f"the cursor stands at {cursor} after turn {last}")
    used = dict(
        database.ask(
            "SELECT position, min(consultant_id) FROM assignment WHERE cycle IS NOT NULL"
            " GROUP BY position HAVING min(consultant_id) = max(consultant_id)"
        )
    )
    wrong = [p for p, who in enumerate(world.ring) if used.get(p, who) != who]
    expect(not wrong, f"the turns {wrong[:5]} went to somebody else")
    expect(count < length or len(used) == length, "one turn of the cycle went to several people")


def check_owners(database: Database) -> None:
    """Every owner has the one open assignment, and no open assignment lacks its owner.

    Raises:
        Wrong: With what is not so.
    """
    [(owned,)] = database.ask("SELECT count(*) FROM ownership WHERE owner_id IS NOT NULL")
    [(running,)] = database.ask("SELECT count(*) FROM assignment WHERE status = 1")
    [(both,)] = database.ask(
        "SELECT count(*) FROM ownership o JOIN assignment a ON a.id = o.assignment_id"
        " AND a.customer_id = o.customer_id AND a.consultant_id = o.owner_id AND a.status = 1"
    )
    expect(owned == running == both, f"{owned} owners, {running} open assignments, {both} agree")
