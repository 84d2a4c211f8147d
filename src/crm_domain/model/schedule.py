"""What runs by itself, and how its last run went."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from crm_domain.model.fields import json, key, moment, number, record, text


@record("scheduled_job", "定时任务", "Scheduled job", plain=False)
class ScheduledJob:
    """A job of the schedule, with its latest run: one row for each, written by whoever runs it."""

    id: int | None = key(default=None)
    name: str = text("任务", "Job", length=60, unique=True)
    slot: datetime = moment("计划时间", "Slot")
    """The moment of the schedule that the latest run is for."""
    leased_until: datetime | None = moment("租约至", "Leased until", default=None)
    """Until when nobody else may run it; None when the latest run has ended."""
    fence: int = number("轮次", "Fence", default=0)
    """Counts the runs that were begun, so that one that lost its lease cannot end another's."""
    started_at: datetime = moment("开始时间", "Started")
    finished_at: datetime | None = moment("完成时间", "Finished", default=None)
    result: dict[str, Any] | None = json("结果", "Result", default=None)
    """What was done, as numbers by name."""
    error: str | None = text("错误", "Error", length=500, default=None)
    succeeded_at: datetime | None = moment("上次成功", "Last success", default=None)
    """When a run last ended without an error, whatever came after it."""
