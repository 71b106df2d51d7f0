# The model server alone: OpenVINO, no TensorFlow, no Airflow.
FROM python:3.11-slim-bookworm

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/faceserve \
    PYTHONUNBUFFERED=1

# The folder exists with its owner, because a new volume takes both from the image.
RUN useradd --uid 10001 --create-home faceserve \
    && install -d -o faceserve -g faceserve /var/lib/faceserve

COPY include/docker/faceserve.txt /tmp/requirements.txt
RUN pip install --no-cache-dir uv==0.13.9 \
    && uv venv /opt/venv \
    && uv pip sync --no-cache --require-hashes --compile-bytecode --python /opt/venv/bin/python /tmp/requirements.txt

WORKDIR /opt/faceserve
COPY faceserve faceserve
COPY include/__init__.py include/__init__.py
COPY include/contract include/contract
COPY include/docker include/docker

USER faceserve
ENTRYPOINT ["python", "-m", "faceserve"]
CMD ["serve"]
