import os
import socket

from dockerdoctor.facts.containers import Containers
from dockerdoctor.host import Host
from dockerdoctor.sample.ports import container_holder, is_free, next_free, process_holder


def test_holder_is_this_process():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert not is_free(port)
        assert next_free(port) > port
        holder = process_holder(Host(), port, Containers(()))
        assert holder
        assert str(os.getpid()) in holder.what
    assert is_free(port)
    assert process_holder(Host(), port, Containers(())) is None


def test_holder_is_a_container():
    web = {
        "Id": "8fc990912a14" + "0" * 52,
        "Names": ["/web"],
        "Image": "nginx",
        "Ports": [{"PublicPort": 4000, "PrivatePort": 80, "Type": "tcp"}, {"PrivatePort": 443, "Type": "tcp"}],
    }
    holder = container_holder(4000, [{"Ports": None}, web])
    assert holder
    assert holder.what == "container web (8fc990912a14)"
    assert container_holder(443, [web]) is None
