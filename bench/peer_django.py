"""Django admin over the same rows, as a Django developer would write it, with its best settings.

One wide table with an index on each filter, raw numbers of rows unasked
(``show_full_result_count``), owners joined (``list_select_related``), connections kept. Run as a
program it makes its tables beside ours, fills them and prints the key of an administrator's
session;
``gunicorn bench.peer_django:application`` serves it.
"""

from __future__ import annotations

import os
from datetime import date
from typing import Any

import django
from django.conf import settings
from django.contrib import admin
from django.core.wsgi import get_wsgi_application
from psycopg.conninfo import conninfo_to_dict

from .data import EDUCATIONS, EXPERIENCES, SOURCES, TODAY

_GIVEN = conninfo_to_dict(os.environ["BENCH_DATABASE"])
settings.configure(
    SECRET_KEY="bench", DEBUG=False, ALLOWED_HOSTS=["*"], ROOT_URLCONF="bench.peer_django",
    USE_TZ=True, TIME_ZONE="Asia/Shanghai", LANGUAGE_CODE="zh-hans", STATIC_URL="/static/",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                    "django.contrib.sessions", "django.contrib.messages",
                    "django.contrib.staticfiles"],
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware",
                "django.contrib.sessions.middleware.SessionMiddleware",
                "django.middleware.common.CommonMiddleware",
                "django.middleware.csrf.CsrfViewMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware",
                "django.middleware.clickjacking.XFrameOptionsMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
                "OPTIONS": {"context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages"]}}],
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": _GIVEN["dbname"],
        "USER": _GIVEN.get("user", ""), "PASSWORD": _GIVEN.get("password", ""),
        "HOST": _GIVEN.get("host", ""), "PORT": str(_GIVEN.get("port", "")), "CONN_MAX_AGE": None,
        # Beside ours: some of our tables have names that Django's have, too.
        "OPTIONS": {"options": "-c search_path=django,public"}}},
)  # fmt: skip
django.setup()

from django.db import connection, models  # noqa: E402 - only now there are settings
from django.urls import path  # noqa: E402

FILL = """
    CREATE TABLE django.client AS
    SELECT c.id, c.name, replace(c.pinyin, ' ', '') AS pinyin, c.phone, c.qq, c.wechat, c.gender,
           c.education, c.experience, c.source, c.consulted_on, c.created_at, o.owner_id,
           o.received_at, o.last_contacted_at, o.next_contact_at, o.intention, o.status, o.locked,
           o.due_on
    FROM customer c JOIN ownership o ON o.customer_id = c.id ORDER BY c.id
"""
INDEXED = ("phone", "education", "source", "owner_id", "intention", "status", "locked", "due_on",
           "created_at")  # fmt: skip


def _same(values: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(v, v) for v in values]


class Employee(models.Model):
    """A consultant."""

    name = models.CharField(max_length=60)

    class Meta:
        app_label, managed, db_table = "auth", False, "employee"

    def __str__(self) -> str:
        return self.name


class Client(models.Model):
    """A customer."""

    name = models.CharField("姓名", max_length=60)
    pinyin = models.CharField(max_length=200)
    phone = models.CharField("手机", max_length=20, null=True, db_index=True)
    qq = models.CharField(max_length=20, null=True)
    wechat = models.CharField("微信", max_length=40, null=True)
    gender = models.CharField(max_length=10, choices=_same(("male", "female")))
    education = models.CharField(max_length=30, choices=_same(EDUCATIONS), db_index=True)
    experience = models.CharField(max_length=30, choices=_same(EXPERIENCES))
    source = models.CharField("来源", max_length=30, choices=_same(SOURCES), db_index=True)
    consulted_on = models.DateField()
    created_at = models.DateTimeField(db_index=True)
    owner = models.ForeignKey(Employee, models.PROTECT, null=True, verbose_name="所属顾问")
    received_at = models.DateTimeField(null=True)
    last_contacted_at = models.DateTimeField("最后跟进", null=True)
    next_contact_at = models.DateTimeField("下次联系", null=True)
    intention = models.CharField("意向", max_length=30, null=True, db_index=True,
                                 choices=_same(("within_1_month", "undecided")))  # fmt: skip
    status = models.CharField("状态", max_length=20, db_index=True,
                              choices=_same(("enrolled", "not_enrolled")))  # fmt: skip
    locked = models.BooleanField(db_index=True)
    due_on = models.DateField("公海日期", db_index=True)

    class Meta:
        app_label, managed, db_table, ordering = "auth", False, "client", ("-id",)

    def __str__(self) -> str:
        return self.name


class InPool(admin.SimpleListFilter):
    """Whether a customer is public."""

    title, parameter_name = "公海", "public"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        """Give the choices."""
        return [("yes", "是"), ("no", "否")]

    def queryset(self, request: Any, queryset: Any) -> Any:
        """Choose them."""
        if self.value() == "yes":
            return queryset.filter(due_on__lte=TODAY)
        return queryset.filter(due_on__gt=TODAY) if self.value() == "no" else queryset


class ClientAdmin(admin.ModelAdmin):
    """The list."""

    list_display = ("name", "phone", "wechat", "owner", "status", "intention", "source", "until",
                    "last_contacted_at", "next_contact_at")  # fmt: skip
    list_filter = ("status", "intention", "source", "owner", "education", "locked", InPool,
                   "created_at")  # fmt: skip
    search_fields = ("name", "pinyin", "phone", "qq", "wechat")
    list_select_related = ("owner",)
    list_per_page = 50
    show_full_result_count = False

    @admin.display(description="公海日期", ordering="due_on")
    def until(self, client: Client) -> date:
        """Show the day as it is."""
        return client.due_on


site = admin.AdminSite()
site.register(Client, ClientAdmin)
urlpatterns = [path("admin/", site.urls)]
application = get_wsgi_application()


def fill() -> str:
    """Make Django's tables and the clients; give the key of a session."""
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore
    from django.core.management import call_command

    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA django")
        call_command("migrate", verbosity=0)
        cursor.execute(FILL)
        cursor.execute("ALTER TABLE django.client ADD PRIMARY KEY (id)")
        for name in INDEXED:
            cursor.execute(f"CREATE INDEX ON django.client ({name})")
        cursor.execute("VACUUM ANALYZE django.client")
    user = User.objects.create_superuser("admin", password="bench")
    session = SessionStore()
    session["_auth_user_id"] = str(user.pk)
    session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
    session["_auth_user_hash"] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


if __name__ == "__main__":
    print(fill())
