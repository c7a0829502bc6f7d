"""Serves the reference application's status view with gunicorn and PostgreSQL, asks it over and over, and prints what that
costs, as JSON: the CPU time of a request in all of their processes, and their memory.

    python measure.py FOLDER REQUESTS
"""

import http.client
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
WORKERS = 2


def main(folder, requests):
    folder.mkdir(parents=True, exist_ok=True)
    started = []
    try:
        database_port, web_port = free_port(), free_port()
        started.append(start_database(folder, database_port))
        environment = {
            **os.environ,
            "DATABASE_HOST": "127.0.0.1",
            "DATABASE_PORT": str(database_port),
            "PYTHONPATH": str(HERE),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        os.environ.update(environment)
        task_id, cookie = make_rows()
        started.append(start_application(folder, web_port, environment))
        print(json.dumps(measured(web_port, task_id, cookie, requests, started)))
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGINT)
            process.wait(30)


def start_database(folder, port):
    """PostgreSQL, of the package or on the PATH, with its defaults; not as root, which it refuses."""
    programs = programs_of_postgresql()
    data = folder / "database"
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.getuid() == 0 else {}
    data.mkdir()
    if user:
        shutil.chown(data, "nobody", "nogroup")
    log = open(folder / "database.log", "wb")
    output = {"cwd": data, "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
    initialise = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    subprocess.run([*initialise, "--no-locale"], check=True, **user, **output)
    serve = [programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", data]
    process = subprocess.Popen(serve, **user, **output)
    wait_for(port, process)
    return process


def programs_of_postgresql():
    package = importlib.util.find_spec("pgserver")
    if package:
        return pathlib.Path(package.origin).parent / "pginstall" / "bin"
    found = shutil.which("initdb") or shutil.which("postgres")
    if not found:
        sys.exit("PostgreSQL is not there: neither as the package pgserver nor on the PATH")
    return pathlib.Path(os.path.realpath(found)).parent


def make_rows():
    """A user who is signed in and has a task, among others; returns the task and the session's cookie."""
    sys.path.insert(0, str(HERE))
    from application import Task, User
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django.core.management import call_command
    from django.db import connection

    for attempt in range(50):
        try:
            connection.ensure_connection()
            break
        except Exception:
            time.sleep(0.1)
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Task)
    task = None
    for n in range(1000):
        user = User.objects.create(username=f"user{n}")
        task = Task.objects.create(
            user=user, status="PROCESSING", number_of_items=100, count_done_items=30
        )
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    connection.close()
    return str(task.task_id), session.session_key


def start_application(folder, port, environment):
    log = open(folder / "application.log", "wb")
    gunicorn = [sys.executable, "-m", "gunicorn", "application:application"]
    options = ["--bind", f"127.0.0.1:{port}", "--workers", str(WORKERS)]
    # A thread keeps its client's connection.
    options += ["--worker-class", "gthread", "--threads", "1", "--keep-alive", "60"]
    process = subprocess.Popen(
        [*gunicorn, *options], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
    )
    wait_for(port, process)
    return process


def measured(port, task_id, cookie, requests, started):
    connections = [http.client.HTTPConnection("127.0.0.1", port) for _ in range(WORKERS)]
    path = f"/api/tuned-long-running-task/{task_id}/"

    def ask(times):
        for n in range(times):
            connection = connections[n % len(connections)]
            connection.request("GET", path, headers={"Cookie": f"sessionid={cookie}"})
            answer = connection.getresponse()
            body = json.loads(answer.read())
            assert answer.status == 200 and body["data"]["done_percentage"] == 30, body

    ask(200)
    processes = [id for process in started for id in family(process.pid)]
    before = sum(map(cpu_seconds, processes))
    ask(requests)
    after = sum(map(cpu_seconds, processes))
    return {
        "cpu_microseconds": (after - before) / requests * 1e6,
        "memory_mebibytes": sum(map(memory_kilobytes, processes)) / 1024,
    }


def family(process):
    """A process with its children."""
    children = pathlib.Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(one for child in children for one in family(int(child)))]


def cpu_seconds(process):
    """Of all its threads, in nanoseconds' precision."""
    threads = pathlib.Path(f"/proc/{process}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def memory_kilobytes(process):
    """Its share: what several processes have in common is counted once."""
    lines = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def wait_for(port, process):
    for _ in range(300):
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} has ended; its log says why")
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit(f"{process.args[0]} does not answer")


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
