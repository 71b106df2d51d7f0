"""An address of RabbitMQ that is none is a sentence, whatever is wrong with it, and shows no password."""

import pytest

from pipeline.adapters.amqp import connection_to
from pipeline.domain.errors import GiveUp

WRONG = (
    "amqp://guest@host",
    "amqp://user:s3cret@host:no-port",
    "amqp://user:s3cret@host:s3cret",
    "amqp://user:s3cret@host:99999999",
    "amqp://user:s3cret@[::1",
    "amqp://user:s3cret@host/%2F?heartbeat=x",
    "amqps://user:s3cret@host?ssl_options=1",
    "s3cret without a scheme",
)


@pytest.mark.parametrize("url", WRONG)
def test_an_address_that_is_none_is_said_without_its_password(url):
    sentence = "the address of RabbitMQ is none such as amqp://user:password@host"
    with pytest.raises(GiveUp, match=sentence) as no, connection_to(url):
        pass
    assert "s3cret" not in str(no.value) and no.value.__cause__ is None
