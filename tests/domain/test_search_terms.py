"""The terms by which jobs are found."""

import unicodedata

from tidewaiter.domain.search_terms import MOST_TERMS, file_term, label_term, parameter_terms, searched_terms


def test_a_parameter_is_found_by_name_and_value() -> None:
    """Nested parameters have dotted names, members of lists count on their own, and numbers are as in JSON."""
    terms = parameter_terms({"filter": {"from": "2026-01-01"}, "ids": [1, 2], "all": True, "none": None}, {})
    for text in ("filter.from=2026-01-01", "ids=1", "ids=2", "all=true"):
        assert searched_terms(text) & terms, text
    assert not searched_terms("from=2026-01-01") & terms
    assert len(terms) == 4


def test_labels_and_files_are_no_parameters() -> None:
    """A label and a parameter of the same name differ, but one search finds both."""
    assert parameter_terms({}, {"dag": "x"}) == {label_term("dag", "x")}
    assert parameter_terms({"dag": "x"}, {}) != {label_term("dag", "x")}
    assert label_term("dag", "x") in searched_terms("dag=x")
    assert file_term("a=b.csv") in searched_terms("a=b.csv")


def test_the_number_of_terms_is_bounded() -> None:
    """A list of ten thousand ids does not fill the index; a value that nobody would type is left out."""
    assert len(parameter_terms({"ids": list(range(10_000))}, {})) == MOST_TERMS
    assert parameter_terms({"text": "x" * 2000}, {}) == frozenset()


def test_a_file_is_found_by_its_name_in_decomposed_letters() -> None:
    """A name that was copied from a file manager of macOS has its accents apart; landed names have them composed."""
    assert file_term("отчёт.csv") in searched_terms(unicodedata.normalize("NFD", "отчёт.csv"))
