"""What the core needs from outside, and what it asks there."""

from crm_domain.ports.crm import (
    Clock,
    Crm,
    JobQueue,
    Loaded,
    Notifier,
    PasswordHasher,
    Settings,
)
from crm_domain.ports.customers import (
    Closing,
    Customers,
    Ended,
    MyCustomer,
    NewAssignment,
    Released,
    Standing,
)
from crm_domain.ports.outbox import Imports, Notices
from crm_domain.ports.query import Page, Query
from crm_domain.ports.reach import Reach
from crm_domain.ports.schedule import Cron, Schedule
from crm_domain.ports.sheets import Cell, Row, Sheet, SheetReader, SheetWriter, Table
from crm_domain.ports.storage import Checked, Directory, Records, Storage, UnitOfWork
from crm_domain.ports.turns import Dating, Mate, PoolRules, Roster, Turns

__all__ = [
    "Cell", "Checked", "Clock", "Closing", "Crm", "Cron", "Customers", "Dating", "Directory",
    "Ended", "Imports", "JobQueue", "Loaded", "Mate", "MyCustomer", "NewAssignment", "Notices",
    "Notifier", "Page", "PasswordHasher", "PoolRules", "Query", "Reach", "Records", "Released",
    "Roster", "Row", "Schedule", "Settings", "Sheet", "SheetReader", "SheetWriter", "Standing",
    "Storage", "Table", "Turns", "UnitOfWork",
]  # fmt: skip
