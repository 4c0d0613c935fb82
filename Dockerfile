# The environment of the workflow, from the lock. The project itself is mounted:
#   docker build -t cxrcam . && docker run --rm --gpus all --user "$(id -u):$(id -g)" -v "$PWD:/project" cxrcam
# Built with buildah on a base made from Debian's packages (no registry of images could be reached), and the demo
# planned in it (--dry-run) as a user without an account. Docker itself and GPUs were not tried.
FROM python:3.11-slim-bookworm
COPY envs/requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --require-hashes -r /tmp/requirements.txt
# The user of --user has no account here, but Snakemake asks for a name.
ENV HOME=/tmp USER=cxrcam
WORKDIR /project
CMD ["snakemake", "--cores", "all"]
