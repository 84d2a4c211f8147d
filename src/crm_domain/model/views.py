"""What people keep of the lists that they look at."""

from __future__ import annotations

from datetime import datetime

from crm_domain.model.fields import (
    Choice,
    choice,
    flag,
    json,
    key,
    moment,
    number,
    record,
    reference,
    text,
    version,
)


class Density(Choice):
    """How close the rows of a list stand."""

    COMFORTABLE = "comfortable", "宽松", "comfortable"
    COMPACT = "compact", "紧凑", "compact"


@record("saved_view", "保存的视图", "Saved view", plain=False,
        unique=(("user_id", "list_name", "title"),))  # fmt: skip
class SavedView:
    """A list as somebody filtered and sorted it, under a name."""

    id: int | None = key(default=None)
    user_id: int = reference("用户", "User", "User", guarded=True)
    list_name: str = text("列表", "List", length=60, guarded=True)
    title: str = text("视图名称", "Title", length=60)
    query: str = text("查询条件", "Query", length=4000, default="")
    """What follows the question mark in the list's address."""
    shared: bool = flag("共享", "Shared", default=False, guarded=True)
    created_at: datetime | None = moment("创建时间", "Created", default=None, guarded=True)
    version: int = version(default=1)


@record("list_preference", "列表偏好", "List preference", plain=False,
        unique=(("user_id", "list_name"),))  # fmt: skip
class ListPreference:
    """Which columns of a list somebody sees, in which order, and how close its rows stand."""

    id: int | None = key(default=None)
    user_id: int = reference("用户", "User", "User", guarded=True)
    list_name: str = text("列表", "List", length=60, guarded=True)
    columns: tuple[str, ...] = json("列", "Columns", default=())
    """Names in their order; none is the list's own choice."""
    density: Density = choice("行距", "Density", default=Density.COMFORTABLE)
    page_size: int = number("每页行数", "Rows of a page", default=50)
