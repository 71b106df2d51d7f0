"""Until when certificates count is told as long as it is true, and to no end of names."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from cryptography import x509
from prometheus_client import CollectorRegistry

from faceserve.protocols.certificates import Certificates
from faceserve.protocols.tls import Tls
from tests.replica.certificates import Authority

NAME = "faceserve_certificate_expiry_timestamp_seconds"
DAY = 86400


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def clock():
    return SimpleNamespace(now=datetime.now(UTC).timestamp())


def watched(clock, whole=lambda: True, **files):
    made = Certificates(files, lambda: clock.now, whole)
    registry = CollectorRegistry()
    registry.register(made)

    def told():
        samples = (sample for family in registry.collect() for sample in family.samples)
        return {(s.labels["certificate"], s.labels["caller"]): s.value for s in samples if s.name == NAME}

    return made, told


def end_of(path):
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()


def test_each_certificate_tells_its_end(authority, clock):
    _, told = watched(clock, server=authority.server.certificate, client_ca=authority.certificate)
    found = told()
    assert found == {
        ("server", ""): end_of(authority.server.certificate),
        ("client_ca", ""): end_of(authority.certificate),
    }
    assert found["client_ca", ""] - found["server", ""] == pytest.approx(3600, abs=60)


def test_a_chain_counts_until_the_first_of_it_does_not(authority, tmp_path, clock):
    chain, short = tmp_path / "chain.pem", authority.pair("short", hours=0.5).certificate
    chain.write_bytes(authority.server.certificate.read_bytes() + short.read_bytes())
    _, told = watched(clock, server=chain)
    assert told() == {("server", ""): end_of(short)}


def test_a_new_file_counts_without_a_restart(authority, clock):
    _, told = watched(clock, server=authority.server.certificate)
    before = told()["server", ""]
    authority.pair("server", hours=30 * 24)
    assert told()["server", ""] - before == pytest.approx(30 * DAY - 3600, abs=60)


def test_half_of_a_new_pair_is_not_what_the_ports_show(authority, clock):
    ours = Tls(authority.server.certificate, authority.server.key)
    _, told = watched(clock, lambda: ours.whole, server=ours.certificate)
    before, key = told(), ours.key.read_bytes()
    authority.pair("server", hours=30 * 24)
    renewed_key = ours.key.read_bytes()
    ours.key.write_bytes(key)
    assert told() == before
    ours.key.write_bytes(renewed_key)
    assert told() == {("server", ""): end_of(ours.certificate)} != before


@pytest.mark.parametrize("text", [None, b"", b"-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n", b"\xff"])
def test_of_a_file_that_says_nothing_it_is_unknown(tmp_path, authority, clock, text):
    file = tmp_path / "odd.pem"
    if text is not None:
        file.write_bytes(text)
    _, told = watched(clock, server=file, client_ca=authority.certificate)
    assert told().keys() == {("client_ca", "")}


def test_a_callers_is_told_for_a_day_after_it_was_shown_last(authority, clock):
    made, told = watched(clock)
    made.seen("pipeline", authority.client.certificate.read_bytes())
    clock.now += DAY - 1
    assert told() == {("caller", "pipeline"): end_of(authority.client.certificate)}
    made.seen("pipeline", authority.pair("client", hours=5).certificate.read_bytes())
    clock.now += DAY - 1
    assert told() == {("caller", "pipeline"): end_of(authority.client.certificate)}
    clock.now += 1
    assert told() == {}


def test_of_several_that_one_caller_shows_the_first_to_end_is_told(authority, clock):
    """Two programs of one name, of which only one had its copy renewed; whoever comes last."""
    made, told = watched(clock)
    ends_first, renewed = (authority.pair(f"client-{hours}", hours=hours).certificate for hours in (2, 500))
    for one in (ends_first, renewed, ends_first, renewed):
        made.seen("pipeline", one.read_bytes())
        assert told() == {("caller", "pipeline"): end_of(ends_first)}
    clock.now += DAY - 1
    made.seen("pipeline", renewed.read_bytes())
    clock.now += 1
    assert told() == {("caller", "pipeline"): end_of(renewed)}, "nobody has shown the other for a day"


def test_what_a_caller_shows_that_cannot_be_read_harms_nobody(clock):
    made, told = watched(clock)
    made.seen("pipeline", b"")
    assert told() == {}
