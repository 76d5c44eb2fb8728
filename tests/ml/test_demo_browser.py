"""The page of a predictor as people use it: in a browser, with its script and without."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")
pytest.importorskip("numpy", reason="numpy is not installed")
pytest.importorskip("selenium", reason="selenium is not installed")

from browsing import browser as browser
from browsing import keep_picture as keep_picture
from browsing import plain_browser as plain_browser
from browsing import wait_for
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from serving import Server

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

MARKUP = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"


def start(kind: str) -> Server:
    app = str(Path(__file__).with_name("demo_app.py"))
    return Server(kind, app=f"{app}:create_app()", cwd=Path(__file__).parent)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = start("granian")
    yield started
    started.stop()


@pytest.fixture(params=["granian", "granian-serving-asgi"], ids=["wsgi", "asgi"])
def each_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    started = start(request.param)
    yield started
    started.stop()


@pytest.fixture
def site(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def find(browser: Any, selector: str) -> Any:
    return browser.find_element(By.CSS_SELECTOR, selector)


def texts(browser: Any, selector: str) -> list[str]:
    return [each.text for each in browser.find_elements(By.CSS_SELECTOR, selector)]


def write(browser: Any, name: str, text: str) -> None:
    field = browser.find_element(By.NAME, name)
    field.clear()
    field.send_keys(text)


def ask(browser: Any, **values: str) -> None:
    """Fill the form in, send it, and wait until nothing is under way."""
    for name, text in values.items():
        write(browser, name, text)
    find(browser, "#run").click()
    wait_for(browser, lambda: find(browser, "#result").get_attribute("aria-busy") == "false")


def best(browser: Any) -> str:
    found: str = find(browser, "#result .best").text
    return found.partition(" ")[0]


def test_a_text_is_typed_and_answered_in_place(
    site: str, browser: Any, keep_picture: Callable[[str], None]
) -> None:
    browser.get(site)
    page = find(browser, "html")
    ask(browser, text="hello", times="2")
    assert best(browser) == "HELLOHELLO"
    assert texts(browser, "#result .bars th") == ["HELLOHELLO", "nothing"]
    widths = [each.rect["width"] for each in browser.find_elements(By.CSS_SELECTOR, ".bars .part")]
    assert widths[0] == pytest.approx(3 * widths[1], rel=0.1)
    assert find(browser, "html") == page  # no other page was loaded
    keep_picture("demo-answered")


def test_an_answer_that_is_out_of_sight_is_told_at_the_foot(site: str, browser: Any) -> None:
    browser.get(site)
    resize(browser, 390)
    browser.find_elements(By.CSS_SELECTOR, ".examples button")[0].click()
    wait_for(browser, lambda: texts(browser, "#history .asked"))
    browser.execute_script("scrollTo(0, 0)")
    assert not find(browser, ".glance").is_displayed()
    script = "document.body.style.paddingTop = '2000px'"  # all of it is below the window
    browser.execute_script(script)
    write(browser, "text", "far")
    browser.execute_script("scrollTo(0, 0); document.getElementById('form').requestSubmit()")
    wait_for(browser, lambda: texts(browser, ".glance strong") == ["FAR"])
    find(browser, ".glance").click()
    wait_for(browser, lambda: not find(browser, ".glance").is_displayed())
    seen = "const box = arguments[0].getBoundingClientRect(); return box.top < innerHeight"
    assert browser.execute_script(seen, find(browser, "#result"))


def test_what_was_asked_stays_in_this_tab(site: str, browser: Any) -> None:
    browser.get(site)
    assert not find(browser, "#history").is_displayed()
    for text in ("first", "second"):
        ask(browser, text=text, times="1")
    assert texts(browser, "#history .asked") == ["second · 1", "first · 1"]
    assert texts(browser, "#history .answered") == ["SECOND", "FIRST"]
    browser.refresh()
    assert "Nothing asked yet" in find(browser, "#result").text
    browser.find_elements(By.CSS_SELECTOR, "#history li button")[1].click()
    assert best(browser) == "FIRST"
    assert browser.find_element(By.NAME, "text").get_attribute("value") == "first"
    assert "text=first" in find(browser, "[data-call=curl]").text
    find(browser, "#forget").click()
    assert not find(browser, "#history").is_displayed()
    browser.refresh()
    assert not find(browser, "#history").is_displayed()


def test_an_example_is_clicked(site: str, browser: Any) -> None:
    browser.get(site)
    browser.find_elements(By.CSS_SELECTOR, ".examples button")[1].click()
    wait_for(browser, lambda: texts(browser, "#result .best"))
    assert best(browser) == "<B>BOLD</B><B>BOLD</B>"
    assert browser.find_element(By.NAME, "times").get_attribute("value") == "2"
    ask(browser, times="1")
    assert best(browser) == "<B>BOLD</B>"


@pytest.mark.parametrize(
    ("values", "says"),
    [({"text": "a", "times": "9"}, "less than or equal to 5"), ({"text": ""}, "fill out")],
    ids=["too much", "nothing"],
)
def test_a_fault_is_shown_at_its_field_before_anything_is_sent(
    site: str, browser: Any, values: dict[str, str], says: str
) -> None:
    browser.get(site)
    ask(browser, **values)
    name = [*values][-1]
    assert says in find(browser, f"#input-{name}-error").text
    focused = browser.switch_to.active_element
    assert (focused.get_attribute("name"), focused.get_attribute("aria-invalid")) == (name, "true")
    assert f"input-{name}-error" in focused.get_attribute("aria-describedby")
    assert "Nothing asked yet" in find(browser, "#result").text


def test_so_is_what_the_server_finds(
    site: str, browser: Any, keep_picture: Callable[[str], None]
) -> None:
    browser.get(site)
    ask(browser, text="silence")
    assert "There is nothing to shout" in find(browser, "#input-text-error").text
    assert browser.switch_to.active_element.get_attribute("name") == "text"
    assert not find(browser, "#history").is_displayed()
    keep_picture("demo-fault")
    ask(browser, text="speech")
    assert not find(browser, "#input-text-error").is_displayed()
    assert best(browser) == "SPEECH"


def test_a_busy_model_is_told_above_the_form(site: str, browser: Any) -> None:
    browser.get(site)
    ask(browser, text="busy")
    assert "Try again in 3" in find(browser, "#problem [role=alert]").text
    ask(browser, text="free")
    assert texts(browser, "#problem [role=alert]") == []


def test_a_server_that_is_gone_is_told_as_well(browser: Any) -> None:
    server = start("granian")
    try:
        browser.get(f"http://127.0.0.1:{server.port}")
    finally:
        server.stop()
    ask(browser, text="hello")
    assert "No answer came" in find(browser, "#problem").text
    # What the browser says of it itself.
    assert {"ERR_CONNECTION" in each["message"] for each in browser.get_log("browser")} == {True}


@pytest.mark.parametrize("path", ["/", "/everything", "/telling"])
def test_markup_stays_text(site: str, browser: Any, path: str, tmp_path: Path) -> None:
    browser.get(site + path)
    title = browser.title
    if path == "/everything":
        table = tmp_path / "<img src=x onerror=alert(1)>.csv"
        table.write_text('name\n"<img src=x onerror=alert(2)>"\n')
        write(browser, "title", MARKUP)
        browser.find_element(By.NAME, "table").send_keys(str(table))
    ask(browser, text=MARKUP)
    wait_for(browser, lambda: "ONERROR" in find(browser, "#result").text.upper())
    browser.execute_script("document.querySelector('#history li button').click()")
    assert browser.title == title
    strange = "#result script, #calls script, #history script, [onerror], img[src=x]"
    assert browser.find_elements(By.CSS_SELECTOR, strange) == []


def test_every_kind_of_input_is_used(
    site: str, browser: Any, keep_picture: Callable[[str], None], tmp_path: Path
) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    pillow.new("RGB", (60, 40), "teal").save(tmp_path / "teal.png")
    (tmp_path / "note.txt").write_text("note")
    browser.get(site + "/everything")
    find(browser, "input[value=warm]").click()
    find(browser, "input[value=odd]").click()
    find(browser, "input[name=loud]").click()
    browser.find_element(By.NAME, "language").send_keys("Polish")
    browser.find_element(By.NAME, "count").send_keys(Keys.ARROW_RIGHT)
    assert find(browser, ".slider output").text == "5"
    browser.find_element(By.NAME, "photo").send_keys(str(tmp_path / "teal.png"))
    wait_for(browser, lambda: find(browser, "#input-photo-field .preview").is_displayed())
    browser.find_element(By.NAME, "document").send_keys(str(tmp_path / "note.txt"))
    find(browser, "[data-rows]").send_keys("name;length\nbee;1.5")
    ask(browser, title="Title", text="Text", share="0.25", numbers="[1, 2]")
    rest = json.loads(find(browser, ".output-json pre").text)
    assert rest == {
        "title": "Title",
        "share": 0.25,
        "count": 5,
        "loud": False,
        "tags": ["odd"],
        "tone": "warm",
        "language": "Polish",
        "numbers": [1.0, 2.0],
    }
    assert texts(browser, ".output-table td") == ["bee", "1.5"]
    picture = find(browser, ".output-image img")
    assert (picture.get_property("naturalWidth"), picture.get_property("naturalHeight")) == (60, 40)
    assert texts(browser, ".output-text p") == ["Text"]
    assert "table=@table.csv;type=text/csv" in find(browser, "[data-call=curl]").text
    keep_picture("demo-everything")


@pytest.mark.parametrize(
    ("name", "file", "size", "says"),
    [
        ("document", "note.txt", 1001, "1 kB are too much: at most 1 kB are taken"),
        ("document", "note.exe", 10, "not of a type that is taken: .txt"),
        ("photo", "note.txt", 10, "not of a type that is taken: image/png"),
    ],
)
def test_a_file_is_refused_before_it_is_sent(
    site: str, browser: Any, tmp_path: Path, name: str, file: str, size: int, says: str
) -> None:
    (tmp_path / file).write_bytes(b"x" * size)
    browser.get(site + "/everything")
    browser.find_element(By.NAME, name).send_keys(str(tmp_path / file))
    ask(browser, title="a", text="b")
    assert says in find(browser, f"#input-{name}-error").text
    assert "Nothing asked yet" in find(browser, "#result").text


GIVE = """
  const [name, kind] = arguments;
  const transfer = new DataTransfer();
  const picture = document.createElement("canvas");
  picture.width = 20;
  picture.height = 10;
  return new Promise((done) => picture.toBlob((blob) => {
    transfer.items.add(new File([blob], "given.png", { type: "image/png" }));
    const place = document.querySelector(`#input-${name}-field [data-drop]`);
    const about = { bubbles: true, cancelable: true };
    if (kind === "paste") {
      document.body.dispatchEvent(new ClipboardEvent(kind, { ...about, clipboardData: transfer }));
    } else place.dispatchEvent(new DragEvent(kind, { ...about, dataTransfer: transfer }));
    done();
  }));
"""


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_picture_is_pasted_or_dropped(site: str, browser: Any, kind: str) -> None:
    browser.get(site + "/everything")
    browser.execute_script(GIVE, "photo", kind)
    wait_for(browser, lambda: find(browser, "#input-photo-field .preview").is_displayed())
    ask(browser, title="a", text="b")
    picture = find(browser, ".output-image img")
    wait_for(browser, lambda: picture.get_property("naturalWidth") == 20)
    assert "photo=@given.png" in find(browser, "[data-call=curl]").text


def test_a_finger_draws(site: str, browser: Any) -> None:
    browser.get(site + "/everything")
    canvas = find(browser, "#input-sketch-field canvas")
    browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", canvas)
    box = browser.execute_script("return arguments[0].getBoundingClientRect().toJSON()", canvas)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, points in (
        ("touchStart", [{"x": x - 40, "y": y}]),
        ("touchMove", [{"x": x + 40, "y": y}]),
        ("touchEnd", []),
    ):
        event = {"type": kind, "touchPoints": points}
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", event)
    field = browser.find_element(By.NAME, "sketch")
    wait_for(browser, lambda: field.get_attribute("value").endswith("drawing.png"))
    ask(browser, title="a", text="b")
    picture = find(browser, ".output-image img")
    wait_for(browser, lambda: picture.get_property("naturalWidth") == 200)
    find(browser, "#input-sketch-field [data-wipe]").click()
    assert field.get_attribute("value") == ""


def test_a_text_is_shown_as_it_streams(each_server: Server, browser: Any) -> None:
    browser.get(f"http://127.0.0.1:{each_server.port}/telling")
    write(browser, "text", "one two WAIT three")
    find(browser, "#run").click()
    wait_for(browser, lambda: texts(browser, "#result [data-text]") == ["one two"])
    wait_for(browser, lambda: find(browser, "#stop").is_displayed())
    each_server.fetch("POST", "/go-on")
    wait_for(browser, lambda: texts(browser, "#result [data-text]") == ["one two WAIT three"])
    wait_for(browser, lambda: texts(browser, "#calls figure"))
    assert not find(browser, "#stop").is_displayed()
    assert texts(browser, "#history .asked") == ["one two WAIT three"]
    ask(browser, text="one STOP")
    wait_for(browser, lambda: "stops all" in find(browser, "#input-text-error").text)


def test_without_scripts_the_form_brings_a_page(
    site: str, plain_browser: Any, tmp_path: Path
) -> None:
    browser = plain_browser
    browser.get(site)
    page = find(browser, "html")
    write(browser, "text", "hello")
    find(browser, "#run").click()
    wait_for(browser, lambda: texts(browser, "#result .best"))
    assert best(browser) == "HELLO"
    assert find(browser, "html") != page
    assert "text=hello" in find(browser, "[data-call=curl]").text
    assert texts(browser, "#calls button") == []  # the script would have added them
    browser.find_elements(By.CSS_SELECTOR, ".examples button")[0].click()
    wait_for(browser, lambda: best(browser) == "HELLO")
    write(browser, "text", "silence")
    find(browser, "#run").click()
    wait_for(browser, lambda: texts(browser, ".field.wrong .error"))
    assert "nothing to shout" in find(browser, "#input-text-error").text

    (tmp_path / "t.csv").write_text("name,length\nbee,1.5\n")
    browser.get(site + "/everything")
    write(browser, "title", "a")
    write(browser, "text", "b")
    browser.find_element(By.NAME, "table").send_keys(str(tmp_path / "t.csv"))
    find(browser, "#run").click()
    wait_for(browser, lambda: texts(browser, ".output-table td"))
    assert texts(browser, ".output-table td") == ["bee", "1.5"]


@pytest.mark.parametrize("name", ["curl", "python"])
def test_a_program_reads_a_stream(site: str, browser: Any, tmp_path: Path, name: str) -> None:
    browser.get(site + "/telling")
    ask(browser, text="one two")
    wait_for(browser, lambda: texts(browser, "#calls figure"))
    call = find(browser, f"[data-call={name}]").get_property("textContent")
    assert run(name, call, tmp_path).splitlines() == ['"one"', '" two"']


def run(name: str, call: str, folder: Path) -> str:
    """What a call prints."""
    command = ["sh", "-c", call] if name == "curl" else [sys.executable, "-c", call]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("name", ["curl", "python"])
def test_a_program_does_what_the_form_did(
    site: str, browser: Any, tmp_path: Path, name: str
) -> None:
    (tmp_path / "it's 1;2.csv").write_text("name,length\nbee,1.5\n")
    browser.get(site + "/everything")
    browser.find_element(By.NAME, "table").send_keys(str(tmp_path / "it's 1;2.csv"))
    find(browser, "input[value=odd]").click()
    find(browser, "input[value=new]").click()
    tricky = '@"it\'s" $HOME `ls` \\ {x} é'
    ask(browser, title=tricky, text=f"{tricky}\n<second line>", share="0.25")
    wait_for(browser, lambda: texts(browser, "#result .best"))
    find(browser, "details.raw summary").click()
    shown = json.loads(find(browser, "details.raw pre").text)
    call = find(browser, f"[data-call={name}]").get_property("textContent")
    printed = run(name, call, tmp_path)
    answer = json.loads(printed) if name == "curl" else ast.literal_eval(printed)
    for part in ("label", "table", "number", "words", "rest"):
        assert answer[part] == shown[part]


OUTSIDE = """
  return [...document.querySelectorAll("main *, header *")].filter((each) => {
    const box = each.getBoundingClientRect();
    return box.width && box.right > innerWidth + 1 && !each.closest(".scroll, pre");
  }).map((each) => each.outerHTML.slice(0, 80));
"""


@pytest.mark.parametrize("path", ["/", "/everything"])
def test_nothing_is_cut_off(
    site: str, browser: Any, path: str, keep_picture: Callable[[str], None]
) -> None:
    browser.get(site + path)
    if path == "/everything":
        write(browser, "title", "W" * 60)
    ask(browser, text="word " + "W" * 200)
    wait_for(browser, lambda: texts(browser, "#result .best"))
    for width in (320, 390, 800, 1200):
        resize(browser, width)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert browser.execute_script(OUTSIDE) == []
        keep_picture(f"demo{path.replace('/', '-')}-{width}")


def resize(browser: Any, width: int) -> None:
    size = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wait_for(browser, lambda: browser.execute_script("return innerWidth") == width)


CONTRAST = """
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = (color) => [0.2126, 0.7152, 0.0722].reduce((sum, part, place) => {
    const value = color[place] / 255;
    return sum + part * (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  }, 0);
  const ground = (each) => {
    for (; each; each = each.parentElement) {
      const color = rgb(getComputedStyle(each).backgroundColor);
      if (color[3] === 255) return color;
    }
    return rgb("white");
  };
  return [...document.querySelectorAll("body *")].filter((each) =>
    each.checkVisibility() && [...each.childNodes].some((node) => node.nodeType === 3
      && node.data.trim())).map((each) => {
    const pair = [light(rgb(getComputedStyle(each).color)), light(ground(each))];
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    return [each.tagName + "." + each.className, contrast];
  }).filter(([, contrast]) => contrast < 4.5);
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(site: str, browser: Any, scheme: str) -> None:
    wish = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wish)
    for values in ({"text": "silence"}, {"text": "hello"}):
        browser.get(site)
        ask(browser, **values)
        assert browser.execute_script(CONTRAST) == []


def test_the_keyboard_is_enough(site: str, browser: Any) -> None:
    browser.get(site)
    keys = browser.switch_to.active_element
    seen = []
    for _ in range(8):
        keys.send_keys(Keys.TAB)
        keys = browser.switch_to.active_element
        seen.append(keys.get_attribute("name") or keys.get_attribute("id") or keys.text)
        if seen[-1] == "text":
            keys.send_keys("hello")
        if seen[-1] == "run":
            keys.send_keys(Keys.ENTER)
            break
    assert seen == ["Skip to the answer", "Shout", "All", "Tell", "text", "times", "run"]
    wait_for(browser, lambda: texts(browser, "#result .best"))


def test_every_input_has_a_label(site: str, browser: Any) -> None:
    browser.get(site + "/everything")
    unnamed = """
      return [...document.querySelectorAll("#fields :is(input, select, textarea)")]
        .filter((each) => each.type !== "hidden" && !each.labels.length && !each.ariaLabel)
        .map((each) => each.name);
    """
    assert browser.execute_script(unnamed) == []
    ids = "return [...document.querySelectorAll('[id]')].map((each) => each.id)"
    found = browser.execute_script(ids)
    assert len(found) == len(set(found))
