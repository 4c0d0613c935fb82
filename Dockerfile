# The environment of the workflow, from the lock. The project itself is mounted:
#   docker build -t cxrcam . && docker run --rm --gpus all --user "$(id -u):$(id -g)" -e HOME=/tmp -v "$PWD:/project" cxrcam
# Not built by its authors, who had no Docker. What it runs is what `make setup` runs, on the same Python and
# Debian, and a test reads it (tests/unit/test_deployment.py).
FROM python:3.11-slim-bookworm
COPY envs/requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --require-hashes -r /tmp/requirements.txt
WORKDIR /project
CMD ["snakemake", "--cores", "all"]
