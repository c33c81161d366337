"""Every format is read with its structure; whatever is wrong with a file is told in one message."""

from __future__ import annotations

import asyncio
import os
import zipfile
from pathlib import Path

import pytest

from cvi.bench.knowledge.question_set import load_sources, write_files
from cvi.knowledge.reading.blocks import Block, DocumentError
from cvi.knowledge.reading.formats import kind_of
from cvi.knowledge.reading.reader import read_file


def read(path: Path, **limits) -> list[Block]:
    return asyncio.run(read_file(path, **limits))


def fault(path: Path, **limits) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read(path, **limits)
    assert caught.value.message.count("\n") == 0
    return caught.value


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("reportlab")
    folder = tmp_path_factory.mktemp("documents")
    write_files(load_sources("graded"), folder)
    return folder


def test_pdf_keeps_pages_headings_and_tables(documents: Path) -> None:
    blocks = read(documents / "travel_insurance.pdf")
    assert Block("Meridian Travel Insurance, policy conditions", 1, 1) == blocks[0]
    headings = {block.text: block for block in blocks if block.heading}
    assert headings["6 Excess"].page == 2 and headings["8 Sports"].page == 3
    assert any(block.text.startswith("In each case the insured person bears") for block in blocks)
    rows = [block for block in blocks if block.keep]
    assert (
        rows[1].text
        == "benefit: annual premium, family; Basic: 71 euros; Plus: 109 euros; Premium: 165 euros"
    )
    assert not any("rental car excess" in block.text for block in blocks if not block.keep)


@pytest.mark.parametrize(
    ("name", "heading", "text", "page"),
    [
        ("gifts_policy.docx", "4.3 Giving", "Public officials receive nothing", None),
        ("bike_rental.pptx", "Theft and damage", "With theft the customer pays 250", 5),
        ("pool_prices.xlsx", "Courses", "teacher: Anna Holm", 2),
        ("city_library.html", "Late returns", "20 cents are due", None),
        ("lakeside_camping.md", "Gate and quiet", "closed for cars", None),
        ("ryokan.txt", "", "貸切風呂は四十五分", None),
        ("lamps.csv", "", "article: L-400; name: Studio spot", None),
        ("branches.json", "branches", "manager: Lucia Brandt", None),
    ],
)
def test_other_formats(documents: Path, name: str, heading: str, text: str, page: int | None) -> None:
    above = ""
    for block in read(documents / name):
        if block.heading:
            above = block.text
        if text in block.text:
            assert block.page == page
            assert above == heading or not heading
            return
    raise AssertionError(f"{text} was not read")


def test_pages_of_the_web_are_read_without_their_navigation(documents: Path) -> None:
    text = " ".join(block.text for block in read(documents / "city_library.html"))
    assert "Contact" not in text and "All rights reserved" not in text


def test_deeply_nested_html_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep.html"
    path.write_text("<html><body>" + "<div>" * 1500 + "found" + "</div>" * 1500)
    assert "found" in " ".join(block.text for block in read(path))


def test_other_encodings(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-8-sig", "cp1252"):
        path = tmp_path / f"{encoding}.txt"
        path.write_bytes(
            "Öffnungszeiten\n\nDas Café ist täglich außer dienstags geöffnet.\n".encode(encoding)
        )
        assert read(path)[-1].text == "Das Café ist täglich außer dienstags geöffnet."


def test_a_binary_named_txt(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(bytes(range(256)) * 20)
    assert fault(path).code == "file_format_unsupported"


def test_empty_files(tmp_path: Path) -> None:
    for name, content in (
        ("a.txt", b""),
        ("b.md", b" \n\n "),
        ("c.html", b"<html><body></body></html>"),
        ("d.json", b"{}"),
    ):
        (tmp_path / name).write_bytes(content)
        assert fault(tmp_path / name).code == "file_empty", name


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.pdf"
    with path.open("wb") as stream:
        stream.write(b"%PDF-1.7\n")
        stream.truncate(500 << 20)
    error = fault(path)
    assert error.code == "file_size_too_large" and "500 MB" in error.message


def test_a_zip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "bomb.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * (60 << 20))
    assert fault(path).code == "file_size_too_large"


def test_a_damaged_office_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.docx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", b"<not closed")
        archive.writestr("[Content_Types].xml", b"")
    assert fault(path).code == "document_processing_failed"
    path.write_bytes(b"PK\x03\x04 and no more")
    assert fault(path).code == "document_processing_failed"


def test_a_damaged_pdf(tmp_path: Path) -> None:
    path = tmp_path / "broken.pdf"
    path.write_bytes(b"%PDF-1.4\n1 0 obj << /Type /Catalog >> and nothing else")
    assert fault(path).code == "document_processing_failed"


def test_an_encrypted_pdf(tmp_path: Path) -> None:
    pytest.importorskip("reportlab")
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen.canvas import Canvas

    path = tmp_path / "secret.pdf"
    canvas = Canvas(str(path), encrypt=StandardEncryption("open", ownerPassword="owner", strength=128))
    canvas.drawString(100, 700, "nobody reads this")
    canvas.save()
    error = fault(path)
    assert error.code == "document_processing_failed" and "password" in error.message


def test_an_encrypted_office_file(tmp_path: Path) -> None:
    path = tmp_path / "secret.xlsx"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600)
    error = fault(path)
    assert error.code == "file_format_unsupported" and "password" in error.message


def test_a_reader_that_takes_too_long_or_dies(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("hello")
    import sys

    assert (
        "too long"
        in fault(path, command=(sys.executable, "-c", "import time; time.sleep(60)"), within_s=0.5).message
    )
    assert "too much" in fault(path, command=(sys.executable, "-c", "import os; os.abort()")).message


def test_what_is_missing_or_no_file(tmp_path: Path) -> None:
    assert fault(tmp_path / "gone.pdf").code == "file_download_failed"
    assert fault(tmp_path).code == "file_format_unsupported"
    pipe = tmp_path / "endless.txt"
    os.mkfifo(pipe)
    assert fault(pipe).code == "file_format_unsupported"


def test_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr_onnxruntime", reason="text recognition is not installed")
    import cv2
    import numpy as np

    image = np.full((160, 900, 3), 255, np.uint8)
    cv2.putText(image, "Opening hours 9 to 17", (30, 90), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (0, 0, 0), 3)
    path = tmp_path / "sign.png"
    cv2.imwrite(str(path), image)
    assert kind_of(path) == "picture"
    assert "hours" in " ".join(block.text for block in read(path)).lower()
