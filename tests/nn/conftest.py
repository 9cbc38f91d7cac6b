"""What the tests of this room share."""

import pytest


@pytest.fixture(scope="session")
def raised():
    """The whole text of the error that a call raises."""

    def text(error, function, *args, **kwargs):
        with pytest.raises(error) as caught:
            function(*args, **kwargs)
        return str(caught.value)

    return text
