"""What the core needs from outside, and what it asks there."""

from crm_domain.ports.channels import Pauses
from crm_domain.ports.crm import (
    Clock,
    Crm,
    JobQueue,
    Loaded,
    Notifier,
    PasswordHasher,
)
from crm_domain.ports.customers import TAB, Customers, MyCustomer
from crm_domain.ports.falling_due import Ended, Expiring, FallingDue, Losing, Released
from crm_domain.ports.forms import Forms, Sent
from crm_domain.ports.imports import Imports
from crm_domain.ports.outbox import Backlog, Notices
from crm_domain.ports.ownership import Closing, NewAssignment, Ownership, Standing
from crm_domain.ports.query import MOST, Page, Query, Tally
from crm_domain.ports.reach import Reach
from crm_domain.ports.schedule import Cron, Schedule
from crm_domain.ports.settings import Settings
from crm_domain.ports.sheets import Cell, Row, Sheet, SheetReader, SheetWriter, Table
from crm_domain.ports.sign_ins import Resumed, SignIns
from crm_domain.ports.storage import (
    HAS_PASSWORD,
    Checked,
    Directory,
    Records,
    Storage,
    UnitOfWork,
)
from crm_domain.ports.turns import Dating, Mate, PoolRules, Roster, Turns
from crm_domain.ports.work import (
    STAGE,
    TOLD_OTHERWISE,
    Counted,
    Ends,
    Happening,
    Now,
    Period,
    Work,
)

__all__ = [
    "HAS_PASSWORD", "MOST", "STAGE", "TAB", "TOLD_OTHERWISE", "Backlog", "Cell", "Checked",
    "Clock", "Closing", "Counted", "Crm", "Cron", "Customers", "Dating", "Directory", "Ended",
    "Ends", "Expiring", "FallingDue", "Forms", "Happening", "Imports", "JobQueue", "Loaded",
    "Losing", "Mate", "MyCustomer", "NewAssignment", "Notices", "Notifier", "Now", "Ownership",
    "Page", "PasswordHasher", "Pauses", "Period", "PoolRules", "Query", "Reach", "Records",
    "Released", "Resumed", "Roster", "Row", "Schedule", "Sent", "Settings", "Sheet",
    "SheetReader", "SheetWriter", "SignIns", "Standing", "Storage", "Table", "Tally", "Turns",
    "UnitOfWork", "Work",
]  # fmt: skip
