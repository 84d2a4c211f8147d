"""The records of a training school, each field described once."""

from crm_domain.model.access import Menu, Permission, PermissionGroup, Role, Scope, User
from crm_domain.model.catalogue import Cohort, Course
from crm_domain.model.fields import RECORDS, Choice, Spec, about, specs
from crm_domain.model.office import (
    AuditEntry,
    Event,
    HappeningKind,
    ImportProblem,
    ImportRun,
    ImportStatus,
    Notice,
    NoticePreference,
    NoticeStatus,
)
from crm_domain.model.organisation import Department, Employee, School
from crm_domain.model.sales import (
    INCOME,
    LOST,
    PROMISING,
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
    Stage,
    WorkStatus,
)
from crm_domain.model.schedule import ScheduledJob
from crm_domain.model.sign_ins import ResetLink, SignIn
from crm_domain.model.teaching import (
    Attendance,
    Enrolment,
    EnrolmentStatus,
    Lesson,
    Score,
    Student,
    StudyRecord,
)
from crm_domain.model.views import Density, ListPreference, SavedView

__all__ = [
    "INCOME", "LOST", "PROMISING", "RECORDS", "Assignment", "AssignmentMethod", "AssignmentStatus",
    "Attendance", "AuditEntry", "Choice", "Cohort", "Course", "Customer", "CustomerStatus",
    "Density", "Department", "Education", "Employee", "Enrolment", "EnrolmentStatus", "Event",
    "Experience", "FollowUp", "FollowUpChannel", "Gender", "HappeningKind", "Holiday",
    "ImportProblem", "ImportRun", "ImportStatus", "Intention", "Lesson", "ListPreference", "Menu",
    "Notice", "NoticePreference", "NoticeStatus", "Payment", "PaymentKind", "PaymentMethod",
    "PaymentStatus", "Permission", "PermissionGroup", "PoolRule", "ResetLink", "Role",
    "RotationEntry", "SavedView", "ScheduledJob", "School", "Scope", "Score", "SignIn", "Source",
    "Spec", "Stage", "Student", "StudyRecord", "User", "WorkStatus", "about", "specs",
]  # fmt: skip
