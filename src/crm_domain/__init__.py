"""The CRM of a training school, without any framework: records, rules, use cases and ports."""

from crm_domain.errors import CrmError, FieldError
from crm_domain.ports import Crm, Page, Query, Settings
from crm_domain.rules.access import SYSTEM, Principal

__version__ = "0.1.0"
__all__ = ["SYSTEM", "Crm", "CrmError", "FieldError", "Page", "Principal", "Query", "Settings"]
