"""Lists as files: all rows that match, written as people read them."""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import Any, Literal

from crm_domain.errors import ExportsRunning
from crm_domain.ports import Query
from crm_domain.usecases import exports
from crm_web.address import Address
from crm_web.answers import Answer, Download
from crm_web.context import Context
from crm_web.look import Look
from crm_web.resource import Resource
from crm_web.rows import cell, pages, titles_of

TYPES: dict[Literal["csv", "xlsx"], str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def export(resource: Resource, form: Literal["csv", "xlsx"], c: Context) -> Answer:
    """Write exactly what is filtered into a file, all pages of it."""
    here = Address.read(resource.path, c.request.url.query)
    query = here.query(resource, c)
    resource = resource.for_reader(c)
    if not c.site.exporting.acquire(blocking=False):
        raise ExportsRunning
    # On the disk: a million rows fit no memory twice.
    file = TemporaryFile()  # noqa: SIM115 - it is closed by whoever sends it
    try:
        exports.export_rows(
            c.crm, resource.record.__name__, resource.label(c.language),
            [column.label(c.language) for column in resource.columns],
            _cells(resource, c, query), query, file, form=form, by=c.by,
            needs=resource.export or "",
            text=[x.label(c.language) for x in resource.columns if x.kind in ("phone", "copy")],
        )  # fmt: skip
    except BaseException:
        file.close()
        raise
    finally:
        c.site.exporting.release()
    name = f"{resource.label(c.language)}-{c.crm.today()}.{form}"
    return Download(content=file, name=name, type=TYPES[form])


def _cells(resource: Resource, c: Context, query: Query) -> Iterator[list[Any]]:
    look = Look(c)
    for page in pages(resource, c, query):
        titles = titles_of(c, resource.columns, page)
        yield from ([cell(look, x, row, titles) for x in resource.columns] for row in page)
