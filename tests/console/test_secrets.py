"""What is guessed, used twice or taken along: links, passphrases, tokens, and addresses of footage."""

import os
import subprocess
import sys
import time

import pytest

from device.console.signedurls import LIFE_US, PREFIX, AddressError, SignedAddresses
from tests.console.client import Client
from tests.console.reviewing import played
from tests.console.serving import Console
from tests.console.support import PASSPHRASE, PORCH, Household

pytestmark = [pytest.mark.xdist_group("console"), pytest.mark.slow, pytest.mark.timeout(90)]

NOBODY = 65_534


def test_a_link_opens_once(console: Console) -> None:
    """The second who comes with a link gets nothing, and neither does anybody with a link that never was."""
    link = console.link().partition("#open=")[2]
    client = Client(console.port)
    assert client.post("/api/session", link=link)["token"]
    assert client.ask("/api/session", link=link).status == 403
    for guess in ("", "x", link[:-1], link.upper(), "0" * len(link)):
        assert client.ask("/api/session", link=guess).status == 403


def test_guessing_links_leads_nowhere_and_disturbs_nobody(console: Console) -> None:
    """After hundreds of guesses the link that was printed still opens, and a session is still one."""
    link = console.link()
    known = Client.opened(console.port, console.link())
    stranger = Client(console.port)
    for number in range(300):
        assert stranger.ask("/api/session", link=f"{number:064x}").status == 403
    assert known.state()
    assert Client.opened(console.port, link).state()


def test_each_wrong_passphrase_costs_more_time(own_console: Console) -> None:
    """After two the wait doubles, even the right one is not looked at meanwhile, and locking shortens nothing."""
    client = Client.opened(own_console.port, own_console.first_link)
    waits: list[float] = []
    while not waits or waits[-1] < 1.5:
        answer = client.ask("/api/unlock", passphrase="wrong")
        if answer.status == 429:
            assert answer.json["wait_s"] > 0
            assert client.ask("/api/unlock", passphrase=PASSPHRASE).status == 429
            time.sleep(answer.json["wait_s"] + 0.05)
            continue
        assert answer.status == 403
        waits.append(answer.json["wait_s"])
    assert waits == sorted(waits)
    assert waits[0] == 0
    client.ask("/api/lock")
    time.sleep(0.5)
    assert client.state()["wait_s"] > 0
    assert client.ask("/api/unlock", passphrase=PASSPHRASE).status == 429
    time.sleep(client.state()["wait_s"] + 0.05)
    client.post("/api/unlock", passphrase=PASSPHRASE)
    assert client.state()["wait_s"] == 0


def test_guesses_at_once_are_no_more_than_one_after_another(own_console: Console) -> None:
    """Many wrong passphrases in the same moment are not all tried: most are told to wait."""
    client = Client.opened(own_console.port, own_console.first_link)
    guesses = [
        subprocess.Popen([sys.executable, "-P", "-c", _GUESS, str(client.port), str(client.token), f"wrong {number}"],
                         stdout=subprocess.PIPE, text=True)
        for number in range(4)
    ]  # fmt: skip
    answers = [guess.communicate(timeout=60)[0].split() for guess in guesses]
    said = [status for answer in answers for status in answer]
    assert len(said) == 4 * 8
    assert said.count("403") <= 4
    assert set(said) == {"403", "429"}


def test_the_address_of_footage_is_for_that_alone(client: Client, media: str) -> None:
    """Changed anywhere, or put before another thing, it opens nothing; as it is, it does without a token."""
    anybody = Client(client.port)
    whole = anybody.send("GET", media)
    assert whole.status == 200
    assert whole.headers["content-type"] == "video/mp4"
    told, _, mac = media.removeprefix(PREFIX).partition(".")
    swapped = ("A" if told[9] != "A" else "B").join((told[:9], told[10:]))
    for wrong in (
        f"{PREFIX}{swapped}.{mac}", f"{PREFIX}{told}.{mac[:-1]}", f"{PREFIX}{told}.", f"{PREFIX}{told}", PREFIX,
        f"{PREFIX}.{mac}", f"{PREFIX}{told}={mac}", f"{media}x", f"{PREFIX}x/../{told}.{mac}", f"{PREFIX}../api/state",
        f"{PREFIX}%2e%2e%2fapi%2fstate", f"{PREFIX}{told}.{mac[::-1]}", f"{PREFIX}{'A' * 5_000}.{mac}",
    ):  # fmt: skip
        answer = anybody.send("GET", wrong)
        assert answer.status in {401, 403, 404, 414}, wrong
        assert whole.body[:64] not in answer.body


def test_parts_of_footage_are_parts_of_that_footage(client: Client, media: str) -> None:
    """Any range gives those very bytes, and one that is none gives an error, and nothing of what lies beside it."""
    whole = client.send("GET", media).body
    size = len(whole)
    for asked, first, last in (
        ("0-0", 0, 0), ("5-99", 5, 99), (f"{size - 1}-", size - 1, size - 1),
        (f"0-{size * 2}", 0, size - 1),
    ):  # fmt: skip
        answer = client.send("GET", media, headers={"Range": f"bytes={asked}"})
        assert (answer.status, answer.body) == (206, whole[first : last + 1]), asked
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{size}"
    for asked in (
        f"bytes={size}-",
        "bytes=9-5",
        "bytes=-0",
        "bytes=x-y",
        "bytes=0-1,5-6",
        "lines=0-5",
        "bytes=--5",
        "",
    ):
        answer = client.send("GET", media, headers={"Range": asked})
        assert answer.status in {200, 206, 400, 416}, asked
        assert answer.body == whole or answer.status != 200
        assert whole.startswith(answer.body) or answer.status >= 400


def test_an_address_is_too_old_after_its_time() -> None:
    """Until its time is over an address shows what it was made for; after it, or under another key, nothing."""
    addresses = SignedAddresses(b"k" * 32)
    path = addresses.make({"thumbnail": 1}, 1_000)
    assert addresses.read(path, 1_000 + LIFE_US - 1) == {"thumbnail": 1}
    with pytest.raises(AddressError, match="too old"):
        addresses.read(path, 1_000 + LIFE_US)
    with pytest.raises(AddressError):
        SignedAddresses(b"K" * 32).read(path, 1_000)


def test_a_lock_ends_every_address_and_no_session(own_console: Console, household: Household) -> None:
    """What was copied before a lock opens nothing after it, not even once it is unlocked again; the tab goes on."""
    client = Client.opened(own_console.port, own_console.first_link)
    client.unlock()
    url = played(client, household)
    assert client.send("GET", url).status == 200
    cells = own_console.cells()
    client.lock()
    own_console.next_cell(cells)
    assert client.send("GET", url).status == 423
    client.unlock()
    assert client.send("GET", url).status == 403
    assert client.get("/api/home")["devices"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/", "/static", "/static/../guard.py", "/static/..%2fguard.py", "/static/%2e%2e/guard.py",
        "/static//app.js", "/static/main.js/", "/static/main.js%00.css", "/static/....//guard.py",
        "/static/..\\guard.py", "/static/.gitignore", "//etc/passwd", "/etc/passwd", "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd", "/templates/shell.html", "http://localhost/static/main.js", "/api", "/api/",
        "/api/../static/main.js", "/API/state", "/api/state/", "/api//state",
    ],
)  # fmt: skip
def test_no_path_leads_to_a_file(client: Client, path: str) -> None:
    """Only names that are known are served: nothing is made of what stands in a path."""
    answer = client.send("GET", path)
    assert answer.status in {307, 400, 403, 404}, answer.body[:200]
    assert b"root:" not in answer.body
    assert b"import" not in answer.body
    assert "location" not in answer.headers or answer.headers["location"].startswith(f"http://localhost:{client.port}/")


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_another_user_of_the_machine_gets_nothing(client: Client, household: Household) -> None:
    """Neither the daemon's socket nor the key nor the state is another user's to open."""
    paths = [
        household.home(PORCH) / "control.sock",
        household.owner_key,
        household.home(PORCH) / "state.db",
        household.home(PORCH) / "device.toml",
    ]
    for path in paths[:3]:  # whatever folder they lie in
        assert path.stat().st_mode & 0o077 == 0, path
    done = subprocess.run(
        [sys.executable, "-I", "-c", _TRY_ALL, str(NOBODY), *map(str, paths)],
        cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["denied"] * len(paths), done.stderr
    assert client.state()


def test_enter_gives_a_link_at_any_moment(own_console: Console) -> None:
    """Pressed right after a lock, while another process takes over, it gives a link all the same."""
    client = Client.opened(own_console.port, own_console.first_link)
    client.unlock()
    client.post("/api/lock")
    assert Client.opened(own_console.port, own_console.link()).state()["locked"] is True


_GUESS = """
import http.client, json, sys
port, token, guess = sys.argv[1:]
for number in range(8):
    line = http.client.HTTPConnection("127.0.0.1", int(port), timeout=50)
    line.request("POST", "/api/unlock", json.dumps({"passphrase": guess + str(number)}), {
        "Host": f"localhost:{port}", "Content-Type": "application/json", "Authorization": f"Bearer {token}"})
    print(line.getresponse().status)
    line.close()
"""
_TRY_ALL = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
for path in sys.argv[2:]:
    try:
        if path.endswith(".sock"):
            socket.socket(socket.AF_UNIX).connect(path)
        else:
            open(path, "rb").close()
        print("open")
    except (PermissionError, FileNotFoundError):
        print("denied" if not os.access(path, os.R_OK) else "open")
"""
