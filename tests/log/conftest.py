"""A book in which one agency is admitted."""

import pytest

from broker.log.history.book import Book
from tests.log.deciding import put
from tests.log.support import admission


@pytest.fixture
def book() -> Book:
    book = Book()
    put(book, admission())
    return book
