import pytest

from dockerdoctor.sample.builder import BuilderWish, Client, choose

AUTO, CLASSIC, BUILDKIT = BuilderWish.AUTO, BuilderWish.CLASSIC, BuilderWish.BUILDKIT
OLD = Client("/usr/bin/docker", "20.10.24+dfsg1")
NEW = Client("/usr/bin/docker", "28.5.2", buildx=True)
BARE = Client("/usr/bin/docker", "26.1.5+dfsg1")
NONE = Client()
ON, OFF = {"DOCKER_BUILDKIT": "1"}, {"DOCKER_BUILDKIT": "0"}

CHOICES = {
    "old": (AUTO, OLD, {}, "1", False, "docker 20.10.24 does unless it is told otherwise"),
    "old, told": (AUTO, OLD, ON, "1", True, "DOCKER_BUILDKIT=1"),
    "old, and an engine that is set so": (AUTO, OLD, {}, "2", True, "the engine prefers it"),
    "old, wanted": (BUILDKIT, OLD, {}, "1", True, "--builder buildkit"),
    "new": (AUTO, NEW, {}, "1", True, "docker 28.5.2 builds with buildx"),
    "new, told not to": (AUTO, NEW, OFF, "2", False, "DOCKER_BUILDKIT=0"),
    "new, not wanted": (CLASSIC, NEW, ON, "2", False, "--builder classic"),
    "new without the plugin": (AUTO, BARE, {}, "2", False, "docker 26.1.5 has no buildx here"),
    "no docker command": (AUTO, NONE, ON, "2", False, "there is no docker command here"),
    "ancient": (AUTO, Client("docker", "17.05.0-ce"), {}, "", False, "docker 17.05.0 knows no BuildKit"),
}


@pytest.mark.parametrize(("wish", "client", "env", "engine", "buildkit", "why"), CHOICES.values(), ids=CHOICES)
def test_it_is_the_builder_that_docker_build_would_use(wish, client, env, engine, buildkit, why):
    chosen = choose(wish, client, env, engine)
    assert (chosen.buildkit, chosen.why, chosen.problem) == (buildkit, why, "")


@pytest.mark.parametrize("client", [NONE, BARE, Client("docker", "17.05.0-ce")])
def test_what_is_wanted_and_not_to_be_had(client):
    assert choose(BUILDKIT, client, {}, "2").problem
