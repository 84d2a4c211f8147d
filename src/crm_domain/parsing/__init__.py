"""What people type becomes field values, the same way for forms, sheets and the console."""

from crm_domain.parsing.contacts import CONTACTS, phone_number, qq_number, wechat_id
from crm_domain.parsing.fields import field_value, parse_fields, read_record
from crm_domain.parsing.values import CHINA, choice_value, day_value, moment_value
from crm_domain.parsing.words import Unreadable, keep_text, tidy

__all__ = [
    "CHINA", "CONTACTS", "Unreadable", "choice_value", "day_value", "field_value", "keep_text",
    "moment_value", "parse_fields", "phone_number", "qq_number", "read_record", "tidy", "wechat_id",
]  # fmt: skip
