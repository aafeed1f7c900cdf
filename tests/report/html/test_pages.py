"""The pages as text: what they say, how large they are, and what strangers' names do to them."""

import re
from collections import Counter
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pandas as pd

from lrbench.analysis import Question, summarise
from lrbench.report.html import compare_page, find_page
from tests.analysis.made import FINE, finals
from tests.report.find_results import found, not_found, tabled
from tests.report.hostile import NAMES
from tests.report.html.made import MANIFEST, many, several

LARGEST = 3_000_000
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Reader(HTMLParser):
    """Tags that close in order, their identifiers, and the text that a reader sees."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            assert not name.startswith("on"), f"<{tag} {name}>"
            if name == "id":
                self.ids[str(value)] += 1
            if name in ("src", "href", "xlink:href"):
                self.links.append(str(value))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_a_comparison_begins_with_its_answer_and_says_how_to_repeat_it() -> None:
    summary = several()
    page = compare_page(summary, MANIFEST, "scheduler = ...")
    reader = Reader(page)
    answer = re.search("<h1>(.*?)</h1>", page)
    assert answer is not None and summary.sentence.startswith(answer[1] + ":")
    rest = summary.sentence.removeprefix(answer[1])[3:].rstrip(".")
    assert page.index("<h1>") < page.index(rest) < page.index("<h2>")
    for said in (
        "lrbench compare --schedule cosine --out results/run-again", "scheduler = ...", "2.15.0",
        "the loss was not finite at step 13", "2, 1 failed", "Against linear", "97.20 ± 0.50 %",
    ):  # fmt: skip
        assert said in reader.text, said


def test_of_several_rankings_the_first_is_the_headline() -> None:
    short = finals({"cosine": [0.95, 0.96], "linear": [0.9, 0.91]}, epochs=1)
    summary = summarise([*short, *finals({"cosine": [0.97, 0.98], "linear": [0.95, 0.97]})], FINE)
    answer = re.search("<h1>(.*?)</h1>", compare_page(summary, MANIFEST))
    assert answer is not None and answer[1].startswith("For 2 epochs: ")
    assert summary.sentence.startswith(answer[1]) and "For 1 epoch" not in answer[1]


def test_every_schedule_has_its_interval_its_curve_and_values_to_hover_over() -> None:
    summary = several()
    page = compare_page(summary, MANIFEST)
    assert "<title>linear: seeds 96.00 %, 97.00 %, 96.50 %</title>" in page
    for place, name in enumerate(summary.question.schedules):
        assert len(re.findall(rf'<g class="s{place}">', page)) >= 4
        assert f"<title>{name}, epoch 2: " in page
    assert "<title>cosine, LR 0.1: 95.00 %</title>" in page


def test_nothing_is_fetched_and_no_identifier_is_there_twice() -> None:
    for page in (compare_page(several(), MANIFEST), find_page(found(), MANIFEST)):
        reader = Reader(page)
        assert all(link.startswith(("#", "data:")) for link in reader.links)
        assert "default-src 'none'" in unescape(page)
        assert set(reader.ids.values()) == {1}
        assert {*re.findall(r'(?:url\(|href=")#([^)"]+)', page)} <= {*reader.ids}


def test_twenty_schedules_of_ten_seeds_stay_under_three_megabytes() -> None:
    page = compare_page(many(), MANIFEST)
    assert Reader(page).tags["h1"] == 1 and 100_000 < len(page.encode()) < LARGEST


HOSTILE = (*NAMES, "<script>alert(1)</script>", "</svg></table><h1>x", "{{ 7 * 7 }}", "a\" onx='b")


def test_hostile_names_stay_text() -> None:
    names = [name for name in HOSTILE if name]
    summary = summarise(finals({name: [0.9, 0.8] for name in names}), Question(reference=names[0]))
    manifest = {
        "command_line": HOSTILE[-4],
        "experiment": {"recipe": {"model": HOSTILE[-3]}, "schedules": list(names), "epochs": 2},
    }
    page = compare_page(summary, manifest)
    reader = Reader(page)
    ordinary = Reader(compare_page(several(), {}))
    assert reader.tags["script"] == ordinary.tags["script"] == reader.tags["h1"] == 1
    assert "<script>alert(1)</script>" in reader.text and "{{ 7 * 7 }}" in reader.text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", page)
    assert len(page) < LARGEST


def test_several_budgets_have_a_ranking_each() -> None:
    trials = [*finals({"a": [0.9, 0.8]}), *finals({"a": [0.95, 0.9]}, epochs=4)]
    text = Reader(compare_page(summarise(trials, Question()), {})).text
    for said in ("Ranking for 4 epochs", "Ranking for 2 epochs", "training for longer"):
        assert said in text


def test_the_diagnosis_stands_with_its_remedy_finals_before_tuning() -> None:
    summary = several()
    rows = [
        ("tune", "step", 2, 128, "overfit", 1, 2, "the loss <i>rose</i>", "train less"),
        ("final", "cosine", 2, 128, "early", 3, 3, "it swung", "lower the LR, or warm up"),
    ]
    found = pd.DataFrame(rows, columns=summary.diagnosis.columns)
    text = Reader(compare_page(replace(summary, diagnosis=found), {})).text
    assert "cosine 3 of 3 it swung lower the LR, or warm up" in text
    assert text.index("it swung") < text.index("the loss <i>rose</i>")
    assert "Diagnosis" not in Reader(compare_page(replace(summary, diagnosis=found[:0]), {})).text


def test_a_range_test_shows_answer_grade_rules_and_trainings() -> None:
    result = found()
    reader = Reader(find_page(result, MANIFEST))
    assert f"Start from learning rate {result.lr:.3g}" in reader.text
    for said in (
        "grade ok", "largest stable", "steepest (used)", "diverged", "lrbench compare --lr",
    ):  # fmt: skip
        assert said in reader.text, said
    assert f"smoothed {result.curve[0].smoothed:.3g}" in reader.text


def test_answers_against_batch_size_and_momentum_have_a_table() -> None:
    result = replace(tabled(), settings={**found().settings, "momenta": [0.0, 0.9]})
    text = Reader(find_page(result, {})).text
    assert "sqrt rule linear rule" in text and "512 0.9 0.05 ok 0.04 0.08 0.2" in text
    assert "512 0 - none 0.2 0.4 -" in text
    assert "Against batch size" not in Reader(find_page(found(), {})).text


def test_a_range_test_without_an_answer_says_why() -> None:
    text = Reader(find_page(not_found("flat: <b>nothing</b> moves"), {})).text
    assert "No learning rate can be defended" in text and "flat: <b>nothing</b> moves" in text
