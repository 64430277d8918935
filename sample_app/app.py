"""The tutorial's hello page: a greeting, the container's name, and a visits counter kept in Redis."""

import os
import socket

from flask import Flask
from redis import Redis, RedisError

app = Flask(__name__)
# Two seconds and no second try: a page without a counter beats a page that never comes.
redis = Redis(host="redis", db=0, socket_connect_timeout=2, socket_timeout=2, retry=None)


@app.route("/")
def hello():
    try:
        visits = redis.incr("counter")
    except RedisError:
        visits = "<i>cannot connect to Redis, counter disabled</i>"
    name, hostname = os.getenv("NAME", "world"), socket.gethostname()
    return f"<h3>Hello {name}!</h3><b>Hostname:</b> {hostname}<br/><b>Visits:</b> {visits}"


if __name__ == "__main__":
    # All interfaces of the container: a published port cannot reach its loopback.
    app.run(host="0.0.0.0", port=80)
