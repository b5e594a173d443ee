from base64 import b64decode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs_service import images
from tests.runs_service.samples import PNG, data_url

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

LEFT_AS_THEY_ARE = {
    "nothing": None,
    "an empty text": "",
    "no data URL": "https://example.org/a.png",
    "percent-encoded": "data:image/svg+xml," + quote(SVG),
    "base64 without padding": "data:image/png;base64,iVBORw0KGgo",
    "padding that hides bits": "data:image/png;base64,iVBORw0KGgp=",
    "base64 with a line break": "data:image/png;base64,iVBO\nRw0KGgo=",
    "base64 of the alphabet for URLs": "data:image/png;base64,_-__",
    "base64 with percent signs": "data:image/png;base64,iVBORw0KGgo%3D",
    "no bytes at all": "data:image/png;base64,",
    "letters that are no base64": "data:image/png;base64,żółw",
    "base64 only in name": "data:image/png;base64x,AAAA",
    "an endless media type": "data:" + "x" * 300 + ";base64,AAAA",
}


@pytest.mark.parametrize("what", LEFT_AS_THEY_ARE)
def test_a_value_that_would_not_come_back_byte_for_byte_is_not_taken_out(what: str) -> None:
    assert images.take_out(LEFT_AS_THEY_ARE[what]) is None


@given(st.binary(min_size=1), st.sampled_from(["image/png", "text/plain", "", "application/octet-stream;charset=x"]))
def test_an_image_is_taken_out_and_put_back_byte_for_byte(content: bytes, media_type: str) -> None:
    url = data_url(content, media_type)
    taken = images.take_out(url)
    assert taken is not None
    assert taken.content == content
    assert images.put_back(*taken) == url


@given(st.text(max_size=30))
def test_whatever_is_taken_out_of_a_text_can_be_put_back(text: str) -> None:
    url = "data:image/png;base64," + text
    taken = images.take_out(url)
    assert taken is None or images.put_back(*taken) == url


@given(st.none() | st.integers() | st.text() | st.text().map("data:,".__add__) | st.text().map("data:;base64,".__add__))
def test_decoding_takes_any_value(value: object) -> None:
    assert images.decode(value) != b""


def test_a_data_url_is_decoded_as_a_browser_would() -> None:
    assert images.decode("data:image/svg+xml," + quote(SVG)) == SVG.encode()
    assert images.decode("data:image/svg+xml;utf8," + SVG) == SVG.encode()
    assert images.decode("DATA:image/png;BASE64,iVBO Rw0K\nGgo") == b64decode("iVBORw0KGgo=")
    assert images.decode("data:image/png;base64,iVBORw0KGgo%3D") == b64decode("iVBORw0KGgo=")


@pytest.mark.parametrize(
    "url", ["data:,", "data:image/png;base64,", "data:;base64,?", "data:;base64,A", "file:///x", ""]
)
def test_what_stands_for_no_bytes_is_no_image(url: str) -> None:
    assert images.decode(url) is None


RASTERS = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0rest",
    "image/gif": b"GIF89arest",
    "image/webp": b"RIFF\x0a\0\0\0WEBPVP8 ",
    "image/avif": b"\0\0\0\x1cftypavif\0\0\0\0mif1",
    "image/bmp": b"BM\x0a\n\0\0\0\0\0\0rest",
}


@pytest.mark.parametrize("media_type", RASTERS)
def test_the_media_type_is_what_the_signature_shows(media_type: str) -> None:
    assert images.media_type(RASTERS[media_type]) == media_type


def test_an_avif_may_name_itself_among_its_compatible_brands() -> None:
    assert images.media_type(b"\0\0\0\x20ftypmif1\0\0\0\0miafavif") == "image/avif"


@pytest.mark.parametrize(
    "content",
    [SVG.encode(), b"<!doctype html><script>", b"", b"PNG", b"BMW is a car", b" \x89PNG\r\n\x1a\n", b"%PDF-1.7",
     b"\0\0\0\x20ftypisom\0\0\0\0avif", b"RIFF\0\0\0\0WAVE"],
)  # fmt: skip
def test_what_shows_no_signature_of_a_raster_image_has_no_type(content: bytes) -> None:
    assert images.media_type(content) == images.UNKNOWN


def test_the_digest_of_an_image_is_its_sha256() -> None:
    assert images.digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
