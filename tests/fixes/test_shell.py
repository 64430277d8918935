"""Commands of fixes, as a shell would take them apart; what only a shell knows is refused."""

import pytest

from dockerdoctor.fixes.shell import NotOurs, Simple, commands


@pytest.mark.parametrize(
    ("line", "simple"),
    [
        ("systemctl restart docker", [Simple(("systemctl", "restart", "docker"))]),
        (
            "tee /etc/docker/daemon.json <<< '{\n  \"a\": \"it'\\''s\"}'",
            [Simple(("tee", "/etc/docker/daemon.json"), '{\n  "a": "it\'s"}\n')],
        ),
        ("printf '[Match]\\nName=br-*\\n' | tee /etc/n", [Simple(("tee", "/etc/n"), "[Match]\nName=br-*\n")]),
        ("printf '100%% of it' | tee /etc/n", [Simple(("tee", "/etc/n"), "100% of it")]),
        (
            "install -D -m 644 /dev/stdin /etc/x.conf <<'END'\n[Service]\nA=\"$b\"\nEND",
            [Simple(("install", "-D", "-m", "644", "/dev/stdin", "/etc/x.conf"), '[Service]\nA="$b"\n')],
        ),
        ("sed -i 's/;/,/' /a; docker restart web", [Simple(("sed", "-i", "s/;/,/", "/a")), Simple(("docker", "restart", "web"))]),
        ("mkdir -p /a && rm /b", [Simple(("mkdir", "-p", "/a")), Simple(("rm", "/b"))]),
        ("echo '{}' > /etc/d", [Simple(("echo", "{}"), None, "/etc/d")]),
        ("echo a b >> /etc/hosts", [Simple(("echo", "a", "b"), None, "/etc/hosts", append=True)]),
        ('iptables -D F --comment "office 7" ! -o br-+', [Simple(("iptables", "-D", "F", "--comment", "office 7", "!", "-o", "br-+"))]),
    ],
)  # fmt: skip
def test_taken_apart(line, simple):
    assert list(commands(line)) == simple


@pytest.mark.parametrize(
    "line",
    [
        "d=$(mktemp -d) && docker cp web:/app $d",
        "rm /var/lib/docker/*",
        "rm ~/.docker/config.json",
        'echo "$HOME" > /a',
        "kill `pidof dockerd`",
        "false || rm /a",
        "sleep 9 & rm /a",
        "cat < /etc/passwd",
        "curl http://x | sh",
        "docker info 2>/dev/null",
        "echo 'unclosed",
        "openssl s_client | openssl x509 -out /a",
        "echo -e 'a\\tb' | tee /a",
        "echo -n x | tee /a",
        "echo 'a\\tb' | tee /a",
        "printf 'a\\x41' | tee /a",
        "printf 'a\\' | tee /a",
        "systemctl restart docker # now",
        "systemctl stop docker\nrm /a",
        "tee /a <<'END'\nx\nEND\nrm /b\nEND",
        "printf '%s' x | tee /a",
        "(rm /a)",
        "rm /{a,b}",
        "A=b; rm $A",
    ],
)
def test_what_only_a_shell_knows_is_not_ours(line):
    with pytest.raises(NotOurs):
        list(commands(line))
