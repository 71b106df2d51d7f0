# Airflow with DAGs, plugins and the pipeline; the same image runs MLflow, the S3 server and the Helper stand-in.
FROM python:3.11-slim-bookworm

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/retraining \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=2 \
    AIRFLOW_HOME=/var/lib/airflow

# The folders exist with their owner, because a new volume takes both from the image.
RUN useradd --uid 10001 --create-home retraining \
    && install -d -o retraining -g retraining /var/lib/airflow /var/lib/s3

COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir uv==0.13.9 \
    && uv venv /opt/venv \
    && uv pip sync --no-cache --require-hashes --compile-bytecode --python /opt/venv/bin/python /tmp/requirements.txt

WORKDIR /opt/retraining
COPY dags dags
COPY plugins plugins
COPY pipeline pipeline
COPY faceserve faceserve
COPY include include

# Kept with every model that this image registers: --build-arg GIT_COMMIT=$(git rev-parse HEAD)
ARG GIT_COMMIT=""
ENV RETRAIN_GIT_COMMIT=$GIT_COMMIT

USER retraining
CMD ["python", "-m", "pipeline", "--help"]
