"""Replicas behind a name: the fleet is whatever the name has at this moment."""

import socket
from contextlib import ExitStack

import pytest

from include.stack.ports import free_ports
from pipeline.adapters.replica_addresses import expanded, resolved
from pipeline.adapters.serving_fleet import GrpcServingFleet, Replicas, client_tls
from pipeline.domain.errors import ServiceUnavailable
from pipeline.domain.models import Artifact, ModelType
from tests.replica.certificates import Authority
from tests.replica.world import TOKEN, replica
from tests.tiny_model import FolderSource

LAUNDRY = ModelType.LAUNDRY
IPS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


class Name:
    """What a resolver says of `faceserve-headless`, and may say otherwise a moment later."""

    def __init__(self, *ips):
        self.ips = list(ips)

    def __call__(self, host, port):
        assert host == "faceserve-headless"
        if not self.ips:
            raise socket.gaierror(-2, "Name or service not known")
        return self.ips


@pytest.fixture(scope="module")
def port():
    (free,) = free_ports(1)
    return free


@pytest.fixture(scope="module")
def source(tmp_path_factory, port):
    """The store of three replicas, which listen on one port of three addresses."""
    made = FolderSource()
    with ExitStack() as stack:
        for ip in IPS:
            stack.enter_context(
                replica(tmp_path_factory.mktemp("state"), made, host=ip, lifecycle_port=port, replica=ip)
            )
        yield made


def fleet_of(name, port, **changes):
    return GrpcServingFleet(Replicas([f"dns:///faceserve-headless:{port}"], TOKEN, 60, 60, resolve=name, **changes))


def artifact(source, version):
    from tests.tiny_model import tiny_artifact

    uri = f"s3://models/{version}/"
    return Artifact(uri, source.put(uri, tiny_artifact(sharpness=4.0 + int(version.split(".")[1]))))


def serving(fleet):
    return {one.replica.rpartition(":")[0]: one.version for one in fleet.serving(LAUNDRY)}


def test_a_fleet_that_grows_and_shrinks_is_changed_wherever_it_is(source, port):
    name = Name(*IPS[:2])
    fleet = fleet_of(name, port)
    fleet.activate(LAUNDRY, fleet.prepare(LAUNDRY, "v1.0.0", artifact(source, "v1.0.0")))
    assert serving(fleet) == dict.fromkeys(IPS[:2], "v1.0.0")
    name.ips.append(IPS[2])
    fleet.activate(LAUNDRY, fleet.prepare(LAUNDRY, "v1.1.0", artifact(source, "v1.1.0")))
    assert serving(fleet) == dict.fromkeys(IPS, "v1.1.0")
    name.ips.remove(IPS[0])
    fleet.activate(LAUNDRY, fleet.prepare(LAUNDRY, "v1.2.0", artifact(source, "v1.2.0")))
    assert serving(fleet) == dict.fromkeys(IPS[1:], "v1.2.0")
    assert serving(fleet_of(Name(IPS[0]), port)) == {IPS[0]: "v1.1.0"}


def test_one_that_joins_between_preparing_and_activating_does_not_end_the_change(source, port):
    name = Name(*IPS[:2])
    fleet = fleet_of(name, port)
    prepared = fleet.prepare(LAUNDRY, "v1.3.0", artifact(source, "v1.3.0"))
    name.ips[:] = IPS[1:]
    swap = fleet.activate(LAUNDRY, prepared)
    assert swap.replicas == (f"{IPS[1]}:{port}",)


def test_without_an_answer_of_the_resolver_nothing_is_activated_and_the_fault_is_told(source, port):
    name = Name(*IPS)
    fleet = fleet_of(name, port)
    prepared = fleet.prepare(LAUNDRY, "v1.4.0", artifact(source, "v1.4.0"))
    name.ips.clear()
    with pytest.raises(ServiceUnavailable):
        fleet.activate(LAUNDRY, prepared)
    (one,) = fleet.serving(LAUNDRY)
    assert one.replica == f"dns:///faceserve-headless:{port}" and one.fault
    name.ips.extend(IPS)
    assert "v1.4.0" not in serving(fleet).values()


def test_one_of_them_may_be_taken_out_of_rotation(port):
    fleet = fleet_of(Name(*IPS), port, out_of_rotation=[f"{IPS[0]}:{port}"])
    assert fleet.skipped() == (f"{IPS[0]}:{port}",)
    assert set(serving(fleet)) == set(IPS[1:])


def test_behind_a_name_the_certificate_has_the_name(tmp_path):
    authority = Authority(tmp_path)
    tls = client_tls(authority.certificate, None, None)
    pair = {"tls_certificate": authority.server.certificate, "tls_key": authority.server.key}
    with replica(tmp_path / "state", host="127.0.0.2", **pair) as world:
        address = f"dns:///localhost:{world.server.lifecycle_port}"
        fleet = GrpcServingFleet(Replicas([address], TOKEN, tls=tls, resolve=lambda host, port: ["127.0.0.2"]))
        (one,) = fleet.serving(LAUNDRY)
        assert (one.version, one.fault) == (None, "")


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        (["10.0.0.1:8600"], ["10.0.0.1:8600"]),
        (["dns:///six:8600"], ["[::1]:8600"]),
        (["dns:///two:8600", "10.0.0.1:8600"], ["10.0.0.1:8600", "10.0.0.2:8600"]),
        (["dns:///nobody:8600"], ["dns:///nobody:8600"]),
        (["dns:///two"], ["dns:///two"]),
        (["dns:///two:http"], ["dns:///two:http"]),
    ],
)
def test_every_address_is_asked_once_and_an_odd_one_stays_as_it_is(addresses, found):
    names = {"six": ["::1"], "two": ["10.0.0.2", "10.0.0.1", "10.0.0.2"], "nobody": []}
    assert list(expanded(addresses, (), lambda host, port: names[host])) == found


def test_the_machines_own_resolver_is_asked():
    assert "127.0.0.1" in resolved("localhost", 8600)
