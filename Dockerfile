# One image for all five processes; the command says which: `python -m gateway`, `python -m auth_service` …
FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 ANIMATIZE_ENV=production ANIMATIZE_WEB_DB_PATH=/data
WORKDIR /app
# A new volume takes over the owner of what it is mounted on.
RUN install -d -o 10001 -g 10001 /data
COPY requirements.lock .
RUN pip install --no-cache-dir --root-user-action=ignore --require-hashes -r requirements.lock
COPY . .
RUN python -m compileall -q . && ln -s /app/animatize/command /usr/local/bin/animatize
USER 10001:10001
CMD ["python", "-m", "gateway"]
