# Airflow with DAGs, plugins and the pipeline; the same image runs MLflow, the S3 server and the Helper stand-in.
# PACKAGES=training also trains, on processors, and PACKAGES=training-cuda on GPUs of NVIDIA.
# `make images` gives BASE by digest.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE} AS packages
ARG PACKAGES=application
COPY include/docker/uv.txt include/docker/${PACKAGES}.txt include/docker/trim.sh /tmp/
RUN pip install --no-cache-dir --require-hashes -r /tmp/uv.txt \
    && uv venv /opt/venv \
    && uv pip sync --no-cache --require-hashes --compile-bytecode --python /opt/venv/bin/python /tmp/${PACKAGES}.txt \
    && sh /tmp/trim.sh /opt/venv/lib/python3.11/site-packages
COPY include/stack/face_weights.py /tmp/
# The network that faces are learned with; `pipeline/learning/faces/base_weights.py` looks for it there.
RUN case ${PACKAGES} in training*) python /tmp/face_weights.py /opt/venv/share/face-api-1.7.15 ;; esac

FROM ${BASE}
# PostgreSQL's programs copy, fetch the log of, and rebuild the databases; no cluster is made here.
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-common \
    && sed -ri 's/#(create_main_cluster) .*$/\1 = false/' /etc/postgresql-common/createcluster.conf \
    && apt-get install -y --no-install-recommends postgresql-15 \
    && rm -rf /var/lib/apt/lists/*
# The folders exist with their owner, because a new volume takes both from the image.
RUN useradd --uid 10001 --create-home retraining \
    && install -d -o retraining -g retraining /var/lib/accounts /var/lib/airflow /var/lib/door-tokens /var/lib/log-on-its-way \
        /var/lib/s3 /var/lib/signing-key /var/lib/verifying-key /var/lib/certificates /var/lib/certificates/authority \
        /var/lib/certificates/faceserve /var/lib/certificates/pipeline /var/lib/certificates/access /var/lib/certificates/clients
COPY --from=packages /opt/venv /opt/venv
WORKDIR /opt/retraining
COPY dags dags
COPY plugins plugins
COPY pipeline pipeline
COPY faceserve faceserve
COPY include include

# Kept with every model that this image registers: --build-arg GIT_COMMIT=$(git rev-parse HEAD)
ARG GIT_COMMIT=""
LABEL org.opencontainers.image.revision=$GIT_COMMIT
# What packages keep for themselves goes where a container with a read-only image may write.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONPATH=/opt/retraining \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TF_CPP_MIN_LOG_LEVEL=2 \
    AIRFLOW_HOME=/var/lib/airflow \
    RETRAIN_GIT_COMMIT=$GIT_COMMIT

USER 10001
CMD ["python", "-m", "pipeline", "--help"]
