"""Two independent faults on one machine: each is named as a root cause, and neither hides the other."""

# By their ids; those of one pair share no container, no file and no port.
PAIRS = (
    ("net-ip-forward-off", "ctr-exec-format-error"),
    ("net-docker-user-drop", "ctr-unhealthy-healthcheck"),
    ("net-docker-chains-flushed:nat", "proxy-config-json-invalid"),
    ("net-second-nft-hook-drop", "ctr-exits-immediately-0"),
    ("net-masquerade-missing", "res-oom-killed"),
    ("net-mtu-blackhole:nft", "net-network-not-found"),
    ("dns-daemon-json-dead-server:silent", "ctr-restart-loop"),
    ("dns-daemon-side-lookup:refused", "redis-auth-required"),
    ("dns-daemon-side-lookup:silent", "disk-bind-mount-permission"),
    ("daemon-json-syntax:still-running", "ctr-restart-loop:given-up"),
    ("daemon-json-hosts-conflict:still-running", "net-ip-forward-off"),
    ("daemon-json-not-reloaded", "ctr-exit-127-126"),
    ("proxy-url-without-scheme:dockerfile", "ctr-entrypoint-crlf"),
    ("registry-mirror-dead:the-only-one", "disk-bind-source-became-directory"),
    ("registry-mirror-dead", "net-docker-user-drop"),
    ("redis-different-network", "net-forward-drop-other-firewall"),
    ("redis-protected-mode", "registry-mirror-dead:the-only-one"),
    ("port-in-use-by-host-process", "net-ip-forward-off"),
    ("port-app-binds-loopback", "net-docker-user-drop:tcp"),
)
