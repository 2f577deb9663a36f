# fuxibench for CPUs, with the versions that this release is tested with.
#   docker build -t fuxibench .
#   docker run --rm -v "$PWD:/workspace" fuxibench run quickstart
FROM python:3.11-slim

WORKDIR /opt/fuxibench
COPY requirements.txt ./
# torch for CPUs first: the default one brings gigabytes of CUDA
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu "$(grep '^torch==' requirements.txt)" \
    && pip install --no-cache-dir -r requirements.txt
COPY pyproject.toml setup.py README.md LICENSE ./
COPY fuxi_plugins ./fuxi_plugins
COPY benchmark_configs ./benchmark_configs
COPY results/published ./results/published
COPY results/speed ./results/speed
RUN pip install --no-cache-dir --no-deps .

WORKDIR /workspace
ENTRYPOINT ["fuxibench"]
CMD ["run", "quickstart"]
