"""The records of a training school, each field described once."""

from crm_domain.model.access import Menu, Permission, PermissionGroup, Role, Scope, User
from crm_domain.model.catalogue import Cohort, Course
from crm_domain.model.fields import RECORDS, Choice, Spec, about, specs
from crm_domain.model.office import (
    AuditEntry,
    Event,
    ImportProblem,
    ImportRun,
    ImportStatus,
    Notice,
    NoticePreference,
    NoticeStatus,
)
from crm_domain.model.organisation import Department, Employee, School
from crm_domain.model.sales import (
    Assignment,
    AssignmentMethod,
    AssignmentStatus,
    Customer,
    CustomerStatus,
    Education,
    Experience,
    FollowUp,
    FollowUpChannel,
    Gender,
    Holiday,
    Intention,
    Payment,
    PaymentKind,
    PaymentMethod,
    PaymentStatus,
    PoolRule,
    RotationEntry,
    Source,
    WorkStatus,
)
from crm_domain.model.schedule import ScheduledJob
from crm_domain.model.teaching import (
    Attendance,
    Enrolment,
    EnrolmentStatus,
    Lesson,
    Score,
    Student,
    StudyRecord,
)

__all__ = [ "RECORDS", "Assignment", "AssignmentMethod", "AssignmentStatus", "Attendance",
    "AuditEntry", "Choice", "Cohort", "Course", "Customer", "CustomerStatus", "Department",
    "Education", "Employee", "Enrolment", "EnrolmentStatus", "Event", "Experience", "FollowUp",
    "FollowUpChannel", "Gender", "Holiday", "ImportProblem", "ImportRun", "ImportStatus",
    "Intention", "Lesson", "Menu", "Notice", "NoticePreference", "NoticeStatus", "Payment",
    "PaymentKind", "PaymentMethod", "PaymentStatus", "Permission", "PermissionGroup", "PoolRule",
    "Role", "RotationEntry", "ScheduledJob", "School", "Scope", "Score", "Source", "Spec",
    "Student", "StudyRecord", "User", "WorkStatus", "about", "specs",
]  # fmt: skip
