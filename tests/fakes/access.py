"""Who a photo shows, for an access stand-in without model servers."""

from dataclasses import dataclass, field

from include.access_service.app import create_app
from include.access_service.checks import Answer
from include.access_service.settings import Settings

LOOKS_LIKE_KIM = Answer("kim", 0.9, 0.5, "v1.0.0")


@dataclass
class FakeFaces:
    """Gives the same answer to everybody."""

    says: Answer = LOOKS_LIKE_KIM
    people: dict[str, str] = field(default_factory=dict)

    def answer(self, asked):
        return self.says

    def knows(self, identity, photo_url):
        return identity in self.people

    def enrol(self, identity, photo_url):
        self.people[identity] = photo_url
        return len(self.people)

    def withdraw(self, identity):
        self.people.pop(identity, None)
        return len(self.people)

    def close(self):
        """Nothing is open."""


def access_app(services, faces=None, **more):
    """The access stand-in on the services of the tests."""
    stack = services.stack
    places = {
        "dsn": stack.dsn("access", "access"),
        "amqp_url": stack.amqp_url_of("access"),
        "s3_endpoint": stack.s3_endpoint,
    }
    return create_app(Settings(**places, **more), faces or FakeFaces())
