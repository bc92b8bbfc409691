"""nginx with two workers, and wrk beside it: so many requests, none of them answered wrong. The port is free when it is chosen."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request

CONFIG = """
worker_processes 2;
daemon off;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 256; }}
http {{
  access_log access.log;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""
SIZE = 60000


def main():
    wanted = int(sys.argv[1])
    os.makedirs("nginx/pages")
    with open("nginx/pages/data", "wb") as file:
        file.write(bytes(n * n % 251 for n in range(SIZE)))
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        port = chosen.getsockname()[1]
    with open("nginx/nginx.conf", "w", encoding="ascii") as file:
        file.write(CONFIG.format(port=port, root=os.getcwd() + "/nginx/pages"))
    server = subprocess.Popen(["/usr/sbin/nginx", "-p", os.getcwd() + "/nginx", "-c", "nginx.conf", "-e", "error.log"])
    url = f"http://127.0.0.1:{port}/data"
    answered = 0
    while answered < wanted:
        done = subprocess.run(["wrk", "-t", "1", "-c", "8", "-d", "1s", url], capture_output=True, text=True, check=False)
        found = re.search(r"(\d+) requests in", done.stdout)
        if done.returncode != 0 or "Non-2xx" in done.stdout:
            sys.exit(f"wrk: {done.returncode}: {done.stdout} {done.stderr}")
        answered += int(found.group(1))
    with urllib.request.urlopen(url) as reply:
        content = reply.read()
    print("answered; content right:", content == bytes(n * n % 251 for n in range(SIZE)))
    server.send_signal(signal.SIGQUIT)
    print("nginx ended with", server.wait())
    shutil.rmtree("nginx")


main()
