from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("fastapi", reason="the server extra is not installed")
pytest.importorskip("prometheus_client", reason="the server extra is not installed")

from running import serving


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own."""
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
async def client(home: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serving() as client:
        yield client


@pytest.fixture(autouse=True)
def no_indexing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents wait to be read; `test_documents.py` reads them."""
    from cvi.server.jobs.document_job import DocumentJob

    monkeypatch.setattr(DocumentJob, "at_once", 0)
