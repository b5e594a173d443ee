"""The image: what is in it, what is not, and how a process in it ends that cannot start."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import docker
import pytest
from docker import DockerClient
from docker.types import Mount

from tests.processes import ROOT

PACKAGES: Final = {
    "animatize",
    "chassis",
    "gateway",
    "auth_service",
    "settings_service",
    "runs_service",
    "vault_service",
}
SECRETS_OF_BUILDS: Final = re.compile(r"(?i)secret_key=|api_key=|password|token=|//[^/ ]+:[^/ ]+@")


def said(engine: DockerClient, image: str, *command: str, **rest: Any) -> str:
    """What a container of the image says that runs one command and is gone."""
    output: bytes = engine.containers.run(image, list(command), remove=True, network_mode="none", **rest)
    return output.decode()


def test_the_image_holds_what_runs_and_nothing_else(engine: DockerClient, image: str) -> None:
    assert set(said(engine, image, "ls", "-A", "/app").split()) == PACKAGES | {"requirements.lock"}
    left = said(engine, image, "sh", "-c", "cd && find . /tmp /data /var/tmp -type f", user="0").split()
    assert set(left) <= {"./.bashrc", "./.profile"}, "no cache of pip, no data"
    assert said(engine, image, "find", "/app", "(", "-user", "10001", "-o", "-perm", "/o=w", ")") == ""


def test_the_image_is_compiled_so_that_a_read_only_container_starts_fast(engine: DockerClient, image: str) -> None:
    compiled = set(re.findall(r"/(\w+)\.cpython", said(engine, image, "find", "/app/gateway/__pycache__")))
    assert compiled == {file.stem for file in (ROOT / "gateway").glob("*.py")}


def test_the_image_runs_as_nobody_special_and_knows_no_secret(engine: DockerClient, image: str) -> None:
    built = engine.images.get(image)
    assert built.attrs["Config"]["User"] == "10001:10001"
    told = json.dumps([built.attrs["Config"], built.history()])
    assert not SECRETS_OF_BUILDS.search(told)


@pytest.mark.skipif(os.geteuid() == 10001, reason="the containers' user may read what its own files hold")
def test_a_secret_that_the_containers_user_cannot_read_stops_the_start_and_says_whose_file_to_change(
    engine: DockerClient, image: str, secret_key_file: Path
) -> None:
    place = "/run/secrets/secret_key"
    mounts = [Mount(place, str(secret_key_file), type="bind", read_only=True)]
    with pytest.raises(docker.errors.ContainerError) as failed:
        said(engine, image, mounts=mounts, environment={"ANIMATIZE_SECRET_KEY_FILE": place})
    assert "ANIMATIZE_SECRET_KEY_FILE: cannot be read by user 10001 (Permission denied)" in str(failed.value.stderr)
    assert "Traceback" not in str(failed.value.stderr)


def test_the_readme_makes_a_secret_that_the_containers_user_can_read_and_never_makes_it_anew(tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## In containers")[2]
    command = ["sh", "-c", "umask 077; " + section.partition("    ")[2].partition("\n")[0]]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    folder, file = tmp_path / "secrets", tmp_path / "secrets" / "secret_key"
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o444)
    made = file.read_text(encoding="utf-8")
    assert len(made) > 60
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0
    assert file.read_text(encoding="utf-8") == made
