"""A story told in the words of those who ask; after each act everything still holds."""

from tests.stateful.machine import CALM
from tests.unit.pipeline.steps.live_world import LAUNDRY


def live(story, count):
    """`count` versions, each live in turn."""
    for _ in range(count):
        story.candidate("accepted")
        done(story, "promote", story.versions[-1])
    return story.world


def candidate(story, verdict="accepted"):
    story.candidate(verdict)
    return story.versions[-1]


def ask(story, kind, of="", trouble=CALM, meanwhile=None):
    """The answer or the refusal, after which everything still holds."""
    answer = story.perform(story.request(kind, of), trouble, meanwhile)
    story.check()
    return answer


def done(story, kind, of="", **more):
    answer = ask(story, kind, of, **more)
    assert not isinstance(answer, BaseException), answer
    return answer


def refused(story, error, said, kind, of="", **more):
    answer = ask(story, kind, of, **more)
    assert isinstance(answer, error), answer
    assert said in str(answer)


def everybody_serves(story, version):
    story.recover(late=False)
    story.world.demand_one_story(version)


def trying(story):
    return {seen.version for seen in story.world.fleet.canaries(LAUNDRY) if seen.running}


def events(story):
    return story.world.outbox.types()
