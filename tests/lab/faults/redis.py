"""Containers that do not get the Redis they want."""

from tests.lab.fault import Fault
from tests.lab.faults.ports import service

IMAGES = {"images": ("busybox", "redis:7-alpine")}
REDIS = "docker run -d --name redis --network app redis:7-alpine"
WEB = "docker run -d --name web --network app --stop-signal KILL -e REDIS_HOST=redis busybox sleep 1000"
WELL = f"docker network create app; {REDIS}; {WEB}; sleep 1"
GONE = "docker rm -f web redis >/dev/null;"
ASKS = "timeout 10 docker exec web sh -c 'printf \"PING\\r\\n\" | nc -w 5 redis 6379' | grep PONG"


def as_configured(command: str = "PING", expected: str = "PONG") -> str:
    """Ask as an application does that reads its settings; passwords are as they come."""
    talk = (
        f'h=${{REDIS_HOST:-redis}}; {{ [ -z "$REDIS_PASSWORD" ] || printf "AUTH $REDIS_PASSWORD\\r\\n"; printf "{command}\\r\\n"; }} '
        "| nc -w 5 $h 6379"
    )
    return f"timeout 10 docker exec web sh -c '{talk}' | grep {expected}"


FAULTS = (
    Fault(
        "redis-name-not-resolved",
        check="redis.name-not-resolved",
        machine=IMAGES,
        setup=WELL,
        broken=ASKS,
        inject=GONE + REDIS.replace(" --network app", "") + ";" + WEB.replace(" --network app", ""),
        verify_fix=True,
    ),
    Fault(
        "redis-name-not-resolved:other-name",
        check="redis.name-not-resolved",
        machine=IMAGES,
        setup=WELL,
        broken=ASKS,
        inject="docker rename redis cache; docker restart -t 0 cache",
        verify_fix=True,
    ),
    Fault(
        "redis-name-not-resolved:nobody",
        check="redis.name-not-resolved",
        machine=IMAGES,
        setup=WELL,
        broken=ASKS,
        inject="docker rm -f redis",
        verify_fix=True,
    ),
    Fault(
        "redis-name-not-resolved:without-root",
        check="redis.name-not-resolved",
        machine=IMAGES,
        setup=WELL + "; useradd --create-home --groups docker ann",
        broken=ASKS,
        inject=GONE + REDIS.replace(" --network app", "") + ";" + WEB.replace(" --network app", ""),
        user="ann",
        verify_fix=True,
    ),
    Fault(
        "redis-name-not-resolved:sample",
        check="redis.optional-unreached",
        severity="warning",
        machine=IMAGES,
        setup=WELL.replace("-e REDIS_HOST=redis busybox", "friendlyhello").replace(
            "docker", "docker tag busybox friendlyhello; docker", 1
        ),
        broken=ASKS,
        inject=GONE
        + REDIS.replace(" --network app", "")
        + "; docker run -d --name web --stop-signal KILL friendlyhello sleep 1000",
        verify_fix=True,
    ),
    Fault(
        "redis-not-running",
        check="redis.server-not-running",
        machine=IMAGES,
        setup=WELL,
        broken=ASKS,
        inject=f"docker rm -f redis; {REDIS} redis-server --appendonly maybe; sleep 1",
        cure=f"docker rm -f redis; {REDIS}; sleep 1",
    ),
    Fault(
        # It is started over and over: that is the cause, and its client's trouble follows from it.
        "ctr-restart-loop:redis",
        check="containers.restart-loop",
        machine=IMAGES,
        setup=WELL,
        broken=ASKS,
        inject=f"docker rm -f redis; {REDIS.replace('docker run', 'docker run --restart always')} redis-server --appendonly maybe; sleep 3",
        cure=f"docker rm -f redis; {REDIS}; sleep 1",
    ),
    Fault(
        "redis-not-running:stopped",
        check="redis.server-not-running",
        machine=IMAGES,
        setup=WELL,
        broken=ASKS,
        inject="docker stop redis",
        verify_fix=True,
    ),
    Fault(
        # The container's port is the cause, and its client's trouble follows from it.
        "port-in-use-by-host-process:redis",
        check="ports.in-use-by-host-process",
        machine=IMAGES,
        setup=WELL.replace("--name redis", "--name redis -p 6379:6379"),
        broken=f"docker start redis && {ASKS}",
        inject="docker stop redis; " + service("other", "/usr/bin/redis-server --port 6379"),
        verify_fix=True,
    ),
    Fault(
        "redis-different-network",
        check="redis.different-network",
        machine=IMAGES,
        setup=WELL,
        broken=ASKS,
        inject="docker network create other; docker network connect other redis; docker network disconnect app redis",
        verify_fix=True,
    ),
    Fault(
        "redis-different-network:by-address",
        check="redis.different-network",
        machine=IMAGES,
        setup=WELL + "; docker network create --subnet 10.99.1.0/24 other",
        broken=as_configured(),
        inject=GONE
        + REDIS.replace("--network app", "--network other --ip 10.99.1.9")
        + ";"
        + WEB.replace("=redis", "=10.99.1.9"),
        verify_fix=True,
    ),
    Fault(
        "redis-host-localhost-in-container",
        check="redis.host-localhost-in-container",
        machine=IMAGES,
        setup=WELL,
        broken=as_configured(),
        inject="docker rm -f web;" + WEB.replace("=redis", "=localhost"),
        cure="docker rm -f web;" + WEB,
    ),
    Fault(
        "redis-host-localhost-in-container:redis-on-host",
        check="redis.host-localhost-in-container",
        machine=IMAGES,
        setup="systemd-run --unit=cache redis-server --protected-mode no; docker network create app; "
        + WEB.replace("=redis", "=host.docker.internal --add-host host.docker.internal:host-gateway"),
        broken=as_configured(),
        inject="docker rm -f web;" + WEB.replace("=redis", "=127.0.0.1"),
        cure="docker rm -f web;"
        + WEB.replace("=redis", "=host.docker.internal --add-host host.docker.internal:host-gateway"),
    ),
    Fault(
        "redis-bind-loopback",
        check="redis.bind-loopback",
        machine=IMAGES,
        setup=WELL,
        broken=ASKS,
        inject=f"docker rm -f redis; {REDIS} redis-server --bind '127.0.0.1 -::1'; sleep 1",
        cure=f"docker rm -f redis; {REDIS}; sleep 1",
    ),
    Fault(
        "redis-bind-loopback:redis-on-host",
        check="redis.bind-loopback",
        machine=IMAGES,
        setup="systemd-run --unit=cache redis-server --protected-mode no; docker network create app; "
        + WEB.replace("=redis", "=host.docker.internal --add-host host.docker.internal:host-gateway"),
        broken=as_configured(),
        inject="systemctl stop cache; systemd-run --unit=cache redis-server --bind 127.0.0.1; sleep 1",
        cure="systemctl stop cache; systemd-run --unit=cache redis-server --protected-mode no; sleep 1",
    ),
    Fault(
        "redis-protected-mode",
        check="redis.protected-mode",
        machine=IMAGES,
        setup=WELL,
        broken=ASKS,
        inject="docker rm -f redis;" + REDIS.replace("run", "run --entrypoint redis-server") + "; sleep 1",
        verify_fix=True,
    ),
    Fault(
        "redis-auth-required",
        check="redis.auth-required",
        machine=IMAGES,
        setup=WELL,
        broken=as_configured(),
        inject=f"docker rm -f redis; {REDIS} redis-server --requirepass s3cret; sleep 1",
        cure="docker rm -f web;" + WEB.replace("-e", "-e REDIS_PASSWORD=s3cret -e"),
    ),
    Fault(
        "redis-auth-required:wrong-password",
        check="redis.auth-required",
        machine=IMAGES,
        setup=(
            WELL.replace("-e", "-e REDIS_PASSWORD=s3cret -e").replace(
                "redis:7-alpine", "redis:7-alpine redis-server --requirepass s3cret"
            )
        ),
        broken=as_configured(),
        inject="docker rm -f web;" + WEB.replace("-e", "-e REDIS_PASSWORD=other -e"),
        cure="docker rm -f web;" + WEB.replace("-e", "-e REDIS_PASSWORD=s3cret -e"),
    ),
    Fault(
        "redis-writes-refused:memory",
        check="redis.writes-refused",
        machine=IMAGES,
        setup=WELL,
        broken=as_configured("SET a b", "+OK"),
        inject=f"docker rm -f redis; {REDIS} redis-server --maxmemory 100kb; sleep 1",
        cure="docker exec redis redis-cli CONFIG SET maxmemory 100mb",
    ),
    Fault(
        "redis-writes-refused:replica",
        check="redis.writes-refused",
        machine=IMAGES,
        setup=WELL,
        broken=as_configured("SET a b", "+OK"),
        inject="docker exec redis redis-cli REPLICAOF 192.0.2.1 6379",
        cure="docker exec redis redis-cli REPLICAOF NO ONE",
    ),
    Fault(
        "redis-writes-refused",
        check="redis.writes-refused",
        machine=IMAGES,
        setup=WELL,
        broken=as_configured("SET a b", "+OK"),
        inject="""
            docker exec redis redis-cli CONFIG SET save '3600 1'
            docker exec redis sh -c 'rm -f /data/dump.rdb; mkdir /data/dump.rdb; touch /data/dump.rdb/in-the-way'
            docker exec redis redis-cli BGSAVE
            sleep 1""",
        cure="docker exec redis rm -r /data/dump.rdb; docker exec redis redis-cli BGSAVE; sleep 1",
    ),
    Fault(
        "redis-firewalled-timeout",
        check="redis.firewalled-timeout",
        machine=IMAGES,
        setup=WELL,
        broken=ASKS,
        # In the server's own namespace, where no check of the host's firewall looks.
        inject="nsenter -t $(docker inspect -f '{{.State.Pid}}' redis) -n iptables -A INPUT -p tcp --dport 6379 -j DROP",
        cure="nsenter -t $(docker inspect -f '{{.State.Pid}}' redis) -n iptables -F INPUT",
    ),
    Fault(
        "redis-loading-or-maxclients",
        check="redis.loading-or-maxclients",
        machine=IMAGES,
        setup=WELL,
        broken=ASKS,
        inject=f"docker rm -f redis; {REDIS} redis-server --maxclients 1; sleep 1; docker exec -d redis redis-cli SUBSCRIBE news; sleep 1",
        cure=f"docker rm -f redis; {REDIS}; sleep 1",
    ),
)
