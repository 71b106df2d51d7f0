# The model server alone: OpenVINO, no TensorFlow, no Airflow. `make images` gives BASE by digest.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE} AS packages
COPY include/docker/uv.txt include/docker/faceserve.txt include/docker/trim.sh /tmp/
RUN pip install --no-cache-dir --require-hashes -r /tmp/uv.txt \
    && uv venv /opt/venv \
    && uv pip sync --no-cache --require-hashes --compile-bytecode --python /opt/venv/bin/python /tmp/faceserve.txt \
    && sh /tmp/trim.sh /opt/venv/lib/python3.11/site-packages \
    # Of AWS it knows S3, and how to log in to it.
    && find /opt/venv/lib/python3.11/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name sts ! -name 'sso*' -exec rm -r {} +

FROM ${BASE}
# The folder exists with its owner, because a new volume takes both from the image.
RUN useradd --uid 10001 --create-home faceserve \
    && install -d -o faceserve -g faceserve /var/lib/faceserve
COPY --from=packages /opt/venv /opt/venv
WORKDIR /opt/faceserve
COPY faceserve faceserve
COPY include/__init__.py include/__init__.py
COPY include/contract include/contract
COPY include/docker/__init__.py include/docker/health.py include/docker/

ARG GIT_COMMIT=""
LABEL org.opencontainers.image.revision=$GIT_COMMIT
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/faceserve \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

USER 10001
ENTRYPOINT ["python", "-m", "faceserve"]
CMD ["serve"]
