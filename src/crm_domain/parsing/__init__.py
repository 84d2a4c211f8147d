"""What people type becomes field values, the same way for forms, sheets and the console."""

from crm_domain.parsing.contacts import CONTACTS, phone_number, qq_number, wechat_id
from crm_domain.parsing.fields import field_value, parse_fields, read_field
from crm_domain.parsing.values import (
    CHINA,
    choice_value,
    day_value,
    moment_value,
    record_number,
)
from crm_domain.parsing.words import Unreadable, keep_text, kept, quoted, storable, tidy

__all__ = [
    "CHINA", "CONTACTS", "Unreadable", "choice_value", "day_value", "field_value", "keep_text",
    "kept", "moment_value", "parse_fields", "phone_number", "qq_number", "quoted", "read_field",
    "record_number", "storable", "tidy", "wechat_id",
]  # fmt: skip
