"""Containers that do not run though they should, or run and are not well."""

from tests.lab.fault import Fault

RUN = "docker run -d --name web --stop-signal KILL"
WELL = f"{RUN} busybox sleep 1000"
GONE = "docker rm -f web >/dev/null;"
# It runs, and did not have to be started again.
RUNS = "sleep 1; test \"$(docker inspect -f '{{.State.Running}} {{.RestartCount}}' web)\" = 'true 0'"
# Long enough for Docker to have tried it again and again.
AGAIN = "; sleep 2"


def program(contents: str, options: str = "--restart always", mode: int = 755) -> str:
    """Replace the container by one that runs a file of these contents."""
    return (
        f"{GONE} printf '{contents}' >/tmp/app; chmod {mode} /tmp/app; "
        f"docker create --name web --stop-signal KILL {options} busybox /app; docker cp /tmp/app web:/app; "
        f"docker start web || true{AGAIN}"
    )


FAULTS = (
    Fault(
        "ctr-exec-format-error",
        check="containers.exec-format",
        setup=WELL,
        broken=RUNS,
        inject=program("exec sleep 1000\\n"),
        verify_fix=True,
    ),
    Fault(
        "ctr-exec-format-error:architecture",
        check="containers.exec-format",
        setup=WELL,
        broken=RUNS,
        # The beginning of a program for arm64.
        inject=program("\\177ELF\\002\\001\\001\\0\\0\\0\\0\\0\\0\\0\\0\\0\\002\\0\\267\\0\\001\\0\\0\\0", options=""),
        cure=GONE + WELL,
    ),
    Fault(
        "ctr-entrypoint-crlf",
        check="containers.line-endings",
        setup=WELL,
        broken=RUNS,
        inject=program("#!/bin/sh\\r\\nexec sleep 1000\\r\\n"),
        verify_fix=True,
    ),
    Fault(
        # Mounted, of a container that nobody restarts, and that a plain user asks about.
        "ctr-entrypoint-crlf:bind-mount",
        check="containers.line-endings",
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} printf '#!/bin/sh\\r\\nexec sleep 1000\\r\\n' >/home/alice/run.sh; chmod 755 /home/alice/run.sh; "
        f"chown alice /home/alice/run.sh; {RUN} -v /home/alice/run.sh:/run.sh busybox /run.sh{AGAIN}",
        user="alice",
        cure="sed -i 's/\\r$//' /home/alice/run.sh; docker restart web",
    ),
    Fault(
        "ctr-entrypoint-crlf:no-interpreter",
        check="containers.interpreter",
        setup=WELL,
        broken=RUNS,
        inject=program("#!/bin/bash\\nexec sleep 1000\\n"),
        cure=GONE + WELL,
    ),
    Fault(
        "ctr-entrypoint-crlf:no-loader",
        check="containers.interpreter",
        setup=WELL,
        broken=RUNS,
        inject=program("")
        + f"; {GONE} docker create --name web busybox /app -l; docker cp /bin/ls web:/app; docker start web{AGAIN}",
        cure=GONE + WELL,
    ),
    Fault(
        "ctr-exit-127-126",
        check="containers.command-found",
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} {RUN} busybox nosuch || true",
        cure=GONE + WELL,
    ),
    Fault(
        "ctr-exit-127-126:hidden-by-volume",
        check="containers.command-found",
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} mkdir /srv/empty; {RUN} --restart unless-stopped -v /srv/empty:/bin busybox /bin/sleep 1000 || true",
        cure=GONE + WELL,
    ),
    Fault(
        "ctr-exit-127-126:not-executable",
        check="containers.command-executable",
        setup=WELL,
        broken=RUNS,
        inject=program("#!/bin/sh\\nexec sleep 1000\\n", mode=644),
        verify_fix=True,
    ),
    Fault(
        "ctr-exit-127-126:in-a-script",
        check="containers.command-found",
        setup=WELL,
        broken=RUNS,
        inject=program("#!/bin/sh\\nset -e\\nmigrate --all\\nexec sleep 1000\\n"),
        cure=GONE + WELL,
    ),
    Fault(
        "ctr-exit-127-126:library",
        check="containers.libraries",
        machine={"images": ("busybox", "redis:7-alpine")},
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} docker create --name web --restart always redis:7-alpine /curl; docker cp /usr/bin/curl web:/curl; docker start web{AGAIN}",
        cure=GONE + WELL,
    ),
    Fault(
        "ctr-restart-loop",
        check="containers.restart-loop",
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} {RUN} --restart=always busybox false{AGAIN}",
        cure=GONE + WELL,
    ),
    Fault(
        # It runs most of the time, and is looked at while it does.
        "ctr-restart-loop:slow",
        check="containers.restart-loop",
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} {RUN} --restart=always busybox sh -c 'sleep 2; echo no database given >&2; exit 3'; sleep 9",
        cure=GONE + WELL,
    ),
    Fault(
        "ctr-restart-loop:given-up",
        check="containers.restart-loop",
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} {RUN} --restart=on-failure:2 busybox false{AGAIN}",
        cure=GONE + WELL,
    ),
    Fault(
        "ctr-restart-loop:dependency",
        check="containers.dependency",
        setup=f"docker network create app; docker run -d --name db --network app --stop-signal KILL busybox sleep 1000; {RUN} --network app --restart always "
        "busybox sh -c 'ping -c1 db && exec sleep 1000'",
        broken=RUNS,
        inject=f"docker stop db; docker restart web{AGAIN}",
        verify_fix=True,
    ),
    Fault(
        "ctr-exits-immediately-0",
        check="containers.foreground",
        severity="warning",
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} {RUN} busybox sh",
        cure=GONE + WELL,
    ),
    Fault(
        "ctr-unhealthy-healthcheck",
        check="containers.healthcheck",
        setup=WELL,
        broken="! docker ps | grep unhealthy",
        inject=f"{GONE} {RUN} --health-cmd 'curl -f http://localhost/' --health-interval 1s --health-retries 1 busybox sleep 1000; sleep 3",
        cure=GONE + WELL,
    ),
    Fault(
        "ctr-unhealthy-healthcheck:application",
        check="containers.healthy",
        setup=WELL,
        broken="! docker ps | grep unhealthy",
        inject=f"{GONE} {RUN} --health-cmd 'wget -qO- http://127.0.0.1/' --health-interval 1s --health-retries 1 busybox sleep 1000; sleep 3",
        cure=GONE + WELL,
    ),
    Fault(
        "ctr-unhealthy-healthcheck:other-port",
        check="containers.healthcheck",
        setup=WELL,
        broken="! docker ps | grep unhealthy",
        inject=f"{GONE} {RUN} --health-cmd 'nc -w 1 127.0.0.1 80' --health-interval 1s --health-retries 1 busybox httpd -f -p 8080; sleep 3",
        cure=GONE + WELL,
    ),
    Fault(
        "res-oom-killed",
        check="containers.oom-killed",
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} {RUN} -m 20m --restart always busybox sh -c 'a=$(dd if=/dev/zero bs=1M count=14 | tr \"\\0\" x); exec sleep 1000'{AGAIN}",
        verify_fix=True,
    ),
    Fault(
        "res-oom-killed:once",
        check="containers.oom-killed",
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} {RUN} -m 20m busybox sh -c 'a=$(dd if=/dev/zero bs=1M count=200 | tr \"\\0\" x)'; docker wait web",
        cure=GONE + WELL,
    ),
    Fault(
        "res-oom-killed:worker",
        check="containers.memory-limit",
        severity="warning",
        setup=f"{RUN} -m 20m busybox sleep 1000",
        broken="docker exec web dd if=/dev/zero of=/dev/null bs=12M count=1",
        inject="docker update --memory 8m --memory-swap 8m web; docker exec web dd if=/dev/zero of=/dev/null bs=12M count=1 || true",
        verify_fix=True,
    ),
    Fault(
        "res-pids-limit",
        check="containers.pids-limit",
        setup=WELL,
        # What one sees of it: the program says so again and again.
        broken="sleep 2; ! docker logs --since 1s web 2>&1 | grep fork",
        inject=f"{GONE} {RUN} --pids-limit 5 busybox sh -c 'while :; do (sleep 99 & sleep 99 & sleep 99 & sleep 99 & sleep 99 &); sleep 1; done'{AGAIN}",
        verify_fix=True,
    ),
    Fault(
        "res-pids-limit:ended",
        check="containers.pids-limit",
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} {RUN} --pids-limit 4 --restart always busybox sh -c 'for i in 1 2 3 4 5 6; do sleep 1000 & done; wait'{AGAIN}",
        verify_fix=True,
    ),
    Fault(
        "net-network-not-found",
        check="containers.network-gone",
        setup=f"docker network create app; {RUN} --network app busybox sleep 1000",
        broken="docker start web",
        inject="docker stop web; docker network rm app",
        verify_fix=True,
    ),
    Fault(
        "net-network-not-found:made-anew",
        check="containers.network-gone",
        setup=f"docker network create app; {RUN} --restart unless-stopped --network app busybox sleep 1000",
        broken="docker start web",
        inject="docker stop web; docker network rm app; docker network create app",
        verify_fix=True,
    ),
    Fault(
        "net-network-not-found:shared",
        check="containers.network-gone",
        setup="docker run -d --name vpn --stop-signal KILL busybox sleep 1000; "
        f"{RUN} --network container:vpn busybox sleep 1000",
        broken="docker start web",
        inject="docker stop web; docker rm -f vpn; docker run -d --name vpn --stop-signal KILL busybox sleep 1000",
        cure=f"{GONE} {RUN} --network container:vpn busybox sleep 1000",
    ),
    Fault(
        # Nobody has tried yet.
        "net-network-not-found:not-tried",
        check="containers.startable",
        severity="warning",
        setup=f"docker network create app; {RUN} --network app busybox sleep 1000; docker stop web",
        broken="test $(docker network ls -q --filter name=^app$ | wc -l) = 1",
        inject="docker network rm app",
        verify_fix=True,
    ),
    Fault(
        "disk-bind-mount-permission",
        check="containers.mount-permission",
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} {RUN} --user 1000 --restart always -v /srv/data:/data busybox sh -c 'mkdir -p /data/cache && exec sleep 1000'{AGAIN}",
        verify_fix=True,
    ),
    Fault(
        "disk-bind-mount-permission:goes-on",
        check="containers.mount-permission",
        setup=f"mkdir /srv/data; chown 1000 /srv/data; {RUN} --user 1000:1000 -v /srv/data:/data busybox "
        "sh -c 'while sleep 0.3; do date >/data/now; done'",
        broken="rm -f /srv/data/now; sleep 1.5; test -e /srv/data/now",
        inject="chown root:root /srv/data; sleep 1",
        verify_fix=True,
    ),
    Fault(
        "disk-bind-mount-permission:read-only",
        check="containers.read-only",
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} {RUN} --read-only --restart always busybox sh -c 'echo $$ >/etc/web.pid && exec sleep 1000'{AGAIN}",
        cure=GONE + WELL,
    ),
    Fault(
        "disk-bind-source-became-directory",
        check="containers.mount-kinds",
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} {RUN} -v /srv/app/hosts:/etc/passwd busybox sleep 1000 || true",
        cure="rmdir /srv/app/hosts; cp /etc/passwd /srv/app/hosts; docker start web",
    ),
    Fault(
        "disk-bind-source-became-directory:volume-gone",
        check="containers.mount-source",
        setup=f"{RUN} -v data:/data busybox sleep 1000",
        broken="docker start web",
        inject="docker stop web; rm -r /var/lib/docker/volumes/data",
        verify_fix=True,
    ),
    Fault(
        "log-driver-invalid-opt:nobody-listens",
        check="containers.log-driver",
        setup=WELL,
        broken=RUNS,
        inject=f"{GONE} {RUN} --log-driver fluentd --log-opt fluentd-address=127.0.0.1:24224 busybox sleep 1000 || true",
        cure=GONE + WELL,
    ),
)
