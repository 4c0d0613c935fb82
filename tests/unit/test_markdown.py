"""Names from the data stay text in Markdown, as GitHub renders it."""

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import given
from hypothesis import strategies as st

from workflow_scripts.cxrcam.markdown import markdown_text


def rendered(text: str) -> str:
    """HTML that GitHub's renderer makes, raw HTML let through."""
    html: str = cmarkgfm.github_flavored_markdown_to_html(
        markdown_text(text), options=Options.CMARK_OPT_UNSAFE
    )
    return html


@pytest.mark.parametrize(
    "name",
    [
        "www.x.yz<img src=x onerror=alert(1)>",
        "http://a.b/<img src=x onerror=1>",
        "HTTPS://a.b/\\<script>",
        "ftp://a.b/<b>",
        "WWW.x.y\\<b>",
        "a@b.c<img src=x>",
        "mailto:a@b.c<i>",
        "xmpp:a@b.c/<i>",
        "<b>bold</b>",
        "&lt;img src=x&gt;",
        "`<i>``",
    ],
)
def test_no_name_becomes_an_element(name):
    html = rendered(name)
    for element in ("<img", "<script", "<b>", "<i>", "<i ", '<a href="http', '<a href="www'):
        assert element not in html.lower()


def test_what_was_written_is_what_is_read():
    assert rendered("A & B <c> *d* [e](f) $g$ ~h~ i_j") == (
        "<p>A &amp; B &lt;c&gt; *d* [e](f) $g$ ~h~ i_j</p>\n"
    )
    assert rendered("&lt;") == "<p>&amp;lt;</p>\n"
    assert rendered("set `a: [0]`") == "<p>set <code>a: [0]</code></p>\n"


@given(st.text("<>&www.:/@\\`[]()!*_~|$ab\"'=", max_size=30))
def test_no_text_of_markup_characters_becomes_an_image_or_a_script(text):
    html = rendered(f"{text}<img src=x>{text}<script>")
    outside_code = html.replace("<code>", "").replace("</code>", "")
    assert "<img" not in outside_code and "<script" not in outside_code
