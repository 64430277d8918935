# A supported Python, small
FROM python:3.13-slim

WORKDIR /app

COPY sample_app /app

# Behind a proxy that build arguments cannot reach, uncomment and fill in (the scheme matters to many clients):
# ENV http_proxy http://host:port
# ENV https_proxy http://host:port

# Where the network has its own package index or certificate authorities: a pip.conf among the files above
ARG PIP_CONFIG_FILE

RUN pip install -r requirements.txt

EXPOSE 80

ENV NAME World

CMD ["python", "app.py"]
