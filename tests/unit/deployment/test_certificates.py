"""Certificates that are made at the first start and renew themselves: who has which, how long, and who trusts them."""

import re
import stat
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
import yaml
from click.testing import CliRunner
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from kubernetes import client

from include.docker.certificate_secrets import Secrets
from include.stack.certificates import (
    ASKING,
    AUTHORITY,
    CALLERS,
    CERTIFICATE,
    KEY,
    SERVER,
    TRUSTED,
    CertificateError,
    Folders,
    OvertakenError,
    keep,
    main,
)
from include.stack.certifying import issued
from include.stack.layout import REPOSITORY
from tests.fakes.secrets import secrets_api

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOLDERS = (SERVER, *CALLERS)
NAMES = ("faceserve-1", "faceserve-2", "192.0.2.7")


@pytest.fixture
def store(tmp_path):
    return Folders(tmp_path)


class Remembered:
    """Files of each owner, in memory."""

    def __init__(self):
        self.files = {}

    def alone(self):
        return nullcontext()

    def read(self, owner):
        return dict(self.files.get(owner, {}))

    def write(self, owner, files, there):
        if self.read(owner) != there:
            raise OvertakenError(owner)
        self.files[owner] = {**self.files.get(owner, {}), **files}


def certificate(store, owner):
    return x509.load_pem_x509_certificate(store.read(owner)[CERTIFICATE])


def trusts(store, owner, other, now):
    """Whether the certificate of `other` counts for `owner`, by the authorities that it trusts."""
    shown = certificate(store, other)
    if not shown.not_valid_before_utc <= now <= shown.not_valid_after_utc:
        return False
    for one in x509.load_pem_x509_certificates(store.read(owner)[TRUSTED]):
        try:
            shown.verify_directly_issued_by(one)
        except (ValueError, InvalidSignature):
            continue
        if one.not_valid_after_utc >= now:
            return True
    return False


def all_trust(store, now):
    return all(
        trusts(store, owner, other, now)
        for owner in (*HOLDERS, ASKING)
        for other in HOLDERS
        if SERVER in (owner, other)
    )


def test_each_has_a_certificate_in_its_name_and_trusts_the_others_and_nobody_else_has_the_authoritys_key(store):
    assert keep(store, NAMES, NOW) == [*HOLDERS, ASKING]
    assert all_trust(store, NOW)
    assert {owner: set(store.read(owner)) for owner in (*HOLDERS, ASKING)} == {
        **dict.fromkeys(HOLDERS, {CERTIFICATE, KEY, TRUSTED}),
        ASKING: {TRUSTED},
    }
    own = [store.read(owner)[KEY] for owner in (*HOLDERS, AUTHORITY)]
    assert len(set(own)) == len(own)
    for owner in CALLERS:
        (name,) = certificate(store, owner).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert name.value == owner


def test_only_their_owners_read_keys(store):
    keep(store, NAMES, NOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.root.rglob("*") if path.is_file()}
    assert modes == {KEY: 0o600, CERTIFICATE: 0o644, TRUSTED: 0o644}


def test_a_server_is_called_by_every_name_that_was_said_and_by_those_of_its_own_machine(store):
    keep(store, NAMES, NOW)
    said = certificate(store, SERVER).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(said.get_values_for_type(x509.DNSName)) == {"localhost", "faceserve-1", "faceserve-2"}
    assert {str(one) for one in said.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "192.0.2.7"}


def test_asked_again_nothing_is_new_and_with_other_names_the_servers_certificate_alone(store):
    keep(store, NAMES, NOW)
    assert keep(store, NAMES, NOW + timedelta(days=59)) == []
    assert keep(store, (*NAMES, "models.example.com"), NOW) == [SERVER]


def test_what_ends_soon_is_renewed_with_the_same_key(store):
    keep(store, NAMES, NOW)
    keys = {owner: store.read(owner)[KEY] for owner in HOLDERS}
    later = NOW + timedelta(days=61)
    assert keep(store, NAMES, later) == list(HOLDERS)
    assert {owner: store.read(owner)[KEY] for owner in HOLDERS} == keys
    assert all(certificate(store, owner).not_valid_after_utc > later + timedelta(days=89) for owner in HOLDERS)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=8))
def test_whoever_is_looked_at_within_a_month_is_trusted_for_ever(pauses):
    """Through every renewal, the authority's among them: pauses are in days, a long one is many looks."""
    store, now = Remembered(), NOW
    keep(store, NAMES, now)
    for pause in pauses:
        end = now + timedelta(days=pause)
        while now < end:
            assert all_trust(store, min(end, now + timedelta(days=29)))
            now = min(end, now + timedelta(days=29))
            keep(store, NAMES, now)


def test_while_the_authority_changes_those_of_before_and_of_then_trust_each_other(store):
    """A program that reads its files at its start goes on for months."""
    keep(store, NAMES, NOW)
    before = store.read(AUTHORITY)
    later = NOW + timedelta(days=3650 * 2 // 3 + 1)
    keep(store, NAMES, later - timedelta(days=30))
    served = certificate(store, SERVER)
    keep(store, NAMES, later)
    assert store.read(AUTHORITY)[CERTIFICATE] != before[CERTIFICATE]
    assert certificate(store, SERVER) == served, "who trusts the authority of before alone would not get in"
    assert before[TRUSTED] in store.read(ASKING)[TRUSTED]


@pytest.mark.parametrize("written", [(KEY,), (KEY, TRUSTED)])
def test_a_change_of_the_authority_that_was_cut_off_is_made_again(store, written):
    keep(store, NAMES, NOW)
    later = NOW + timedelta(days=3650 * 2 // 3 + 1)
    keep(store, NAMES, later - timedelta(days=30))
    before = store.read(AUTHORITY)
    keep(store, NAMES, later)
    for name in {CERTIFICATE, KEY, TRUSTED} - {*written}:
        (store.root / AUTHORITY / name).write_bytes(before[name])
    keep(store, NAMES, later)
    assert all_trust(store, later) and before[TRUSTED] in store.read(ASKING)[TRUSTED]


def test_after_a_change_of_the_authority_keys_are_kept_however_long_nobody_looked(store):
    keep(store, NAMES, NOW)
    changes = NOW + timedelta(days=3650 * 2 // 3 + 1)
    keep(store, NAMES, changes - timedelta(days=1))
    given = {owner: store.read(owner)[KEY] for owner in HOLDERS}
    keep(store, NAMES, changes)
    assert keep(store, NAMES, changes + timedelta(days=200)) == [*HOLDERS]
    assert {owner: store.read(owner)[KEY] for owner in HOLDERS} == given


def test_an_authority_of_which_nobody_has_a_certificate_any_more_is_trusted_until_its_last_one_has_ended(store):
    """A program that reads its files at its start still shows one that is in nobody's files."""
    keep(store, NAMES, NOW)
    before = store.read(AUTHORITY)[CERTIFICATE]
    changes = NOW + timedelta(days=3650 * 2 // 3 + 1)
    keep(store, NAMES, changes - timedelta(days=1))
    for owner in HOLDERS:
        for file in (store.root / owner).iterdir():
            file.unlink()
    for days in range(0, 90, 29):
        keep(store, NAMES, changes + timedelta(days=days))
        assert all(before in store.read(owner)[TRUSTED] for owner in (*HOLDERS, ASKING))
    keep(store, NAMES, changes + timedelta(days=91))
    assert not [owner for owner in (*HOLDERS, ASKING) if before in store.read(owner)[TRUSTED]]


def test_an_authority_that_was_thrown_away_is_trusted_by_nobody(store):
    keep(store, NAMES, NOW)
    before = store.read(AUTHORITY)[CERTIFICATE]
    for file in (store.root / AUTHORITY).iterdir():
        file.unlink()
    assert keep(store, NAMES, NOW) == [*HOLDERS, ASKING]
    assert all_trust(store, NOW)
    assert not [owner for owner in (*HOLDERS, ASKING) if before in store.read(owner)[TRUSTED]]


@pytest.mark.parametrize(
    ("owner", "name"),
    [*((owner, name) for owner in HOLDERS for name in (CERTIFICATE, KEY, TRUSTED)), (ASKING, TRUSTED)],
)
@pytest.mark.parametrize("damage", [None, b"", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"])
def test_what_is_lost_or_damaged_is_made_anew_for_whoever_had_it(store, owner, name, damage):
    keep(store, NAMES, NOW)
    path = store.root / owner / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    assert keep(store, NAMES, NOW) == [owner]
    assert all_trust(store, NOW) and keep(store, NAMES, NOW) == []


@pytest.mark.parametrize("body", [b"\0", None])
@pytest.mark.parametrize("name", [CERTIFICATE, KEY, TRUSTED])
def test_a_damaged_authority_is_told_of_and_no_other_takes_its_place(store, name, body):
    """Without a body it has the file of another owner, where that is of another kind or of another key."""
    keep(store, NAMES, NOW)
    wrong = body or store.read(SERVER)[KEY]
    (store.root / AUTHORITY / name).write_bytes(wrong)
    with pytest.raises(CertificateError, match="bring it back, or delete it"):
        keep(store, NAMES, NOW)
    assert (store.root / AUTHORITY / name).read_bytes() == wrong


@pytest.mark.parametrize("written", [(), (KEY,), (KEY, TRUSTED)])
def test_a_first_start_that_was_cut_off_begins_again(store, written):
    keep(store, NAMES, NOW)
    for file in store.root.rglob("*.*"):
        if file.parent.name != AUTHORITY or file.name not in written:
            file.unlink()
    assert keep(store, NAMES, NOW) == [*HOLDERS, ASKING]
    assert all_trust(store, NOW)


def keys(store):
    return {store.read(owner)[KEY] for owner in (AUTHORITY, *HOLDERS)}


def test_what_was_revoked_opens_nothing_and_no_key_of_then_is_used_again(store):
    keep(store, NAMES, NOW)
    leaked, trusted = keys(store), store.read(ASKING)[TRUSTED]
    shown = {owner: certificate(store, owner) for owner in HOLDERS}
    assert keep(store, NAMES, NOW, revoke=True) == [*HOLDERS, ASKING]
    assert not keys(store) & leaked and all_trust(store, NOW)
    for owner in (*HOLDERS, ASKING):
        (own,) = x509.load_pem_x509_certificates(store.read(owner)[TRUSTED])
        assert not [one for one in shown.values() if issued(one, own)]
        assert own not in x509.load_pem_x509_certificates(trusted)
    assert keep(store, NAMES, NOW) == []


def assert_revoked(store, leaked, trusted, now):
    """No key of then is used, nobody trusts whom all trusted then, and all is well."""
    assert not keys(store) & leaked and all_trust(store, now)
    for owner in (*HOLDERS, ASKING):
        assert trusted not in store.read(owner)[TRUSTED]
    assert keep(store, NAMES, now) == []


class Meeting(Folders):
    """Whoever reads the files of `owner` first meets `other`, which does what it can until then."""

    def meet(self, owner, other):
        object.__setattr__(self, "meets", (owner, other))

    def read(self, owner):
        found = super().read(owner)
        met, other = getattr(self, "meets", ("", None))
        if owner == met:
            object.__setattr__(self, "meets", ("", None))
            other.start()
            # It ends now, or waits for whoever is here.
            other.join(0.5)
        return found


@pytest.mark.parametrize("owner", [AUTHORITY, SERVER, "access", ASKING])
def test_what_is_revoked_while_certificates_are_looked_after_stays_revoked(tmp_path, owner):
    store, later = Meeting(tmp_path), NOW + timedelta(days=61)
    keep(store, NAMES, NOW)
    leaked, trusted = keys(store), store.read(ASKING)[TRUSTED]
    revokes = Thread(target=keep, args=(Folders(tmp_path), NAMES, later), kwargs={"revoke": True})
    store.meet(owner, revokes)
    keep(store, NAMES, later)
    revokes.join()
    assert_revoked(store, leaked, trusted, later)


@pytest.mark.parametrize("body", [b"\0", None])
def test_what_cannot_be_read_is_revoked_too(store, body):
    keep(store, NAMES, NOW)
    leaked = keys(store)
    for path in (store.root / AUTHORITY).iterdir():
        path.unlink() if body is None else path.write_bytes(body)
    assert keep(store, NAMES, NOW, revoke=True) == [*HOLDERS, ASKING]
    assert not keys(store) & leaked and all_trust(store, NOW)


def test_a_key_whose_authority_was_thrown_away_gets_no_certificate_of_another(store):
    keep(store, NAMES, NOW)
    leaked = keys(store)
    for path in (store.root / AUTHORITY).iterdir():
        path.unlink()
    keep(store, NAMES, NOW)
    assert not keys(store) & leaked


@pytest.mark.parametrize("days", [200, 3000, 20 * 365, -200, -3000])
def test_what_was_made_while_the_clock_was_wrong_is_made_anew_once_it_is_right(store, days):
    keep(store, NAMES, NOW)
    keep(store, NAMES, NOW + timedelta(days=days))
    keep(store, NAMES, NOW)
    assert all_trust(store, NOW)
    for owner in HOLDERS:
        assert counts(certificate(store, owner), NOW)
    assert counts(certificate(store, AUTHORITY), NOW)
    # A first start with a wrong clock, too.
    other = Remembered()
    keep(other, NAMES, NOW + timedelta(days=days))
    keep(other, NAMES, NOW)
    assert all_trust(other, NOW)


def counts(one, now):
    return one.not_valid_before_utc <= now <= one.not_valid_after_utc


def test_an_authority_that_a_wrong_clock_took_for_ended_is_still_trusted(store):
    keep(store, NAMES, NOW)
    before = store.read(AUTHORITY)[CERTIFICATE]
    keep(store, NAMES, NOW + timedelta(days=20 * 365))
    keep(store, NAMES, NOW)
    assert before in store.read(SERVER)[TRUSTED], "who reads his files at his start still shows one of it"


def test_nothing_that_is_trusted_is_about_to_end(store):
    """It is watched: an alert would go on for years."""
    now, seen = NOW, set()
    while now < NOW + timedelta(days=14 * 365):
        keep(store, NAMES, now)
        for owner in (AUTHORITY, *HOLDERS, ASKING):
            trusted = x509.load_pem_x509_certificates(store.read(owner)[TRUSTED])
            assert min(one.not_valid_after_utc for one in trusted) > now + timedelta(days=14)
            seen.add(len(trusted))
        now += timedelta(days=29)
    assert seen == {1, 2}, "one, and while the authority changes two"


@pytest.mark.parametrize(
    ("name", "said"), [("모델.example", "xn--bo1b89k.example"), ("*.models.example", "*.models.example")]
)
def test_a_server_is_called_by_names_as_dns_has_them(store, name, said):
    keep(store, (name,), NOW)
    names = certificate(store, SERVER).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert said in names.get_values_for_type(x509.DNSName)


@pytest.mark.parametrize("name", ["a,b", "https://models.example", "models.example:8500", "a..b", "a" * 64, "a b", "*"])
@pytest.mark.parametrize("had", [True, False])
def test_a_name_that_is_none_is_refused_in_a_sentence_before_anything_changes(store, had, name):
    if had:
        keep(store, NAMES, NOW)
    before = {path: path.read_bytes() for path in store.root.rglob("*.*")}
    with pytest.raises(CertificateError, match=f"^'{re.escape(name)}' is no name of a host: names are such as"):
        keep(store, (*NAMES, name), NOW, revoke=True)
    assert {path: path.read_bytes() for path in store.root.rglob("*.*")} == before


def test_revoking_is_said_on_the_command_line(tmp_path):
    assert CliRunner().invoke(main, [str(tmp_path), "a"]).exit_code == 0
    before = (tmp_path / "pipeline" / KEY).read_bytes()
    assert CliRunner().invoke(main, [str(tmp_path), "a"]).output == "new certificates: none\n"
    assert CliRunner().invoke(main, ["--revoke", str(tmp_path), "a"]).exit_code == 0
    assert (tmp_path / "pipeline" / KEY).read_bytes() != before


# As Secrets of Kubernetes


@pytest.fixture
def cluster():
    with secrets_api() as api:
        yield api


def of(api):
    return Secrets(client.CoreV1Api(client.ApiClient(client.Configuration(host=api.url))), "retraining")


def test_in_kubernetes_each_has_a_secret_of_its_own_and_a_renewal_changes_those_that_are_there(cluster):
    secrets = of(cluster)
    assert keep(secrets, NAMES, NOW) == [*HOLDERS, ASKING]
    assert set(cluster.data) == {f"certificates-{owner}" for owner in (AUTHORITY, *HOLDERS, ASKING)}
    assert all_trust(secrets, NOW) and keep(secrets, NAMES, NOW) == []
    later = NOW + timedelta(days=61)
    cluster.asked.clear()
    assert keep(secrets, NAMES, later) == list(HOLDERS) and all_trust(secrets, later)
    before = keys(secrets)
    keep(secrets, NAMES, later, revoke=True)
    assert not keys(secrets) & before and all_trust(secrets, later)
    assert {verb for verb, _ in cluster.asked} == {"get", "patch"}


def test_in_kubernetes_nothing_is_asked_that_the_manifests_do_not_allow(cluster):
    keep(of(cluster), NAMES, NOW)
    keep(of(cluster), NAMES, NOW + timedelta(days=61))
    manifests = yaml.safe_load_all((REPOSITORY / "include/k8s/base/certificates.yaml").read_text())
    (rules,) = [m["rules"] for m in manifests if m["kind"] == "Role"]
    allowed = {(verb, name) for rule in rules for verb in rule["verbs"] for name in rule.get("resourceNames", [""])}
    assert {(verb, "" if verb == "create" else name) for verb, name in cluster.asked} <= allowed


def test_who_may_not_read_secrets_makes_no_others(cluster, monkeypatch):
    monkeypatch.setattr(cluster, "answer", lambda *asked: (403, {"kind": "Status", "code": 403}))
    with pytest.raises(client.ApiException, match="403"):
        keep(of(cluster), NAMES, NOW)
    assert cluster.data == {}


@pytest.mark.parametrize("revokes_first", [True, False])
def test_in_kubernetes_what_is_revoked_while_certificates_are_looked_after_stays_revoked(monkeypatch, revokes_first):
    """At whatever request of the one the other does all of its own."""
    requests, later = 0, NOW + timedelta(days=61)
    while True:
        with secrets_api() as cluster:
            secrets = of(cluster)
            keep(secrets, NAMES, NOW)
            leaked, trusted = keys(secrets), secrets.read(ASKING)[TRUSTED]
            met = meets(
                monkeypatch, cluster, requests, lambda: keep(of(cluster), NAMES, later, revoke=not revokes_first)
            )
            keep(secrets, NAMES, later, revoke=revokes_first)
            if not met:
                break
            assert_revoked(secrets, leaked, trusted, later)
        requests += 1
    assert requests > len(HOLDERS)


def meets(monkeypatch, cluster, request, other):
    """Before its `request` from now on the API answers all that `other` asks; not empty once that was so."""
    answer, asked, met = cluster.answer, [], []

    def answered(*said):
        asked.append(said)
        if len(asked) == request + 1:
            met.append(other())
        return answer(*said)

    monkeypatch.setattr(cluster, "answer", answered)
    return met


def test_who_is_overtaken_again_and_again_says_so(monkeypatch, cluster):
    answer = cluster.answer
    monkeypatch.setattr(
        cluster, "answer", lambda verb, *said: (409, {"code": 409}) if verb == "create" else answer(verb, *said)
    )
    with pytest.raises(CertificateError, match="somebody else goes on changing the certificates"):
        keep(of(cluster), NAMES, NOW)
