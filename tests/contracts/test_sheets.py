"""Our reader and writer of sheets keep the contract."""

from __future__ import annotations

import pytest

from crm_adapters.sheets import SafeSheetReader, SheetWriterAdapter
from crm_domain.ports.sheets import SheetReader, SheetWriter
from crm_domain.testing.sheets import SheetContract


class TestSheets(SheetContract):
    @pytest.fixture
    def reader(self) -> SheetReader:
        return SafeSheetReader()

    @pytest.fixture
    def writer(self) -> SheetWriter:
        return SheetWriterAdapter()
